"""Whether an Application's manifests can differ between two revisions, told without rendering it.

A source is planned at both revisions: equal plans read equal files. Only a tool that misses a file is given more than
its plan says; such files lie beside or below those that are known, so a change there counts as a difference.
"""

from __future__ import annotations

import asyncio
from posixpath import dirname

from fleet.cli.checkout import Side
from fleet.cli.manifests import Manifests, Sources
from fleet.errors import FleetError
from fleet.model.application import Application
from fleet.render.plan import Plan, closure_key


class Inputs:
    """Compares what two sides of one repository give to renders."""

    def __init__(self, base: Side, head: Side, manifests: Manifests) -> None:
        self._base, self._head = base, head
        self._manifests = manifests
        self._changed: frozenset[str] | None = None
        self._listing = asyncio.Lock()

    async def same(self, application: Application, old: Sources, new: Sources) -> bool:
        """Whether an Application, its document being the same, surely renders to the same."""
        if old == new:
            return True
        if any(isinstance(item, str) for item in (*old, *new)) or len(old) != len(new):
            return await self._same_values(application, old, new)
        return await self._same_plans(application, old, new)

    async def _same_plans(self, application: Application, old: Sources, new: Sources) -> bool:
        try:
            before = await self._manifests.plan(application, old)
            after = await self._manifests.plan(application, new)
        except FleetError:
            return False  # rendering says what is wrong
        for first, second in zip(before, after, strict=True):
            if closure_key(first, "") != closure_key(second, "") or await self._is_near(second):
                return False
        return True

    async def _is_near(self, plan: Plan) -> bool:
        """Whether something changed in a folder that a tool's plan has files of."""
        if not plan.argv:
            return False
        folders = {
            dirname(file.path.partition("/")[2])
            for file in plan.files
            if file.url and self._head.is_own(file.url)
        }
        for path in await self._changes():
            folder = dirname(path)
            while folder not in folders and folder:
                folder = dirname(folder)
            if folder in folders:
                return True
        return False

    async def _changes(self) -> frozenset[str]:
        """Return the files that differ between the two revisions."""
        async with self._listing:
            if self._changed is None:
                old, new = (
                    {(entry.path, entry.object) for entry in side.list_files()}
                    for side in (self._base, self._head)
                )
                self._changed = frozenset(path for path, _ in old ^ new)
            return self._changed

    async def _same_values(self, application: Application, old: Sources, new: Sources) -> bool:
        """Whether sources moved that only lend value files to others, and those files are the same."""
        for before, after in zip(old, new, strict=True):
            if before == after:
                continue
            if isinstance(before, str) or isinstance(after, str):
                return False
            source = after.source
            if not source.ref or source.path:
                return False
            trees = [
                await self._head.tree(source.repo_url, item.revision) for item in (before, after)
            ]
            wanted = lent_files(application, source.ref)
            first, second = ({entry.path: entry.object for entry in tree.entries} for tree in trees)
            if wanted is None or any(first.get(path) != second.get(path) for path in wanted):
                return False
        return True


def lent_files(application: Application, ref: str) -> tuple[str, ...] | None:
    """Return the files that other sources take from the one with a ``ref``; None where their names are not plain."""
    found: list[str] = []
    for source in application.sources:
        if source.helm is None:
            continue
        names = [*source.helm.value_files, *(item.path for item in source.helm.file_parameters)]
        found += [name.removeprefix(f"${ref}/") for name in names if name.startswith(f"${ref}/")]
    plain = all(not set(name) & set("$*?[") and ".." not in name for name in found)
    return tuple(found) if plain else None
