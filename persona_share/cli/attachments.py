"""The PDF and the files of an object, saved beside its row on request.

Names are made of ids and attribute names, never of names that the service sent.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs

from persona_share import PersonaClient, ScopedSession
from persona_share.batch.saving import Disk, Persistent, save_download, suffix_of
from persona_share.model.file import attached_files
from persona_share.model.ids import resource_of
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret


_PRINTED: Final = {
    "inquiry": "inquiries",
    "report": "reports",
    "verification": "verifications",
}


@attrs.frozen(kw_only=True)
class Attachments:
    """Saves the PDF and the files of objects in folders."""

    client: PersonaClient
    accessors_for: Callable[[str], PersonaClient | ScopedSession]
    retrieve: Callable[[str], Any]
    persistent: Persistent
    pdf: Path | None
    files: Path | None
    disk: Disk = attrs.field(factory=Disk)

    async def save(self, found: Resource) -> list[Path]:
        """Save what was asked for, synced, and return the paths."""
        saved: list[Path] = []
        folders: set[Path] = set()
        if self.pdf is not None and (name := _PRINTED.get(_family(found))):
            accessors = self.accessors_for(found.id)
            download = getattr(accessors, name).print(found.id)
            saved.append(await self._save(download, self.pdf, found.id, ".pdf"))
            folders.add(self.pdf)
        if self.files is not None:
            for each in attached_files(found.attributes):
                url = each.file.url
                assert url is not None  # noqa: S101  # `files()` has only those
                download = self.client.files.download(
                    url, renew=self._renewal(found.id, each.attribute)
                )
                name, suffix = f"{found.id}-{each.attribute}", suffix_of(url.reveal())
                saved.append(await self._save(download, self.files, name, suffix))
                folders.add(self.files)
        for folder in folders:
            self.disk.sync_folder(folder)
        return saved

    async def _save(self, download: Any, folder: Path, name: str, suffix: str) -> Path:
        async def work() -> Path:
            saved = await save_download(download, folder, name, suffix, self.disk)
            return saved.path

        path: Path = await self.persistent.run(work)
        return path

    def _renewal(self, object_id: str, attribute: str) -> Any:
        """Return what retrieves a file's new address when the old one has expired."""

        async def renew() -> Secret | None:
            found = await self.retrieve(object_id)
            for each in attached_files(found.attributes):
                if each.attribute == attribute:
                    url: Secret | None = each.file.url
                    return url
            return None

        return renew


def _family(found: Resource) -> str:
    return resource_of(found.id) or ""
