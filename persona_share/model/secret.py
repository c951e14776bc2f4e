"""Secret: a value that only ``reveal()`` lets out."""

import hmac
from typing import ClassVar, NoReturn

from persona_share.errors import InvalidArgumentError


class Secret:
    """A text that every printing, formatting, copying and pickling masks or refuses.

    Comparison takes the same time whatever the values are, and only with another
    secret. ``reveal()`` is the one way out, easy to search for.
    """

    __slots__ = ("_value",)  # no place for weak references: it is held by thousands
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __init__(self, value: str) -> None:
        given: object = value
        if not isinstance(given, str):
            message = f"a secret must be a str, not {type(given).__name__}"
            raise InvalidArgumentError(message)
        self._value = value

    def reveal(self) -> str:
        """Answer the value itself."""
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
        message = f"a {type(self).__name__} is never pickled or copied"
        raise TypeError(message)

    def __dir__(self) -> list[str]:
        return ["reveal"]


class MaskedText(str):
    """Text for a header line whose ``repr`` is masked.

    It exists for the moment between ``reveal()`` and the socket: other people's code
    that prints the headers it was given prints the mask.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'<masked>'"

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        message = "a masked text is never pickled or copied"
        raise TypeError(message)


def as_secret(value: "str | Secret") -> Secret:
    """Answer a secret for a text, and a secret as it is."""
    return value if isinstance(value, Secret) else Secret(value)
