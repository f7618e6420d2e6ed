"""Full comparisons of objects with what they shall be: asked for rarely, remembered as long as they hold."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from agents.apply import Applier
from agents.desired import DesiredStates
from agents.live import LiveTable
from fleet.kube.port import Discovery
from fleet.model.assignment import Section
from fleet.model.identity import ObjectRef
from fleet.sync.compare import matches
from fleet.sync.desired import Desired
from fleet.sync.drift import LiveObject
from fleet.sync.inventory import Inventory


class Comparisons:
    """Results by target: digest and version that were compared, and whether they agreed."""

    def __init__(self, applier: Applier, table: LiveTable, states: DesiredStates) -> None:
        self._applier = applier
        self._table = table
        self._states = states
        self._known: dict[str, dict[ObjectRef, tuple[str, int, bool]]] = {}

    def keep_only(self, present: Collection[str]) -> None:
        """Forget all other targets."""
        for target in self._known.keys() - set(present):
            del self._known[target]

    def live(self, desired: Desired, inventory: Inventory) -> dict[ObjectRef, LiveObject]:
        """What is there, with the results of comparisons that still hold."""
        live = self._table.index(desired.refs | inventory.entries.keys())
        known = self._known.get(desired.target, {})
        for item in desired.manifests:
            compared = known.get(item.ref)
            seen = self._table.get(item.ref)
            if compared and seen and compared[:2] == (item.digest, seen.version):
                live[item.ref] = replace(seen.live, matches=compared[2])
        return live

    async def compare(self, working: Section, discovery: Discovery, refs: set[ObjectRef]) -> None:
        """Read objects whole and note whether each is as desired, for this digest and this version of it."""
        whole = await self._applier.whole(refs)
        before = self._known.get(working.target, {})
        after = self._known[working.target] = {}
        for item in self._states.full(working, discovery).manifests:
            seen = self._table.get(item.ref)
            if item.ref in whole and seen is not None:
                same = matches(item.body, whole[item.ref], item.ignore)
                after[item.ref] = (item.digest, seen.version, same)
            elif item.ref in before:
                after[item.ref] = before[item.ref]
