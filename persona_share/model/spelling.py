"""One name in the three casings that the API may answer with."""

from collections.abc import Mapping
from typing import Any, Final

import attrs


#: What stands for "no such name" where None is a value.
ABSENT: Final = object()


@attrs.frozen
class Spelling:
    """A name as it is written in Python, and as it may come over the wire."""

    snake: str
    kebab: str
    camel: str

    @classmethod
    def of(cls, name: str) -> "Spelling":
        """Answer the spellings of a snake_case name."""
        first, *rest = name.split("_")
        return cls(
            name, name.replace("_", "-"), first + "".join(map(str.capitalize, rest))
        )

    def value_in(self, values: Mapping[str, Any]) -> Any:
        """Answer the value under any spelling, or `ABSENT`."""
        for spelled in (self.kebab, self.snake, self.camel):
            if spelled in values:
                return values[spelled]
        return ABSENT


def value_of(values: Mapping[str, Any], name: str) -> Any:
    """Answer what stands under a snake_case name in any casing, or None."""
    found = Spelling.of(name).value_in(values)
    return None if found is ABSENT else found
