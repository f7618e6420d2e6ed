"""Plans a kustomization: a walk over its graph that puts every file it names into the folder.

Level by level, so that all files of a level are read at once. Whatever leaves the repository, is remote, or would
start a program is refused here, with the line that says so; kustomize itself then runs without a network and with
its own restrictions on top.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.codec import yamldoc
from fleet.errors import BadInput, Where
from fleet.model.application import KustomizeOptions
from fleet.render import buildenv, kustomize_edit
from fleet.render.detect import KUSTOMIZATION_NAMES
from fleet.render.inputs import Repository, posix_join
from fleet.render.kustomization import (
    Kustomization,
    Reference,
    is_remote,
    plugin_references,
    read,
    refuse_remote,
)
from fleet.render.plan import Plan, SourceContext, SourceKind
from fleet.render.snapshot import Located

_MAX_DEPTH = 50
_MAX_DIRECTORIES = 2_000


@dataclass(frozen=True, slots=True)
class _Step:
    """A kustomization directory to be read, and who asked for it."""

    directory: str
    where: Where


async def plan(context: SourceContext, directory: str) -> Plan:
    """Collect the closure of the kustomization in ``directory`` and apply the source's options."""
    assert context.repository is not None
    walk = _Walk(context.repository)
    options = context.source.kustomize or KustomizeOptions()
    top = await walk.top(directory)
    components = _components(walk, directory, options)
    edited = kustomize_edit.edit(
        top.value,
        options,
        components=components,
        substitute=lambda text: buildenv.substitute(text, context.environment),
    )
    if edited != top.value:
        text = yamldoc.dump(edited).encode()
        context.repository.replace(walk.top_file, text)
        top = read(text, walk.top_file)
    await walk.follow(directory, top)
    return Plan(
        kind=SourceKind.KUSTOMIZE,
        files=context.repository.inputs(),
        argv=("kustomize", context.repository.place(directory)),
        root=context.repository.place(directory),
    )


def _components(walk: _Walk, directory: str, options: KustomizeOptions) -> tuple[str, ...]:
    where = Where(field="source.kustomize.components")
    present = []
    for path in options.components:
        if walk.repository.locate(path, base=directory, where=where) is not None:
            present.append(path)
        elif not options.ignore_missing_components:
            raise BadInput(f"component {path!r} does not exist", where=where)
    return tuple(present)


class _Walk:
    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.top_file = ""
        self.seen: set[str] = set()

    async def top(self, directory: str) -> Kustomization:
        """Read the kustomization that the source names."""
        found = self.kustomization_file(_Step(directory, Where(file=directory)))
        self.top_file = found.path
        self.seen.add(directory)
        return read(await self.repository.read(found), found.path)

    async def follow(self, directory: str, top: Kustomization) -> None:
        """Add everything that can be reached, directory by directory."""
        steps = await self.add_references([(directory, top)])
        for _ in range(_MAX_DEPTH):
            if not steps:
                return
            if len(self.seen) > _MAX_DIRECTORIES:
                raise BadInput(f"more than {_MAX_DIRECTORIES} kustomizations", where=steps[0].where)
            files = [(step, self.kustomization_file(step)) for step in steps]
            texts = await self.repository.read_all([found for _, found in files])
            steps = await self.add_references(
                [(step.directory, read(texts[found.path], found.path)) for step, found in files]
            )
        raise BadInput(
            f"kustomizations are nested more than {_MAX_DEPTH} deep", where=steps[0].where
        )

    def kustomization_file(self, step: _Step) -> Located:
        """Find a directory's kustomization; every candidate is added, so that kustomize sees two if there are."""
        found = []
        for name in KUSTOMIZATION_NAMES:
            located = self.repository.locate(posix_join(step.directory, name), where=step.where)
            if located is not None and located.is_file:
                self.repository.add(located)
                found.append(located)
        if not found:
            raise BadInput(
                f"directory {step.directory or '.'!r} has no kustomization file", where=step.where
            )
        if len(found) > 1:
            raise BadInput(
                f"directory {step.directory or '.'!r} has several kustomization files",
                where=step.where,
            )
        return found[0]

    async def add_references(self, read_files: list[tuple[str, Kustomization]]) -> list[_Step]:
        """Add what these kustomizations name; returns the directories among it that are new."""
        steps: list[_Step] = []
        plugins: list[tuple[str, Located]] = []
        for directory, kustomization in read_files:
            for reference in kustomization.references:
                found = self.add(reference, directory)
                if found.is_directory:
                    if found.path not in self.seen:
                        self.seen.add(found.path)
                        steps.append(_Step(found.path, reference.where))
                elif reference.is_plugin:
                    plugins.append((directory, found))
        await self.add_plugins(plugins)
        return steps

    async def add_plugins(self, plugins: list[tuple[str, Located]]) -> None:
        texts = await self.repository.read_all([found for _, found in plugins])
        for directory, config in plugins:
            for reference in plugin_references(texts[config.path], config.path):
                found = self.repository.locate(
                    reference.path, base=directory, where=reference.where
                )
                if found is not None:
                    self.repository.add(found)

    def add(self, reference: Reference, directory: str) -> Located:
        """Add one reference; raises Denied (leaves, remote) and BadInput (missing)."""
        found = self.repository.locate(reference.path, base=directory, where=reference.where)
        if found is None and is_remote(reference.path):
            raise refuse_remote(reference)
        if found is None:
            raise BadInput(f"{reference.path!r} does not exist", where=reference.where)
        if found.is_directory and not reference.may_be_directory:
            raise BadInput(f"{reference.path!r} is a directory, not a file", where=reference.where)
        self.repository.add(found)
        return found
