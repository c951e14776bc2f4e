"""Errors of usage, raised before anything is sent."""

from collections.abc import Sequence
from typing import Final, Self

from persona_share.errors.base import PersonaError


# So many of the missing permissions are named.
_SHOWN: Final = 5


class UsageError(PersonaError):
    """A call that this library refused, so nothing was sent."""


class ConfigurationError(UsageError):
    """A setting that cannot be used."""

    def _sent(self) -> str:
        return ""  # settings are checked before there is anything to send


class MissingExtraError(ConfigurationError, ModuleNotFoundError):
    """A part of this library needs a package that is not installed."""

    @classmethod
    def of(cls, error: ImportError, needed_by: str, extra: str) -> Self:
        """Return the error of an import that failed; ``extra`` has the package."""
        package = (error.name or "a package").partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError)
        problem = "is not installed" if missing else "cannot be imported"
        return cls(
            f"{needed_by} needs {package}, which {problem}",
            advice=f"Run: pip install 'persona-share[{extra}]'",
        )


class InsecureOriginError(ConfigurationError):
    """A credential would be sent without protection."""

    advice = "Use https, or insecure_local=True with the loopback address of a local sandbox."


class InvalidArgumentError(UsageError):
    """An argument that cannot be sent."""

    advice = "Correct the argument and call again."


class InvalidIdError(InvalidArgumentError):
    """An id that cannot be sent, or the id of another kind of object."""

    advice = "Pass the id alone: letters, digits, '_' and '-', such as 'inq_AbC123'."


class InvalidScopeError(InvalidArgumentError):
    """A scope that cannot be parsed; ``index`` and ``position`` locate the mistake."""

    advice = "Write 'permission:object_id' pairs separated by spaces."

    def __init__(
        self, what: str, /, *, index: int | None = None, position: int | None = None
    ) -> None:
        super().__init__(what)
        self.index = index
        self.position = position


class ScopeNotCoveredError(UsageError):
    """The scope of the session does not cover a call; ``missing`` is what it lacks."""

    advice = "Use a session whose scope has this permission and object."

    def __init__(
        self,
        what: str,
        /,
        *,
        missing: str,
        operation: str | None = None,
        advice: str | None = None,
    ) -> None:
        super().__init__(what, operation=operation, advice=advice)
        self.missing = missing

    @classmethod
    def of(
        cls,
        missing: Sequence[str],
        *,
        operation: str | None = None,
        advice: str | None = None,
    ) -> Self:
        """Return the error of a call that lacks these permissions or objects."""
        shown = ", ".join(missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        message = f"the scope of this session does not cover {shown}{more}"
        return cls(
            message, missing=" ".join(missing), operation=operation, advice=advice
        )


class NotOpenError(UsageError):
    """A client or a manager was used before ``async with`` was entered."""

    advice = "Enter it first: 'async with … as …:'."


class ClientClosedError(UsageError):
    """The client was closed."""

    advice = "Keep the client open while calls are made, or create a new one."


class ManagerClosedError(UsageError):
    """The token manager was closed."""

    advice = "Keep the manager open while its sessions are used."


class WrongEventLoopError(UsageError):
    """A client or a manager was used from another event loop, thread or process."""

    advice = (
        "Create one client and one manager per event loop; share tokens with a store."
    )


class ReentrantCodeSourceError(UsageError):
    """A code source asked the manager for the scope that it has to supply."""

    advice = "Get the code from the partner, not from the manager."
