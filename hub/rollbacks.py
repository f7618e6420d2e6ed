"""Rollbacks: a target is brought back to an artifact of its history, and stays there until somebody syncs it again.

As with Argo CD a rollback is refused while automated sync is on, for git would undo it at once; with ``pin`` it is not:
the target is then kept at that artifact (healed and all) until ``fleet app sync``, which lets git decide again. A pin
also goes by itself when git wants the same artifact. It is durable, and no dependency, rollout or budget holds back
what a person asked for to repair something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import structlog

from fleet.argo.children import Offer
from fleet.codec.canonical import Digest
from fleet.codec.redaction import one_line
from fleet.errors import BadInput, FleetError, NotReady
from fleet.model.assignment import Operation
from fleet.model.identity import ClusterName, TargetId
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.store.port import ArtifactStore, Delete, Kind, Put, Store
from hub.bundles import opened
from hub.history import Deployment, History
from hub.operations import Operations
from hub.state import Pin, State

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for."""

    to: int = 0
    """Id of a deployment; 0: the last one that was another artifact than the one in force."""
    pin: bool = False
    """Although automated sync is on: keep it there."""
    prune: bool = False
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class Rollbacks:
    """The pins of all targets, written through to the store."""

    store: Store
    artifacts: ArtifactStore
    state: State
    history: History
    operations: Operations
    clock: Clock
    changed: Callable[[TargetId], None]
    """Told a target that is pinned now, or is no more."""
    is_bound: Callable[[ClusterName], bool] = lambda _name: True
    """Whether a cluster has an agent."""
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while pins change: one that is being written must not be taken for the one before."""

    async def restore(self) -> None:
        """Read the pins that stand."""
        self.state.pins = {
            TargetId.parse(key): msgspec.json.decode(data, type=Pin)
            for key, data in (await self.store.load(Kind.PINS)).items()
        }
        for target, pin in self.state.pins.items():
            if not pin.bundle:
                continue
            try:
                self.state.pinned_offers[target] = await self._offer(target, pin)
            except FleetError as error:  # nothing of it changes until somebody syncs it
                log.error("bundle unread", **{fields.TARGET: str(target)}, error=error.message)

    def named(self) -> frozenset[str]:
        """Return the artifacts that targets are kept at."""
        pins = self.state.pins.values()
        return frozenset(name for pin in pins for name in (pin.digest, pin.bundle) if name)

    async def roll_back(self, target: TargetId, wish: Wish) -> tuple[Operation | None, Deployment]:
        """Bring a target back; returns the operation that does it, and what it goes to.

        An app of apps on a cluster without an agent needs no operation: the hub does what there is to do.
        """
        async with self._busy:
            return await self._roll_back(target, wish)

    async def release(self, target: TargetId) -> bool:
        """Let git decide about a target again; whether it was pinned."""
        async with self._busy:
            return await self._release(target)

    async def forget(self, cluster: ClusterName) -> None:
        """Drop the pins of a cluster that was removed: another one may come under its name."""
        async with self._busy:
            for target in [id_ for id_ in self.state.pins if id_.cluster == cluster]:
                await self._release(target)

    async def settle(self, target: TargetId) -> None:
        """Drop a pin that says what git says, or whose target is gone: not one that is only out of sight."""
        if target not in self.state.pins:
            return
        async with self._busy:
            pin = self.state.pins.get(target)
            desired = self.state.desired
            if pin is None or not desired.evaluated:
                return
            candidate, offer = self.state.candidates.get(target), self.state.offers.get(target)
            is_wanted = candidate is not None and candidate.digest == pin.digest
            if pin.bundle:
                is_wanted = is_wanted and offer is not None and offer.artifact == pin.bundle
            is_known = target in desired.targets or target in self.state.assigned
            is_gone = desired.certain and not is_known
            if is_gone or is_wanted:
                await self._release(target)

    async def _roll_back(self, target: TargetId, wish: Wish) -> tuple[Operation | None, Deployment]:
        if target not in self.state.desired.targets:
            raise NotReady(f"{target} is not wanted any more")
        if held := self.state.desired.targets[target].held:
            raise BadInput(f"{target} may not be changed: {held}")
        self._refuse_automated(target, wish)
        chosen = self._choose(target, wish.to)
        bundle = self._bundle(target, chosen)
        needed = [Digest(digest) for digest in (chosen.digest, bundle) if digest]
        if not all([await self.artifacts.has(digest) for digest in needed]):
            raise NotReady(
                f"the artifact of deployment {chosen.id} of {target} is not kept any more",
                hint="revert the change in git instead",
            )
        pin = Pin(
            digest=chosen.digest,
            deployment=chosen.id,
            revision=chosen.revision,
            at=self.clock.now(),
            reason=one_line(wish.reason),
            kinds=chosen.kinds,
            bundle=bundle,
            namespace=self.state.desired.targets[target].application.destination.namespace,
            prune=wish.prune,
        )
        offer = await self._offer(target, pin) if bundle else None
        await self.store.commit(Put(Kind.PINS, str(target), msgspec.json.encode(pin)))
        self.state.pinned_offers.pop(target, None)
        if offer is not None:
            self.state.pinned_offers[target] = offer
        self.state.pins[target] = pin
        self.state.holds.pop(f"app/{target}", None)  # what was held is not what is asked for
        operation = None
        if not bundle or self.is_bound(target.cluster):
            operation = await self.operations.ask(
                target, "sync", {"prune": wish.prune, "artifact": chosen.digest}
            )
        log.info(
            "rolled back",
            **{fields.TARGET: str(target)},
            deployment=chosen.id,
            digest=chosen.digest,
            pinned=wish.pin,
            reason_given=pin.reason,
        )
        self.changed(target)
        return operation, chosen

    async def _release(self, target: TargetId) -> bool:
        if target not in self.state.pins:
            return False
        await self.store.commit(Delete(Kind.PINS, str(target)))
        self.state.pins.pop(target, None)
        self.state.pinned_offers.pop(target, None)
        log.info("pin released", **{fields.TARGET: str(target)})
        self.changed(target)
        return True

    async def _offer(self, target: TargetId, pin: Pin) -> Offer:
        """Read what a target brought to the fleet at an earlier deployment."""
        offer, _ = await opened(
            self.artifacts, Digest(pin.bundle), parent=target, namespace=pin.namespace
        )
        return offer

    def _is_parent(self, target: TargetId) -> bool:
        """Whether a target brings documents to the fleet, or has brought some that are in force."""
        cluster = self.state.desired.clusters.get(target.cluster)
        offer, choice = self.state.offer(target), self.state.desired.children.get(target.app)
        is_joined = cluster is not None and cluster.management
        return is_joined and bool((offer and offer.children) or (choice and choice.in_force))

    def _bundle(self, target: TargetId, chosen: Deployment) -> str:
        """The bundle that a rollback of an app of apps goes to; empty for what brings nothing, now and then."""
        if not self._is_parent(target):
            return "" if chosen.bundle == chosen.digest else chosen.bundle
        if not chosen.bundle:
            raise BadInput(
                f"deployment {chosen.id} of {target} does not say which documents it brought to the fleet",
                hint="it is older than such records: choose a later one, or revert the change in git",
            )
        return chosen.bundle

    def _refuse_automated(self, target: TargetId, wish: Wish) -> None:
        application = self.state.desired.targets[target].application
        if application.sync_policy.automated is not None and not wish.pin:
            raise BadInput(
                f"{target} is synced automatically, which would undo a rollback at once",
                hint="with --pin it stays at the earlier version until: fleet app sync",
            )

    def _choose(self, target: TargetId, wanted: int) -> Deployment:
        known = self.history.of(target)
        pin = self.state.pins.get(target)
        if not wanted and pin is not None and not self._is_at(target, pin.digest, pin.bundle):
            wanted = pin.deployment  # asked for again: it has not arrived
        if wanted:
            found = next((item for item in known if item.id == wanted), None)
            if found is None:
                ids = ", ".join(str(item.id) for item in known) or "none"
                raise BadInput(
                    f"{target} has no deployment {wanted} in its history",
                    hint=f"there are: {ids} (fleet app history)",
                )
        else:
            found = next(
                (item for item in reversed(known) if not self._is_current(target, item)), None
            )
            if found is None:
                raise BadInput(
                    f"{target} has no earlier deployment to go back to",
                    hint="fleet app history shows what is kept",
                )
        assigned = self.state.assigned.get(target, "")
        is_assigned = assigned == found.digest or not self.is_bound(target.cluster)
        if is_assigned and self._is_at(target, found.digest, found.bundle):
            raise BadInput(f"{target} is at deployment {found.id} already")
        return found

    def _is_current(self, target: TargetId, item: Deployment) -> bool:
        """Whether a target is at a deployment, or on its way to it."""
        if self._is_parent(target) and item.bundle:
            offer = self.state.offer(target)
            return offer is not None and offer.artifact == item.bundle
        status = self.state.status(target)
        return item.digest in {
            self.state.assigned.get(target, ""),
            status.applied if status else "",
        }

    def _is_at(self, target: TargetId, digest: str, bundle: str) -> bool:
        """Whether a target was brought to an artifact completely, its documents included."""
        status = self.state.status(target)
        is_applied = (status.applied if status else "") == digest
        if not (bundle and self._is_parent(target)):
            return is_applied
        choice = self.state.desired.children.get(target.app)
        is_brought = choice is not None and choice.artifact == bundle and not choice.pending
        return is_brought and (is_applied or not self.is_bound(target.cluster))
