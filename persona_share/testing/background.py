"""A sandbox in a thread of its own, for tests without an event loop."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, cast

from persona_share.sandbox import Sandbox


#: Seconds within which the sandbox starts, stops, or runs one call.
_TIMEOUT: Final = 30.0


class _InBackground:
    """Runs every method of a sandbox in the sandbox's own event loop."""

    def __init__(self, sandbox: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
        self._sandbox = sandbox
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._sandbox, name)
        return self._called(value) if inspect.ismethod(value) else value

    def _called(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method that waits for the result of another thread."""

        def call(*args: Any, **kwargs: Any) -> Any:
            async def run() -> Any:
                result = method(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

            future = asyncio.run_coroutine_threadsafe(run(), self._loop)
            return future.result(_TIMEOUT)

        return call


@contextmanager
def background_sandbox(**options: Any) -> Iterator[Sandbox]:
    """Run a sandbox in a thread while the block runs.

    Its methods can be called from any thread and without ``await``; coroutine methods
    return their result.

    Raises:
        ConfigurationError: for invalid options.
    """
    started: Future[tuple[Sandbox, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        async with Sandbox(**options) as sandbox:
            started.set_result((sandbox, asyncio.get_running_loop(), stop))
            await stop.wait()

    def thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    worker = threading.Thread(target=thread, name="persona-sandbox", daemon=True)
    worker.start()
    sandbox, loop, stop = started.result(_TIMEOUT)
    try:
        yield cast("Sandbox", _InBackground(sandbox, loop))
    finally:
        loop.call_soon_threadsafe(stop.set)
        worker.join(_TIMEOUT)
