"""A token store could not do its work."""

from persona_share.errors.base import PersonaError


class StoreError(PersonaError):
    """A token store could not do its work."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached, is busy or is full; nothing in it was changed."""

    advice = "Look after the store; tokens that are held go on being served."
    retryable = True


class StoreCorruptError(StoreError):
    """What the store holds cannot be read as what it should be."""

    advice = "The file was moved aside; a new one was begun. Find out what wrote to it."


class StoreRefusedError(StoreError):
    """The store is not safe to use: others could read it, or it is somebody else's."""

    advice = "Use a file and a directory that only this user may read and write."
