"""Files of objects: name, size and download URL."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from persona_share.model.secret import Secret


_MAX_DEPTH: Final = 64


@attrs.frozen
class File:
    """A file that can be downloaded for a few hours.

    ``url`` is a secret, as it contains an access token. Every retrieval of the object
    returns a new one. Source: page "Downloading files".
    """

    filename: str | None = attrs.field(default=None, repr=False)
    url: Secret | None = None
    byte_size: int | None = None
    page: str | None = None


@attrs.frozen
class AttachedFile:
    """A file of an object, with the path of its attribute.

    ``attribute`` is a path such as ``front-photo-url`` or ``files-0-url``: unique
    within the object, and free of personal data.
    """

    attribute: str
    file: File


def attached_files(attributes: Mapping[str, Any]) -> tuple[AttachedFile, ...]:
    """Return the files in attributes, each of them once."""
    found: dict[str, AttachedFile] = {}
    for path, url, holder in _urls(attributes, (), _MAX_DEPTH):
        key = url.partition("?")[0]
        file = _file(url, holder)
        name = "-".join(path)
        if key in found:
            name = found[key].attribute
            if file.filename is None and file.byte_size is None:
                continue
        found[key] = AttachedFile(name, file)
    return tuple(found.values())


def is_file_url(value: object) -> bool:
    """Return whether a value is the URL of a file, with its access token."""
    if not isinstance(value, str) or not value[:8].lower().startswith(
        ("https:", "http:")
    ):
        return False
    return "access_token=" in value or "://files." in value[:16]


def _file(url: str, holder: Mapping[str, Any]) -> File:
    """Return a file, with the metadata beside its URL."""
    if not any(key in {"url", "URL"} for key in holder):
        return File(url=Secret(url))
    size = holder.get("byte-size", holder.get("byte_size", holder.get("byteSize")))
    name, page = holder.get("filename"), holder.get("page")
    return File(
        filename=name if isinstance(name, str) else None,
        url=Secret(url),
        byte_size=size if type(size) is int else None,
        page=page if isinstance(page, str) else None,
    )


def _urls(
    value: Any, path: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], str, Mapping[str, Any]]]:
    """Iterate over URLs, with their paths and the objects that contain them."""
    if not depth:
        return
    if isinstance(value, Mapping):
        for key, each in value.items():
            if is_file_url(each) and is_url_name(key):
                yield (*path, key), each, value
            else:
                yield from _urls(each, (*path, key), depth - 1)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            if is_file_url(each):
                yield (*path, str(number)), each, {}
            else:
                yield from _urls(each, (*path, str(number)), depth - 1)


def is_url_name(key: str) -> bool:
    """Return whether an attribute with this name contains a URL; any casing."""
    plain = key.replace("-", "").replace("_", "").lower()
    return plain.endswith(("url", "urls"))
