"""Files, and their URLs with access tokens."""

from typing import Any, Final
from urllib.parse import urlencode

import attrs

from persona_share.sandbox.behavior.switches import Switches
from persona_share.sandbox.runtime import Runtime


#: The mark of an access token of a file.
PREFIX: Final = "localbox_file_"


@attrs.frozen(eq=False)
class StoredFile:
    """One file; responses show its name, URL and size."""

    id: str
    filename: str
    content: bytes = attrs.field(repr=False)
    media_type: str = "application/octet-stream"


@attrs.frozen(eq=False)
class FileUrl:
    """A value of an object that responses show as the URL of a file."""

    file: StoredFile


class Files:
    """Every file by its path on the second host."""

    def __init__(self, runtime: Runtime, switches: Switches) -> None:
        self._runtime = runtime
        self._switches = switches
        self._by_path: dict[str, StoredFile] = {}
        #: Where the second host listens; known once its socket is bound.
        self.origin = ""

    def add(
        self, filename: str, content: bytes, media_type: str = "image/png"
    ) -> StoredFile:
        """Store a file; its path is its id and the ending of its name."""
        file = StoredFile(self._runtime.new_id("file"), filename, content, media_type)
        self._by_path[_path(file)] = file
        return file

    def clear(self) -> None:
        """Drop all files."""
        self._by_path.clear()

    def find(self, path: str) -> StoredFile | None:
        """Return the file of a path."""
        return self._by_path.get(path)

    def forget(self, value: Any) -> None:
        """Drop every file in this value."""
        if isinstance(value, FileUrl):
            value = value.file
        if isinstance(value, StoredFile):
            self._by_path.pop(_path(value), None)
        elif isinstance(value, dict | list):
            for each in value.values() if isinstance(value, dict) else value:
                self.forget(each)

    def with_urls(self, value: Any) -> Any:
        """Return a value with a new URL for every file in it."""
        if isinstance(value, dict):
            return {name: self.with_urls(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.with_urls(each) for each in value]
        if isinstance(value, FileUrl):
            return self._url(value.file)
        if isinstance(value, StoredFile):
            return {
                "filename": value.filename,
                "url": self._url(value),
                "byte-size": len(value.content),
            }
        return value

    def access_error_status(self, path: str, access_token: str) -> int | None:
        """Return the status that refuses this access token, None where it is good."""
        until, _, _ = access_token.removeprefix(PREFIX).partition("_")
        if not until.isdigit() or access_token != self._token(path, int(until[:15])):
            return self._switches.foreign_file_status
        if self._runtime.now() >= int(until):
            return self._switches.expired_file_status
        return None

    def _url(self, file: StoredFile) -> str:
        path = _path(file)
        until = int(self._runtime.now() + self._switches.file_lifetime)
        query = urlencode({"access_token": self._token(path, until)})
        return f"{self.origin}{path}?{query}"

    def _token(self, path: str, until: int) -> str:
        return f"{PREFIX}{until}_{self._runtime.digest(f'{path} {until}')}"


def contains_files(value: Any) -> bool:
    """Return whether there is a file in this value."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return any(contains_files(each) for each in inner)
    return isinstance(value, StoredFile | FileUrl)


def _path(file: StoredFile) -> str:
    _, dot, ending = file.filename.rpartition(".")
    tail = f".{ending}" if dot and ending.isalnum() and ending.isascii() else ""
    return f"/{file.id}{tail}"
