"""What is in force of a fleet at one revision, and what a merge of another makes of it. Pure.

The first revision stands for what the hub has accepted: all that its sets make is in force. The second is judged
against it as the hub would: failed sets keep what they have, policies keep what they keep, and the shrink budget says
what waits for an approval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet import guard
from fleet.argo.policy import Trim
from fleet.cli.validation import Check
from fleet.errors import BadInput
from fleet.generators.inforce import in_force, max_removals, outlive, to_trim
from fleet.generators.result import Generated
from fleet.model.application import Application, Deletion
from fleet.model.identity import AppName, TargetId
from fleet.model.target import Target
from fleet.targets import ClusterIndex, resolve_targets
from fleet.wire.difference import HeldChange

Rows = Mapping[AppName, Application]
_NONE: Rows = {}


@dataclass(slots=True, kw_only=True)
class InForce:
    """Applications by their set, and the targets of all of them."""

    check: Check
    sets: dict[str, Rows] = field(default_factory=dict)
    applications: dict[AppName, Application] = field(default_factory=dict)
    targets: Mapping[TargetId, Target] = field(default_factory=dict)


def at_base(check: Check) -> InForce:
    """Take everything that is made at the first revision as accepted."""
    found = InForce(check=check)
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


def at_head(check: Check, base: InForce, trimmed: Trims) -> InForce:
    """Apply the second revision on top of the first; nothing is held back yet. ``trimmed`` answers `trims`."""
    found = InForce(check=check)
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
    by_hand = found.check.world.applications
    found.applications = {AppName(name): item for name, item in by_hand.items()}
    for name in sorted(found.sets):
        for item in found.sets[name].values():
            found.applications.setdefault(item.name, item)
    found.targets = resolve_targets(found.applications, found.check.world).targets
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
            changes.append(_held(f"appset/{name}", verdict))
    excused = {app for change in changes for app in change.removed}
    counted = {app for app, item in base.applications.items() if _counts(item, index, gone=False)}
    verdict = guard.judge(
        counted - excused,
        set(head.applications),
        largest=len(counted - excused),
        what="this evaluation of the fleet",
    )
    return (*changes, _held("fleet", verdict)) if verdict.held else tuple(changes)


def _held(subject: str, verdict: guard.Verdict) -> HeldChange:
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
