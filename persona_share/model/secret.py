"""Secrets: values that are masked everywhere except in ``reveal()``."""

import hmac
from typing import ClassVar, NoReturn

from persona_share.errors import InvalidArgumentError


class Secret:
    """A text that is masked when printed, and never copied or pickled.

    Comparison takes constant time, and only another secret is equal. ``reveal()`` is
    the only way to get the value.
    """

    __slots__ = ("_value",)  # no weak references, to save memory
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __init__(self, value: str) -> None:
        given: object = value
        if not isinstance(given, str):
            message = f"a secret must be a str, not {type(given).__name__}"
            raise InvalidArgumentError(message)
        self._value = value

    def reveal(self) -> str:
        """Return the value."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self.reveal().encode(errors="surrogatepass"),
            other.reveal().encode(errors="surrogatepass"),
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        message = f"{type(self).__name__} objects are never pickled or copied"
        raise TypeError(message)

    def __dir__(self) -> list[str]:
        return ["reveal"]


class MaskedText(str):
    """A header value whose ``repr``, copies and pickles are masked.

    HTTP libraries may log or record the headers of requests.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'<masked>'"

    def __reduce_ex__(self, _protocol: object) -> tuple[type[str], tuple[str]]:
        return str, ("<masked>",)


def as_secret(value: "str | Secret") -> Secret:
    """Return a text as a secret, and a secret unchanged."""
    return value if isinstance(value, Secret) else Secret(value)
