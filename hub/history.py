"""History: what each target was brought to, and when, so that it can be brought back.

An entry is added when a cluster reports that it applied another artifact completely, whoever asked for it. Entries
name artifacts by digest and keep them from being forgotten, so a rollback works when the git history, the chart or
the repository is gone. Level-based: an entry that was missed (a stop at the wrong moment) is made from the status that
stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from fleet.model.application import Source
from fleet.model.identity import ClusterName, TargetId
from fleet.model.report import TargetStatus
from fleet.runtime.clock import Clock
from fleet.runtime.reconciler import Done, Outcome
from fleet.store.port import Delete, Kind, Put, Store
from hub.state import State

DEFAULT_LIMIT = 10
"""Entries of a target that nothing wants any more, until it is reported gone."""


AUTOMATED = "auto-"
"""What the id of an operation begins with that nobody asked for."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry: an artifact that was applied completely."""

    id: int
    digest: str
    revision: str = ""
    sources: tuple[str, ...] = ()
    """``REPO PATH-OR-CHART REVISION`` as the Application had them."""
    started_at: datetime | None = None
    """When it was handed out; None where that is not known."""
    deployed_at: datetime
    initiated_by: str = ""
    bundle: str = ""
    """Everything that it rendered, with the documents that it brought to the fleet; on the management cluster only."""
    kinds: dict[str, int] = {}
    """Objects by kind: what a later change is judged against after a return to this one."""


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    deployments: tuple[Deployment, ...] = ()
    """Oldest first."""


@dataclass(frozen=True, slots=True)
class _HandedOut:
    """What is known of a digest from when it was assigned."""

    digest: str
    revision: str
    sources: tuple[str, ...]
    at: datetime
    kinds: Mapping[str, int]


