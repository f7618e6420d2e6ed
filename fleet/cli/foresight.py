"""What is in force of a fleet at one revision, and what a merge of another makes of it. Pure.

The first revision stands for what the hub has accepted: all that its sets make is in force. The second is judged
against it as the hub would: failed sets keep what they have, policies keep what they keep, and the shrink budget says
what waits for an approval. What Applications bring is given: `fleet.cli.following` finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet import children, guard
from fleet.argo.children import Child, with_parents
from fleet.argo.policy import Trim
from fleet.children import Choice, Parent
from fleet.cli.checking import Check
from fleet.errors import BadInput
from fleet.generators.inforce import harmless, in_force, max_removals, outlive, to_trim
from fleet.generators.result import Generated
from fleet.model.application import Application, Deletion
from fleet.model.identity import AppName, TargetId
from fleet.model.target import Target
from fleet.targets import ClusterIndex, Targets, resolve_targets
from fleet.wire.difference import HeldChange

Rows = Mapping[AppName, Application]
_NONE: Rows = {}


@dataclass(frozen=True, slots=True)
class Bringing:
    """An Application that brings documents to the fleet, and which of them are in force."""

    parent: Parent
    choice: Choice


Brought = Mapping[AppName, Bringing]
"""By the name of the Application."""


@dataclass(slots=True, kw_only=True)
class InForce:
    """Applications by their set, and the targets of all of them."""

    check: Check
    brought: Brought = field(default_factory=dict)
    sets: dict[str, Rows] = field(default_factory=dict)
    applications: dict[AppName, Application] = field(default_factory=dict)
    found: Targets = field(default_factory=Targets)

    @property
    def targets(self) -> Mapping[TargetId, Target]:
        """Where everything goes."""
        return self.found.targets


def children_of(brought: Brought, name: AppName) -> Mapping[str, Child]:
    """Return the children that are in force of an Application."""
    known = brought.get(name)
    return known.choice.in_force if known else {}


def at_base(check: Check, brought: Brought) -> InForce:
    """Take everything that is made at a revision as accepted."""
    found = InForce(check=check, brought=brought)
    for name, result in check.results.items():
        if isinstance(result, Generated):
            found.sets[name] = {item.name: item for item in result.applications}
    return _finished(found)


Trims = Mapping[str, Mapping[str, Trim]]
"""By the name of the set."""


def trims(check: Check, base: InForce) -> Trims:
    """Return what jq expressions have to be evaluated on before the second revision can be applied."""
    return {
        name: to_trim(result, base.sets.get(name, _NONE), check.world.appsets[name])
        for name, result in check.results.items()
        if isinstance(result, Generated)
    }


def at_head(check: Check, base: InForce, brought: Brought, trimmed: Trims) -> InForce:
    """Apply the second revision on top of the first; nothing is held back yet. ``trimmed`` answers `trims`."""
    found = InForce(check=check, brought=brought)
    for name in sorted(base.sets.keys() | check.world.appsets.keys()):
        rows = _rows(name, check, base, trimmed.get(name, {}))
        if rows:
            found.sets[name] = rows
    return _finished(found)


def _rows(name: str, check: Check, base: InForce, trimmed: Mapping[str, Trim]) -> Rows:
    previous = base.sets.get(name, _NONE)
    appset = check.world.appsets.get(name)
    if appset is None:
        return previous if outlive(base.check.world.appsets[name]) else _NONE
    result = check.results.get(name)
    if isinstance(result, Generated):
        return in_force(result, previous, appset, trimmed)
    return previous  # it failed, or cannot be evaluated here


def _finished(found: InForce) -> InForce:
    """Put all owners together in the hub's order: what is written by hand, what Applications bring, what sets make."""
    found.applications = found.check.applications
    chains = {}
    for _, bringing in sorted(found.brought.items()):
        chain = bringing.choice.chain
        for child in bringing.choice.in_force.values():
            if isinstance(child.item, Application):
                found.applications.setdefault(child.item.name, with_parents(child.item, chain))
            elif child.kind == "ApplicationSet":
                chains[child.name] = chain
    for name in sorted(found.sets):
        for item in found.sets[name].values():
            found.applications.setdefault(item.name, with_parents(item, chains.get(name, ())))
    found.found = resolve_targets(found.applications, found.check.world)
    return found


def held(base: InForce, head: InForce) -> tuple[HeldChange, ...]:
    """Say what the shrink budget would hold of the Applications."""
    index = ClusterIndex.of(head.check.world)
    changes = []
    for name, previous in base.sets.items():
        appset = head.check.world.appsets.get(name)
        verdict = guard.judge(
            {app for app, item in previous.items() if _counts(item, index, gone=appset is None)},
            set(head.sets.get(name, _NONE)),
            largest=len(previous),
            what=f"ApplicationSet {name!r}",
            allowed=max_removals(appset),
        )
        if verdict.held:
            changes.append(hold(f"appset/{name}", verdict))
    spared: set[str] = set()
    for name in sorted(base.brought):
        verdict, gone = _judge_children(name, base, head, index)
        spared |= gone
        if verdict.held:
            changes.append(hold(f"children/{name}", verdict))
    excused = spared | {app for change in changes for app in change.removed}
    counted = {app for app, item in base.applications.items() if _counts(item, index, gone=False)}
    verdict = guard.judge(
        counted - excused,
        set(head.applications),
        largest=len(counted - excused),
        what="this evaluation of the fleet",
    )
    return (*changes, hold("fleet", verdict)) if verdict.held else tuple(changes)


def _judge_children(
    name: AppName, base: InForce, head: InForce, index: ClusterIndex
) -> tuple[guard.Verdict, set[str]]:
    """Judge what of the children of an Application goes; also names those that go and leave everything behind."""
    before = children_of(base.brought, name)
    after = children_of(head.brought, name)
    bringing = head.brought.get(name)
    gone = {
        child.item.name: child.item
        for key, child in before.items()
        if key not in after and isinstance(child.item, Application)
    }
    spared = {str(app) for app in harmless(gone)} if _is_gone(bringing) else set()
    moved = {key for key in before.keys() - after.keys() if _is_there(key, head)}
    counted = {
        key
        for key, child in before.items()
        if key not in spared | moved
        and (not isinstance(child.item, Application) or _counts(child.item, index, gone=False))
    }
    offer = bringing.parent.offer if bringing else None
    verdict = children.judge(
        name,
        counted,
        set(after),
        largest=len(counted),
        application=head.applications.get(name),
        is_empty=offer is not None and not offer.children and not offer.others,
    )
    return verdict, spared


def _is_gone(bringing: Bringing | None) -> bool:
    return bringing is None or bringing.parent.is_gone


def _is_there(key: str, head: InForce) -> bool:
    """Whether a document is somebody else's now."""
    kind, slash, name = key.rpartition("/")
    if not slash:
        return AppName(name) in head.applications
    return name in (
        head.check.world.appsets if kind == "ApplicationSet" else head.check.world.projects
    )


def hold(subject: str, verdict: guard.Verdict) -> HeldChange:
    """Say what waits for an approval, and under which subject."""
    return HeldChange(subject=subject, message=verdict.message, removed=verdict.removed)


def _counts(application: Application, index: ClusterIndex, *, gone: bool) -> bool:
    """Whether its loss is a removal: not where its cluster left, nor where it goes with its set and leaves all behind."""
    if gone and application.deletion is Deletion.ORPHAN:
        return False
    try:
        index.resolve(application.destination)
    except BadInput:
        return False
    return True
