"""Errors of stores."""

from persona_share.errors.base import PersonaError


class StoreError(PersonaError):
    """A store could not do what was asked."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached, does not answer in time, or is full."""

    advice = "Check the store; tokens that are held are still served."
    retryable = True


class StoreCorruptError(StoreUnavailableError):
    """One record cannot be read: it is damaged, sealed with another key, or newer.

    It is not treated as absent, and never overwritten.
    """

    advice = "Find out what wrote to it; delete the record to begin anew."
    retryable = False


class StoreRefusedError(StoreError):
    """The store is unsafe, belongs to another program, or refuses the credentials."""

    advice = "Use a file and a directory that only this user may read and write."