@dataclass(slots=True, kw_only=True)
class History:
    """The deployments of all targets."""

    store: Store
    state: State
    clock: Clock
    _deployments: dict[TargetId, tuple[Deployment, ...]] = field(default_factory=dict)
    _handed_out: dict[TargetId, _HandedOut] = field(default_factory=dict)

    async def restore(self) -> None:
        """Read everything."""
        self._deployments = {
            TargetId.parse(key): msgspec.json.decode(data, type=_Record).deployments
            for key, data in (await self.store.load(Kind.HISTORY)).items()
        }

    def of(self, target: TargetId) -> tuple[Deployment, ...]:
        """Return a target's deployments, oldest first."""
        return self._deployments.get(target, ())

    def named(self) -> frozenset[str]:
        """Return the artifacts that are kept for a rollback."""
        return frozenset(
            digest
            for items in self._deployments.values()
            for item in items
            for digest in (item.digest, item.bundle)
            if digest
        )

    def known(self) -> Iterable[TargetId]:
        """Return the targets that have a history."""
        return tuple(self._deployments)

    def assigned(self, moved: Iterable[TargetId]) -> None:
        """Note what was just handed out: its revision is known now, and may be another one later."""
        for id_ in moved:
            target = self.state.desired.targets.get(id_)
            digest = self.state.assigned.get(id_, "")
            if target is None or not digest:
                continue
            self._handed_out[id_] = _HandedOut(
                digest=digest,
                revision=self._revision(id_, digest),
                sources=tuple(_describe(source) for source in target.application.sources),
                at=self.clock.now(),
                kinds=self.state.kinds.get(id_, {}),
            )

    async def reconcile(self, id_: TargetId) -> Outcome:
        """Bring one target's history up to what is reported of it."""
        status = self.state.status(id_)
        target = self.state.desired.targets.get(id_)
        if status is None and target is None:
            await self._forget(id_)
            return Done()
        known = self.of(id_)
        limit = target.application.history_limit if target is not None else DEFAULT_LIMIT
        wanted = known
        brought = self._brought(id_, status)
        if brought is not None and not _stands(known, *brought):
            wanted = _with(known, self._deployment(id_, status, brought, known))
        wanted = wanted[-limit:] if limit > 0 else ()
        if wanted != known:
            data = msgspec.json.encode(_Record(deployments=wanted))
            await self.store.commit(Put(Kind.HISTORY, str(id_), data))
            self._deployments[id_] = wanted
        return Done()

    async def forget(self, cluster: ClusterName) -> None:
        """Drop the deployments of a cluster that was removed: another one may come under its name."""
        for id_ in self.known():
            if id_.cluster == cluster:
                await self._forget(id_)

    def _brought(self, id_: TargetId, status: TargetStatus | None) -> tuple[str, str] | None:
        """The artifact and the bundle that a target was brought to completely; None: it is on its way, or nothing is."""
        state = self.state
        applied, assigned = status.applied if status else "", state.assigned.get(id_, "")
        pin, candidate = state.pins.get(id_), state.candidates.get(id_)
        digest = pin.digest if pin else candidate.digest if candidate else ""
        offer = state.offer(id_)
        choice = state.desired.children.get(id_.app) if offer is not None else None
        if choice is None:
            bundle = offer.artifact if offer is not None and digest == applied else ""
            return (applied, bundle) if applied else None
        # an app of apps: its documents are in force, and its own objects there if anybody applies them
        is_there = offer is not None and choice.artifact == offer.artifact and not choice.pending
        if not (is_there and digest and applied == (digest if assigned else "")):
            return None
        return digest, choice.artifact

    def _deployment(
        self,
        id_: TargetId,
        status: TargetStatus | None,
        brought: tuple[str, str],
        known: tuple[Deployment, ...],
    ) -> Deployment:
        digest, bundle = brought
        out = self._handed_out.get(id_)
        if out is None or out.digest != digest:
            earlier = next((item for item in reversed(known) if _is_of(item, digest, bundle)), None)
            out = _HandedOut(
                digest=digest,
                revision=self._revision(id_, digest) or (earlier.revision if earlier else ""),
                sources=earlier.sources if earlier else self._sources(id_, digest),
                at=self.clock.now(),
                kinds=earlier.kinds if earlier else self._kinds(id_, digest),
            )
            started = None
        else:
            started = out.at
        return Deployment(
            id=known[-1].id + 1 if known else 1,
            digest=digest,
            revision=out.revision,
            sources=out.sources,
            started_at=started,
            deployed_at=self.clock.now(),
            initiated_by=self._initiator(id_, status, digest),
            bundle=bundle,
            kinds=dict(out.kinds),
        )

    def _initiator(self, id_: TargetId, status: TargetStatus | None, digest: str) -> str:
        pin = self.state.pins.get(id_)
        if pin is not None and pin.digest == digest:
            return f"rollback to {pin.deployment}"
        asked = status.operation if status else None
        if asked is not None and not asked.id.startswith(AUTOMATED):
            return f"sync {asked.id}"
        target = self.state.desired.targets.get(id_)
        by_hand = status is None and target and target.application.sync_policy.automated is None
        return "sync" if by_hand else "automated sync"

    def _sources(self, id_: TargetId, digest: str) -> tuple[str, ...]:
        """The sources of what nobody handed out: documents for the fleet alone."""
        candidate, target = self.state.candidates.get(id_), self.state.desired.targets.get(id_)
        if id_ not in self.state.offers or not (
            candidate and candidate.digest == digest and target
        ):
            return ()
        return tuple(_describe(source) for source in target.application.sources)

    def _revision(self, id_: TargetId, digest: str) -> str:
        """The revision that a digest was rendered from, where it is the newest rendering or in the history."""
        candidate = self.state.candidates.get(id_)
        if candidate is not None and candidate.digest == digest:
            return self.state.revisions.get(id_, "")
        found = (item.revision for item in reversed(self.of(id_)) if item.digest == digest)
        return next(found, "")

    def _kinds(self, id_: TargetId, digest: str) -> Mapping[str, int]:
        is_assigned = self.state.assigned.get(id_) == digest
        return self.state.kinds.get(id_, {}) if is_assigned else {}

    async def _forget(self, id_: TargetId) -> None:
        self._handed_out.pop(id_, None)
        if id_ in self._deployments:
            await self.store.commit(Delete(Kind.HISTORY, str(id_)))
            self._deployments.pop(id_, None)


def _is_of(item: Deployment, digest: str, bundle: str) -> bool:
    return item.digest == digest and bundle in ("", item.bundle)


def _stands(known: tuple[Deployment, ...], digest: str, bundle: str) -> bool:
    return bool(known) and _is_of(known[-1], digest, bundle)


def _with(known: tuple[Deployment, ...], new: Deployment) -> tuple[Deployment, ...]:
    """Add an entry, or say what the last one brought where that was not known."""
    if known and known[-1].digest == new.digest and not known[-1].bundle:
        return (*known[:-1], msgspec.structs.replace(known[-1], bundle=new.bundle))
    return (*known, new)


def _describe(source: Source) -> str:
    return f"{source.repo_url} {source.chart or source.path} {source.target_revision}".strip()
