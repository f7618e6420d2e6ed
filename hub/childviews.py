"""What people are shown of an app of apps: a parent is as good as what it brings is in force. Pure reading.

An Application that renders nothing but documents of the fleet needs no agent: the hub itself knows how it stands. Its
health includes that of its sets, and of its Applications only where a rule of the fleet rates these, as in Argo CD.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from fleet.argo.children import GROUP, Child
from fleet.children import Choice
from fleet.model.application import Application
from fleet.model.identity import AppName, TargetId
from fleet.model.report import Health, Sync, TargetStatus
from fleet.wire import api
from hub import sethealth
from hub.state import State

WORST_LAST = (Health.HEALTHY, Health.SUSPENDED, Health.PROGRESSING, Health.DEGRADED)
"""A child that is Missing or Unknown does not count, as in Argo CD."""

Shown = Callable[[TargetId], TargetStatus]


def shown(state: State, id_: TargetId, status: TargetStatus, of: Shown) -> TargetStatus:
    """Put what an Application brings into how it stands; ``of`` tells how another target stands."""
    choice = _choice(state, id_)
    if choice is None:
        return status
    candidate, pin = state.candidates.get(id_), state.pins.get(id_)
    if pin is None and (candidate is None or candidate.error):
        return status
    kinds = pin.kinds if pin else candidate.kinds if candidate else {}
    if not (state.assigned.get(id_) or kinds):
        sync = Sync.OUT_OF_SYNC if pin else Sync.SYNCED
        status = msgspec.structs.replace(status, sync=sync, health=Health.HEALTHY)
    if status.sync is Sync.SYNCED and (
        choice.pending or choice.extra or choice.refused or choice.loop
    ):
        status = msgspec.structs.replace(status, sync=Sync.OUT_OF_SYNC)
    if status.health not in WORST_LAST:
        return status
    healths = [status.health, *_healths(state, choice, of)]
    return msgspec.structs.replace(
        status, health=max((each for each in healths if each in WORST_LAST), key=WORST_LAST.index)
    )


def are_in_force(state: State, id_: TargetId) -> bool:
    """Whether an Application's children are in force as it renders them, or rendered them where it is pinned."""
    choice = _choice(state, id_)
    return choice is None or not (_is_on_its_way_back(state, id_, choice) or choice.pending)


def _is_on_its_way_back(state: State, id_: TargetId, choice: Choice) -> bool:
    pin = state.pins.get(id_)
    return pin is not None and pin.bundle not in ("", choice.artifact)


def message(state: State, id_: TargetId) -> str:
    """Say what of an Application's children is not as it renders them; empty when all are."""
    choice = _choice(state, id_)
    if choice is None:
        return ""
    pin = state.pins.get(id_)
    parts = [text for text in (pin.words if pin else "", choice.loop) if text]
    if _is_on_its_way_back(state, id_, choice):
        parts.append("its documents of then are not in force yet")
    elif choice.pending:
        parts.append(f"{len(choice.pending)} of its documents are not in force yet")
    if choice.extra:
        parts.append(f"{len(choice.extra)} that it no longer renders stay")
    if choice.waits_for and (choice.pending or choice.extra):
        parts.append(f"waits: {choice.waits_for}")
    parts += [f"{key}: {reason}" for key, reason in sorted(choice.refused.items())[:1]]
    return "; ".join(parts)


def rows(state: State, id_: TargetId, of: Shown) -> tuple[api.ChildRow, ...]:
    """Everything that an Application brings to the fleet, or has in force, in the order of waves."""
    choice, offer = _choice(state, id_), state.offer(id_)
    if choice is None:
        return ()
    known = {**choice.in_force, **(offer.children if offer else {})}
    ordered = sorted(known.values(), key=lambda child: (child.wave, child.kind, child.name))
    return tuple(_row(state, child, choice, of) for child in ordered)


def origin(state: State, application: Application) -> str:
    """Say which Applications brought one to the fleet."""
    parent = application.parents[-1]
    gone = "" if parent in state.desired.applications else ", which is gone and left it"
    made = f"ApplicationSet {application.appset} made it, " if application.appset else ""
    chain = " -> ".join((*application.parents, application.name))
    return f"{made}rendered by application {parent}{gone} ({chain})"


def _choice(state: State, id_: TargetId) -> Choice | None:
    cluster = state.desired.clusters.get(id_.cluster)
    return state.desired.children.get(id_.app) if cluster and cluster.management else None


def _row(state: State, child: Child, choice: Choice, of: Shown) -> api.ChildRow:
    if child.key in choice.refused:
        sync, said = Sync.OUT_OF_SYNC, choice.refused[child.key]
    elif child.key in choice.pending:
        changed = child.key in choice.in_force
        sync, said = Sync.OUT_OF_SYNC, "changed" if changed else "not in force yet"
    elif child.key in choice.extra:
        sync, said = Sync.OUT_OF_SYNC, "no longer rendered; it stays"
    else:
        sync, said = Sync.SYNCED, ""
    found = list(_health(state, child, of))
    return api.ChildRow(
        kind=child.kind,
        name=child.name,
        wave=child.wave,
        sync=sync.value,
        health=found[0].value if found else "",
        message=said,
    )


def _healths(state: State, choice: Choice, of: Shown) -> Iterator[Health]:
    are_rated = state.rules.health.find(GROUP, "Application") is not None
    for child in choice.in_force.values():
        if are_rated or child.kind != "Application":
            yield from _health(state, child, of)


def _health(state: State, child: Child, of: Shown) -> Iterator[Health]:
    if child.kind == "ApplicationSet":
        yield sethealth.health(state, child.name)
    elif child.kind == "Application":
        name = AppName(child.name)
        for cluster in sorted(state.placement.places.get(name, ())):
            yield of(TargetId(cluster, name)).health
