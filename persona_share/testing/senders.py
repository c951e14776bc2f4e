"""ScriptedSender: responses from a list, in place of the network."""

import inspect
from collections.abc import Awaitable, Callable, Iterable

from persona_share._protocol.http import Request, Response


Answer = Response | BaseException | Callable[[Request], Response | Awaitable[Response]]


class ScriptedSender:
    """A `Sender` that returns one response after another and keeps the requests.

    An answer is a response, an exception to raise, or a callable that is given the
    request. After the last one it raises `AssertionError`.
    """

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        self.requests: list[Request] = []
        self._answers = iter(answers)

    async def send(self, request: Request) -> Response:
        """Return the next response of the list."""
        self.requests.append(request)
        try:
            answer = next(self._answers)
        except StopIteration:
            message = f"no answer is left for {request.operation}"
            raise AssertionError(message) from None
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Response):
            return answer
        made = answer(request)
        return await made if inspect.isawaitable(made) else made
