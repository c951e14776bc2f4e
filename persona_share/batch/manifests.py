"""Manifests: what belongs to each person of a copy, and the verification of a copy.

A manifest is read from a disk that may have lost or changed anything, so nothing is
used of it before its shape has been checked.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

from persona_share.batch.workers import lines_of
from persona_share.errors import InvalidArgumentError


MANIFEST: Final = "manifest.json"
VERSION: Final = 1
#: A file of a person, or one in a subfolder.
_PATH: Final = re.compile(r"[^/\0]+(/[^/\0]+)?")
#: The kinds of the values in a manifest and its parts.
_MANIFEST: Final[Mapping[str, Any]] = {
    "version": int,
    "id": str,
    "type": str,
    "updated_at": str | None,
    "copied_at": str,
    "relationships": dict,
    "files": list,
}
_REQUEST: Final[Mapping[str, Any]] = {"follow": list, "files": bool, "pdf": bool}
_RELATIONSHIP: Final[Mapping[str, Any]] = {
    "status": str,
    "copied": list,
    "missing": dict,
}
_FILE: Final[Mapping[str, Any]] = {
    "object": str,
    "attribute": str | None,
    "path": str,
    "size": int,
    "sha256": str,
    "content_type": str,
    "saved_at": str,
    "request_id": str | None,
}


@attrs.frozen(kw_only=True)
class CopyRequest:
    """The parts of each person that a copy saves."""

    follow: tuple[str, ...]
    files: bool
    pdf: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the record of the request in a manifest."""
        return {"follow": list(self.follow), "files": self.files, "pdf": self.pdf}

    def is_covered_by(self, manifest: Mapping[str, Any]) -> bool:
        """Return whether a person was copied with at least this much."""
        before = manifest.get("requested") or _request_of(manifest)
        return (
            {*self.follow} <= {*before["follow"]}
            and self.files <= before["files"]
            and self.pdf <= before["pdf"]
        )


def _request_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest without a request shows to have been requested."""
    attributes = {each["attribute"] for each in manifest["files"]}
    return {
        "follow": list(manifest["relationships"]),
        "files": bool(attributes - {None, "print"}),
        "pdf": "print" in attributes,
    }


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a person's folder, or None if it is missing or damaged."""
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if _is_manifest(found) else None


def _is_manifest(found: Any) -> bool:
    return (
        _has(found, _MANIFEST)
        and found["version"] == VERSION
        and all(map(_is_relationship, found["relationships"].values()))
        and all(map(_is_file, found["files"]))
        and _is_request(found.get("requested"))
    )


def _has(found: Any, kinds: Mapping[str, Any]) -> bool:
    """Return whether this is an object whose values are of these kinds."""
    return isinstance(found, dict) and all(
        name in found and isinstance(found[name], kind) for name, kind in kinds.items()
    )


def _is_relationship(found: Any) -> bool:
    if not _has(found, _RELATIONSHIP):
        return False
    return _are_texts(found["copied"]) and _are_texts(found["missing"].values())


def _is_file(found: Any) -> bool:
    if not _has(found, _FILE) or _PATH.fullmatch(found["path"]) is None:
        return False
    return not {".", ".."} & {*found["path"].split("/")}


def _is_request(found: Any) -> bool:
    return found is None or (_has(found, _REQUEST) and _are_texts(found["follow"]))


def _are_texts(found: Iterable[Any]) -> bool:
    return all(isinstance(each, str) for each in found)


@attrs.frozen(kw_only=True)
class VerifyReport:
    """The result of comparing a copy with its manifests.

    ``objects`` and ``files`` count what the manifests list, as `CopyReport` counts them:
    a file is a photo, a PDF or any other attachment. ``problems`` are texts that begin
    with the person's id, and the path of the object or file.
    """

    people: int
    objects: int
    files: int
    problems: tuple[str, ...]


def verify_copy(
    into: str | os.PathLike[str], ids: Iterable[str] | None = None
) -> VerifyReport:
    """Compare a copy with its manifests; nothing is sent or changed.

    Each object and file must be there, with its size and SHA-256 hash. With ``ids``,
    each of these people must be there as well. The function blocks while it reads all
    files: call it in a thread if an event loop runs.

    Raises:
        InvalidArgumentError: ``into`` is not a folder that can be read.
    """
    wanted = () if ids is None else dict.fromkeys(lines_of(ids))
    objects, files = 0, 0
    found: set[str] = set()
    problems: list[str] = []
    for folder in _folders(Path(into).expanduser()):
        if not folder.is_dir():
            problems.append(f"{folder.name}: not a folder of this copy")
            continue
        found.add(folder.name)
        manifest = read_manifest(folder)
        if manifest is None:
            problems.append(f"{folder.name}: the manifest is missing or damaged")
            continue
        if manifest["id"] != folder.name:
            problems.append(f"{folder.name}: the folder of another person")
        attached = sum(each["attribute"] is not None for each in manifest["files"])
        files += attached
        objects += len(manifest["files"]) - attached
        problems += [
            f"{folder.name}/{each}"
            for each in (*damage(folder, manifest), *extras(folder, manifest))
        ]
    problems += [f"{each}: missing" for each in wanted if each not in found]
    return VerifyReport(
        people=len(found), objects=objects, files=files, problems=tuple(problems)
    )


def _folders(into: Path) -> list[Path]:
    """Return what is in the folder of a copy, without its own hidden files."""
    try:
        return sorted(each for each in into.iterdir() if each.name[:1] != ".")
    except OSError as error:
        message = f"{into} cannot be read as a folder: {error.strerror}"
        advice = "Pass the folder of a copy."
        raise InvalidArgumentError(message, advice=advice) from None


def damage(
    folder: Path, manifest: Mapping[str, Any], *, hashes: bool = True
) -> Iterator[str]:
    """Yield what differs from the manifest; without ``hashes`` only sizes are read."""
    for each in manifest["files"]:
        path = folder / each["path"]
        digest = each["sha256"]
        try:
            size = _size(path)
            if hashes and size == each["size"]:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            yield f"{each['path']}: missing"
            continue
        if size != each["size"]:
            yield f"{each['path']}: {size} bytes instead of {each['size']}"
        elif digest != each["sha256"]:
            yield f"{each['path']}: the content has changed"


def _size(path: Path) -> int:
    """Return the size of a regular file in a real folder; raises `OSError` for links."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or path.parent.is_symlink():
        raise OSError(errno.EINVAL, "it is not a file")
    return found.st_size


def extras(folder: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files that the manifest does not list."""
    expected = {MANIFEST, *(each["path"] for each in manifest["files"])}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in expected:
            yield f"{name}: not in the manifest"
