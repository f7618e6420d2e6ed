"""The child's folder: fresh, private, and made of exactly the files of one plan."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from fleet.errors import BadInput, Transient, Where
from fleet.render.inputs import InputFile

_PREFIX = "fleet-render-"


@contextlib.contextmanager
def made(
    files: tuple[InputFile, ...], contents: Mapping[str, bytes], parent: Path | None
) -> Iterator[Path]:
    """Make a folder of mode 0700 with the files in it; it is gone afterwards. ``contents`` is by object id."""
    root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)).resolve()
    try:
        try:
            (root / "home").mkdir()
            _write_all(root / "source", files, contents)
        except OSError as error:
            raise Transient(
                f"the folder of a render cannot be written: {error.strerror}"
            ) from error
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def environment(root: Path, memory: int) -> dict[str, str]:
    """The whole environment of a child: nothing of ours, every place it may write to inside its folder."""
    home = str(root / "home")
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "XDG_CACHE_HOME": f"{home}/cache",
        "XDG_CONFIG_HOME": f"{home}/config",
        "XDG_DATA_HOME": f"{home}/data",
        "HELM_CACHE_HOME": f"{home}/helm/cache",
        "HELM_CONFIG_HOME": f"{home}/helm/config",
        "HELM_DATA_HOME": f"{home}/helm/data",
        "HELM_PLUGINS": f"{home}/helm/plugins",
        "KUBECONFIG": "/dev/null",
        "GOMEMLIMIT": str(memory * 3 // 4),
        "GOGC": "400",  # a fifth less processor time: most of a render is the tool's own start
        "GOTRACEBACK": "none",
    }


def _write_all(work: Path, files: tuple[InputFile, ...], contents: Mapping[str, bytes]) -> None:
    work.mkdir()
    made_folders: set[str] = set()
    for file in files:
        if file.mode != "symlink":
            _make_parent(work, file.path, made_folders)
            data = file.content if file.content is not None else contents[file.object]
            _write(work / file.path, data, 0o700 if file.mode == "executable" else 0o600)
    # links last: nothing is ever written through one
    for file in files:
        if file.mode == "symlink":
            _make_parent(work, file.path, made_folders)
            try:
                (work / file.path).symlink_to(os.fsdecode(contents[file.object]))
            except FileExistsError as error:
                raise BadInput(
                    "is a link and a directory at once", where=Where(file=file.path)
                ) from error


def _make_parent(work: Path, path: str, made_folders: set[str]) -> None:
    parent = path.rpartition("/")[0]
    if parent not in made_folders:
        (work / parent).mkdir(parents=True, exist_ok=True)
        made_folders.add(parent)


def _write(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
