"""Sets of names that the service may extend: an unknown one is kept as it came."""

import enum
from collections.abc import Mapping
from typing import Final, Self


_NO_OTHERS: Final[Mapping[str, str]] = {}


class OpenEnum(enum.StrEnum):
    """A set of names that the service may extend: unknown ones are kept as they are.

    Compare by value, never by identity: an unknown name is a new member each time.
    """

    @property
    def known(self) -> bool:
        """Whether this library has a name for it."""
        return self._name_ in type(self).__members__

    @classmethod
    def older(cls) -> Mapping[str, str]:
        """Answer which member each name of an older API version stands for."""
        return _NO_OTHERS

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        if (name := cls.older().get(value)) is not None:
            return cls[name]
        member = str.__new__(cls, value)
        member._name_ = "UNKNOWN"
        member._value_ = value
        return member
