"""What lies beside the lines on request: an object's PDF, and its files.

Names are made of ids and attribute names, never of what the service calls a file.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from persona_share import PersonaClient, ScopedSession
from persona_share.cli.jsonl import is_address
from persona_share.model.ids import resource_of
from persona_share.model.resource import Resource


_PRINTED: Final = {
    "inquiry": "inquiries",
    "report": "reports",
    "verification": "verifications",
}
_ODD: Final = re.compile(r"[^A-Za-z0-9_-]+")


async def save_pdf(
    surface: PersonaClient | ScopedSession, object_id: str, folder: Path
) -> None:
    """Save an object as a PDF, where the API prints its kind."""
    name = _PRINTED.get(resource_of(object_id) or "")
    if name is not None:
        await _save(getattr(surface, name).print(object_id), folder, f"{object_id}.pdf")


async def save_files(client: PersonaClient, found: Resource, folder: Path) -> None:
    """Save every file that an object names."""
    for place, address in _addresses(found.attributes, ()):
        name = _ODD.sub("_", "-".join((found.id, *place)))
        await _save(client.files.download(address), folder, name)


async def _save(download: Any, folder: Path, name: str) -> None:
    """Save under a name that only a whole file gets."""
    part = _cleared(folder, f"{name}.part")
    await download.save(part)
    part.replace(folder / name)


def _cleared(folder: Path, name: str) -> Path:
    """Answer a place for a new file, without what a killed run left there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (folder / name).unlink()
    return folder / name


def _addresses(
    value: Any, place: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            if is_address(key, each):
                yield (*place, key), each
            else:
                yield from _addresses(each, (*place, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _addresses(each, (*place, str(number)))
