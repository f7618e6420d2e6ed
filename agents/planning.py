"""Planning: the facts that a plan is made of, as they are now, and what the policy allows of it in this run.

The plan itself is decided by `fleet.sync.plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agents import conclusions, consent
from agents.assignment import Assignment
from agents.comparisons import Comparisons
from agents.conduct import Conductor
from agents.desired import DesiredStates
from agents.operations import Mode
from agents.run import Run
from fleet.errors import NotReady
from fleet.kube.port import Discovery
from fleet.model.identity import ObjectRef
from fleet.sync.desired import Desired
from fleet.sync.drift import LiveObject
from fleet.sync.inventory import Inventory
from fleet.sync.manifest import parse_tracking_id
from fleet.sync.options import PRUNE_LAST
from fleet.sync.plan import Plan, plan, plan_hooks, to_compare
from fleet.sync.policy import NOTHING, Permission, permission


class Planning:
    """Makes the plans of runs."""

    def __init__(
        self, comparisons: Comparisons, states: DesiredStates, conductor: Conductor
    ) -> None:
        self._comparisons = comparisons
        self._states = states
        self._conductor = conductor

    async def plan(
        self,
        run: Run,
        desired: Desired,
        assignment: Assignment,
        discovery: Discovery,
        *,
        compare_all: bool = False,
    ) -> Plan:
        """Plan by what is there now; ``compare_all``: after all objects were read and compared in full."""
        inventory = run.progress.inventory
        await self._comparisons.check(desired)
        live = self._comparisons.live(desired, inventory)
        wanted = (
            [item for item in desired.manifests if item.ref in live and item.tracked]
            if compare_all
            else list(to_compare(desired, inventory, live))
        )
        if wanted:
            await self._comparisons.compare(
                run.working,
                discovery,
                {item.ref for item in wanted},
                inventory,
                afresh=compare_all and run.is_refresh,
            )
            live = self._comparisons.live(desired, inventory)
        allowed = self._permission(run, assignment)
        run.is_permitted = allowed.apply_new
        claimed: Mapping[ObjectRef, str] = {}
        if _needs_claims(desired, inventory, live):
            try:
                claimed = self._states.claims(assignment, discovery, run.section.target)
            except NotReady:
                # An artifact that is not here yet may name what would be deleted.
                claimed = self._states.known_claims(run.section.target)
                allowed = replace(allowed, prune=False)
                run.progress.look_again = 1.0
        tasks = self._conductor.tasks(run, desired)
        if tasks and conclusions.is_invalid(desired):
            # As with Argo CD no hook runs for what cannot be applied as a whole.
            tasks, allowed = (), NOTHING
        found = plan(
            desired,
            inventory,
            live,
            allowed,
            claimed=claimed,
            hooks=tasks,
            prune_last=PRUNE_LAST in run.working.sync_options,
            confirmed=consent.is_approved(run),
        )
        run.unconfirmed = found.unconfirmed
        if run.mode in (Mode.HOLD, Mode.FAIL, Mode.STOP):
            return replace(found, steps=plan_hooks(tasks).steps)
        return found

    def _permission(self, run: Run, assignment: Assignment) -> Permission:
        if run.blocked:
            return NOTHING
        allowed = permission(run.working, run.operation, detached=assignment.head.detached)
        if run.is_gated:
            return replace(allowed, apply_new=False, prune=False, allow_empty=False)
        if run.mode not in (Mode.PLAIN, Mode.WORK):
            return replace(allowed, apply_new=False, prune=False)
        return allowed


def _needs_claims(
    desired: Desired, inventory: Inventory, live: Mapping[ObjectRef, LiveObject]
) -> bool:
    """Whether it matters what other targets name: something may be deleted, or is marked as another's."""
    if inventory.entries.keys() - desired.refs:
        return True
    return any(
        (owner := parse_tracking_id(item.tracking)) is not None and owner[0] != desired.target
        for item in live.values()
    )
