"""Records as files in a folder of the agent's own: one file a record, written whole or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote, unquote

from agents.records import Changes
from fleet.errors import NotReady, Transient
from fleet.pki.files import read_private, sync_folder, write_private


class FileRecords:
    """`agents.records.Records` on a disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "records"
        self._identity = folder / "identity.json"

    async def load(self) -> dict[str, str]:
        """Read all records."""
        return await asyncio.to_thread(self._load)

    async def write(self, changes: Changes) -> None:
        """Write a batch."""
        await asyncio.to_thread(self._write, changes)

    async def load_identity(self) -> bytes | None:
        """Read the identity."""
        try:
            return await asyncio.to_thread(read_private, self._identity)
        except NotReady:
            return None

    async def save_identity(self, data: bytes) -> None:
        """Keep the identity."""
        await asyncio.to_thread(write_private, self._identity, data)

    def _load(self) -> dict[str, str]:
        if not self._folder.is_dir():
            return {}
        return {
            # Damaged bytes make a damaged record, which whoever reads it can say of one target.
            unquote(path.name): read_private(path).decode(errors="replace")
            for path in sorted(self._folder.iterdir())
            if not path.name.startswith(".")
        }

    def _write(self, changes: Changes) -> None:
        removed = False
        for name, text in changes.items():
            path = self._folder / quote(name, safe="")
            if text is not None:
                write_private(path, text.encode())
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise Transient(f"{path.name} cannot be removed: {error.strerror}") from error
            removed = True
        if not removed or not self._folder.is_dir():
            return
        try:
            sync_folder(self._folder)
        except OSError as error:
            raise Transient(f"the state cannot be written: {error.strerror}") from error
