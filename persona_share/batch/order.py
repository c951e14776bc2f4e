"""An order: which objects somebody wants, and how they are to be fetched."""

import os
from collections.abc import AsyncIterable, Callable, Iterable, Sized

import attrs

from persona_share.errors import InvalidArgumentError
from persona_share.model.batch import Progress


Ids = Iterable[str] | AsyncIterable[str]
Path = str | os.PathLike[str]
OnProgress = Callable[[Progress], object]


@attrs.frozen
class Order:
    """What is wanted.

    Raises:
        InvalidArgumentError: nothing could be fetched like this.
    """

    ids: Ids = attrs.field(repr=False)
    concurrency: int
    checkpoint: Path | None
    on_progress: OnProgress | None

    def __attrs_post_init__(self) -> None:
        """Check what a caller can get wrong."""
        ids: object = self.ids
        if isinstance(ids, str | bytes) or not isinstance(
            ids, Iterable | AsyncIterable
        ):
            message = "ids must be an iterable of ids, or an async one"
            raise InvalidArgumentError(message)
        require_number("concurrency", self.concurrency)

    @property
    def total(self) -> int | None:
        """How many ids there are, where that can be known."""
        return len(self.ids) if isinstance(self.ids, Sized) else None


def require_number(name: str, value: object, at_most: int | None = None) -> None:
    """Raise `InvalidArgumentError` for anything but a whole number above 0."""
    if type(value) is not int or value < 1 or (at_most and value > at_most):
        bound = f" and at most {at_most}" if at_most else ""
        message = f"{name} must be a whole number above 0{bound}"
        raise InvalidArgumentError(message)
