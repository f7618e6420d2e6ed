"""Durable files in private folders: what SQLite and the artifact folder stand on."""

from __future__ import annotations

import os
from pathlib import Path

from fleet.errors import Transient


def create_private(path: Path) -> None:
    """Make an empty file of mode 0600 where there is none, and its folder; raises Transient."""
    try:
        make_folder(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        sync_folder(path.parent)
    except OSError as error:
        raise Transient(f"{path.name} cannot be opened: {error.strerror}") from error


def make_folder(path: Path) -> None:
    """Make a folder of mode 0700 with its parents."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(temporary: Path, path: Path, data: bytes) -> None:
    """Write beside, bring to the disk, rename, bring the name to the disk; raises OSError."""
    try:
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        ) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
