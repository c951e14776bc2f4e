"""Enums that the service may extend: an unknown value is kept as it was sent."""

import enum
from collections.abc import Mapping
from typing import Final, Self


_NO_OTHERS: Final[Mapping[str, str]] = {}


class OpenEnum(enum.StrEnum):
    """An enum that the service may extend: an unknown value is kept as it was sent.

    Compare by equality, not by identity: an unknown value is a new member each time.
    """

    @property
    def known(self) -> bool:
        """Whether this library knows the value."""
        return self._name_ in type(self).__members__

    @classmethod
    def older(cls) -> Mapping[str, str]:
        """Return the member for each value of an older API version."""
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
