"""Files that hold keys: readable by their owner only, written whole or not at all.

A new file is written beside the old one, brought to the disk, and renamed over it; then the folder is brought
to the disk. A crash leaves the old file or the new one, never half of either.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from fleet.errors import Denied, NotReady, Transient


def read_private(path: Path) -> bytes:
    """Read a file; raises NotReady where there is none, Transient on disk trouble."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotReady(f"there is no {path.name}") from error
    except PermissionError as error:
        raise Denied(
            f"{path.name} cannot be read", hint="it must belong to the user that runs this"
        ) from error
    except OSError as error:
        raise Transient(f"{path.name} cannot be read: {error.strerror}") from error


def write_private(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file durably with that mode; raises Transient on disk trouble."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_new(temporary, data, mode)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Transient(f"{path.name} cannot be written: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
