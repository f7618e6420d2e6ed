"""Whether an Application's manifests can differ between two revisions, told without rendering it.

A source is planned at both revisions: equal plans read equal files. Only a tool that misses a file is given more than
its plan says; such files lie beside or below those that are known, so a change there counts as a difference.
"""

from __future__ import annotations

import asyncio
from posixpath import dirname
from typing import TypeAlias

from fleet.cli.checkout import Side
from fleet.errors import FleetError
from fleet.model.application import Application
from fleet.render.local import NoCharts
from fleet.render.plan import Plan, closure_key
from fleet.render.planning import Planner
from fleet.render.request import Capabilities, ResolvedSource
from fleet.render.settings import RenderSettings

Sources: TypeAlias = tuple[ResolvedSource | str, ...]
"""Of each source its commit, or why it has none here."""


class Inputs:
    """Compares what two sides of one repository give to renders."""

    def __init__(self, base: Side, head: Side) -> None:
        self._base, self._head = base, head
        allowed = RenderSettings().allow_chart_dependencies
        self._planner = Planner(head, NoCharts(), allow_chart_dependencies=allowed)
        self._changed: frozenset[str] | None = None
        self._listing = asyncio.Lock()

    async def same(self, application: Application, old: Sources, new: Sources) -> bool:
        """Whether an Application, its document being the same, surely renders to the same."""
        if old == new:
            return True
        before = [item for item in old if isinstance(item, ResolvedSource)]
        after = [item for item in new if isinstance(item, ResolvedSource)]
        if len(before) == len(after) == len(new):
            return await self._same_plans(application, tuple(before), tuple(after))
        return await self._same_values(application, old, new)

    async def _same_plans(
        self,
        application: Application,
        old: tuple[ResolvedSource, ...],
        new: tuple[ResolvedSource, ...],
    ) -> bool:
        for index, item in enumerate(new):
            if not item.source.path:
                continue  # it lends its files to others, whose plans name them
            try:
                before = await self._plan(application, old, index)
                after = await self._plan(application, new, index)
            except FleetError:
                return False  # rendering says what is wrong
            if closure_key(before, "") != closure_key(after, "") or await self._is_near(after):
                return False
        return True

    async def _plan(
        self, application: Application, resolved: tuple[ResolvedSource, ...], index: int
    ) -> Plan:
        planned = await self._planner.plan(
            application, resolved, index, Capabilities(), lambda _url: True
        )
        return planned.plan

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
