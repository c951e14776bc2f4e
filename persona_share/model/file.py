"""A file of the service: where it lies, under which name, and how long it is."""

import attrs

from persona_share.model.secret import Secret


@attrs.frozen
class File:
    """A file that can be fetched for a few hours.

    ``url`` is a secret: it carries its own access. A new one comes with every
    retrieval of the object that has the file. Source: page "Downloading files".
    """

    filename: str | None = attrs.field(default=None, repr=False)
    url: Secret | None = None
    byte_size: int | None = None
    page: str | None = None
