"""Renders what lies on this machine, for the command line: a directory, or an Application over working trees.

`WorkingTrees` shows directories as if each were a repository with one commit. Names of content are paths here, so
nothing is hashed and nothing is remembered from one run to the next.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Transient
from fleet.model.application import Application, Destination, Source
from fleet.model.identity import AppName
from fleet.model.world import EntryKind, Tree, TreeEntry
from fleet.render import artifact
from fleet.render.ports import Charts, MemoryArtifacts, MemoryClosures, SourceTrees
from fleet.render.renderer import Renderer
from fleet.render.request import Capabilities, Rendering, ResolvedSource
from fleet.render.settings import RenderSettings

WORKING_TREE = "working-tree"
"""The one revision of a working tree."""


class WorkingTrees:
    """Directories by repository URL; a `SourceTrees` for files that are not committed yet."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = {url: folder.resolve() for url, folder in folders.items()}

    async def resolve(self, url: str, revision: str, /) -> str:
        """There is only what lies there, whatever revision is asked for."""
        self._folder(url)
        return WORKING_TREE

    async def tree(self, url: str, commit: str, /) -> Tree:
        """List the directory; ``.git`` is no part of it."""
        folder = self._folder(url)
        entries = await asyncio.to_thread(lambda: tuple(sorted(_entries(folder, ""), key=_path)))
        return Tree(commit=commit, root=".", entries=entries)

    async def blobs(self, url: str, object_ids: tuple[str, ...], /) -> dict[str, bytes]:
        """Read files, named by their paths."""
        folder = self._folder(url)
        return await asyncio.to_thread(
            lambda: {name: _content(folder, name) for name in object_ids}
        )

    def _folder(self, url: str) -> Path:
        try:
            return self._folders[url]
        except KeyError as error:
            raise BadInput(f"repository {url!r} is not given", hint="use --repo URL=DIR") from error


class NoCharts:
    """A `Charts` for renders that stay on this machine."""

    async def resolve(self, repo_url: str, chart: str, version_range: str, /) -> _NoVersion:
        """Refuse."""
        raise BadInput(f"chart {chart!r} of {repo_url!r} is not on this machine")

    async def chart(self, repo_url: str, chart: str, version: str, /) -> bytes:
        """Refuse."""
        raise BadInput(f"chart {chart!r} of {repo_url!r} is not on this machine")


@dataclass(frozen=True, slots=True)
class _NoVersion:
    version: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRender:
    """A render and its objects."""

    rendering: Rendering
    resolved: tuple[ResolvedSource, ...]
    objects: tuple[JsonObject, ...]


async def render_application(
    application: Application,
    *,
    sources: SourceTrees,
    charts: Charts | None = None,
    capabilities: Capabilities | None = None,
    settings: RenderSettings | None = None,
) -> LocalRender:
    """Render one Application once; raises what `Renderer` raises."""
    artifacts = MemoryArtifacts()
    renderer = Renderer(
        sources=sources,
        charts=charts or NoCharts(),
        artifacts=artifacts,
        closures=MemoryClosures(),
        settings=settings or RenderSettings(),
    )
    await renderer.start()
    try:
        resolved = await renderer.resolve(application)
        rendering = await renderer.render(application, resolved, capabilities or Capabilities())
        objects = artifact.decode(await artifacts.get(rendering.artifact))
    finally:
        await renderer.close()
    return LocalRender(rendering=rendering, resolved=resolved, objects=objects)


async def render_directory(
    directory: Path,
    *,
    root: Path | None = None,
    name: str = "",
    namespace: str = "",
    charts: Charts | None = None,
    capabilities: Capabilities | None = None,
    settings: RenderSettings | None = None,
) -> LocalRender:
    """Render a directory as a source of its own.

    It may refer to files below ``root``: by default the git repository that it is in, else the current
    directory where that is above it.
    """
    directory, top = await asyncio.to_thread(_placed, directory, root)
    url = str(top)
    application = Application(
        name=AppName(name or directory.name.lower()),
        namespace="",
        project="default",
        sources=(Source(repo_url=url, path=directory.relative_to(top).as_posix()),),
        destination=Destination(namespace=namespace),
    )
    return await render_application(
        application,
        sources=WorkingTrees({url: top}),
        charts=charts,
        capabilities=capabilities,
        settings=settings,
    )


def _placed(directory: Path, root: Path | None) -> tuple[Path, Path]:
    directory = directory.resolve()
    if not directory.is_dir():
        raise BadInput(f"{str(directory)!r} is not a directory")
    top = root.resolve() if root else repository_root(directory)
    if not directory.is_relative_to(top):
        raise BadInput(f"{str(directory)!r} is not below {str(top)!r}")
    return directory, top


def repository_root(directory: Path) -> Path:
    """The nearest directory above with a ``.git``, else the current one if it is above, else itself."""
    for parent in (directory, *directory.parents):
        if (parent / ".git").exists():
            return parent
    here = Path.cwd()
    return here if directory.is_relative_to(here) else directory


def _entries(folder: Path, inside: str) -> Iterator[TreeEntry]:
    try:
        found = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
    except OSError as error:
        raise Transient(f"{str(folder / inside)!r} cannot be listed: {error.strerror}") from error
    for entry in found:
        path = f"{inside}/{entry.name}" if inside else entry.name
        if entry.name == ".git":
            continue
        if entry.is_symlink():
            yield TreeEntry(path, EntryKind.SYMLINK, path)
        elif entry.is_dir():
            yield TreeEntry(path, EntryKind.DIRECTORY, path)
            yield from _entries(folder, path)
        elif entry.is_file():
            is_program = entry.stat().st_mode & stat.S_IXUSR
            yield TreeEntry(path, EntryKind.EXECUTABLE if is_program else EntryKind.FILE, path)


def _content(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.is_symlink():
            return os.fsencode(path.readlink())
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read()
    except OSError as error:
        raise Transient(f"{name!r} cannot be read: {error.strerror}") from error


def _path(entry: TreeEntry) -> str:
    return entry.path
