"""Durations, on their way to the wire."""

from datetime import timedelta

from persona_share.errors import InvalidArgumentError


def seconds_of(
    name: str,
    duration: timedelta | None,
    *,
    at_least: timedelta | None = None,
    at_most: timedelta | None = None,
) -> int | None:
    """Answer a duration in whole seconds; raises `InvalidArgumentError`."""
    given: object = duration
    if given is None:
        return None
    if not isinstance(given, timedelta):
        message = f"{name} must be a timedelta, not {type(given).__name__}"
        raise InvalidArgumentError(message)
    if given % timedelta(seconds=1):
        message = f"{name} must be whole seconds"
        raise InvalidArgumentError(message)
    lowest = at_least or timedelta(seconds=1)
    if given < lowest or (at_most is not None and given > at_most):
        upper = f" to {at_most}" if at_most is not None else " at least"
        message = f"{name} must be {lowest}{upper}, not {given}"
        raise InvalidArgumentError(message)
    return int(given.total_seconds())
