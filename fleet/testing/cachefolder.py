"""Folders outside the checkout in which expensive parts (built binaries, downloaded tools) are made once.

A folder appears whole or not at all: it is filled beside its final name and then renamed. Two processes that want the
same folder wait for each other on a file lock, so nothing is built twice. The folder's name must change with whatever
went into it; nothing here ever looks inside.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def cache_root() -> Path:
    """The project's cache folder: ``$XDG_CACHE_HOME/gitops-fleet``, else ``~/.cache/gitops-fleet``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "gitops-fleet"


def filled(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return ``folder``, after ``fill`` has made its content where it did not exist."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(folder.name + ".lock")):
        if not folder.is_dir():
            _fill_and_rename(folder, fill)
    return folder


def progress(text: str) -> None:
    """Tell a waiting human what is being made; standard output stays free for results."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _fill_and_rename(folder: Path, fill: Callable[[Path], None]) -> None:
    for stale in folder.parent.glob(f"{folder.name}.new-*"):  # of a builder that was killed
        shutil.rmtree(stale, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}.new-", dir=folder.parent))
    try:
        fill(fresh)
        fresh.chmod(0o755)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another process that fills {path.with_suffix('')}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
