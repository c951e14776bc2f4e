"""Our own refusals: bad input is told before any byte leaves."""

from persona_share.errors.base import PersonaError


class UsageError(PersonaError):
    """A call that was refused here, before any byte was sent."""


class ConfigurationError(UsageError):
    """A setting that cannot be used."""


class InsecureOriginError(ConfigurationError):
    """A credential would travel where it can be read."""

    advice = (
        "Use https, or for a local sandbox a loopback address with insecure_local=True."
    )


class InvalidArgumentError(UsageError):
    """An argument that cannot be sent as it is."""


class InvalidIdError(InvalidArgumentError):
    """An id with characters that Persona's ids never have."""

    advice = "Pass the id alone, as the API printed it: letters, digits, '_' and '-'."


class InvalidScopeError(InvalidArgumentError):
    """A scope that cannot be read; ``index`` and ``position`` point at the atom."""

    advice = "Write 'permission:object_id' pairs, separated by single spaces."

    def __init__(
        self, what: str, /, *, index: int | None = None, position: int | None = None
    ) -> None:
        super().__init__(what)
        self.index = index
        self.position = position


class ScopeNotCoveredError(UsageError):
    """The session's scope does not allow this call; ``missing`` says what it lacks."""

    advice = "Ask for a session whose scope names this object and permission."

    def __init__(
        self, what: str, /, *, missing: str, operation: str | None = None
    ) -> None:
        super().__init__(what, operation=operation)
        self.missing = missing


class NotOpenError(UsageError):
    """Used before ``async with`` was entered."""

    advice = "Enter it first: 'async with …:'."


class ClientClosedError(UsageError):
    """The client was closed."""

    advice = "Keep the client open for as long as calls are made, or make a new one."


class ManagerClosedError(UsageError):
    """The token manager was closed."""

    advice = "Keep the manager open for as long as its sessions are used."


class WrongEventLoopError(UsageError):
    """Used from another event loop, thread or process than the one that entered it."""

    advice = (
        "Make one client and one manager per event loop and share tokens by a store."
    )


class ReentrantCodeSourceError(UsageError):
    """A code source asked the manager for the very scope it is asked to serve."""

    advice = "A code source must get its code from the partner, not from the manager."
