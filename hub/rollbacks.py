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

from fleet.codec.canonical import Digest
from fleet.codec.redaction import one_line
from fleet.errors import BadInput, NotReady
from fleet.model.assignment import Operation
from fleet.model.identity import ClusterName, TargetId
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.store.port import ArtifactStore, Delete, Kind, Put, Store
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
    dispatch: Callable[[TargetId], None]
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while pins change: one that is being written must not be taken for the one before."""

    async def restore(self) -> None:
        """Read the pins that stand."""
        self.state.pins = {
            TargetId.parse(key): msgspec.json.decode(data, type=Pin)
            for key, data in (await self.store.load(Kind.PINS)).items()
        }

    def named(self) -> frozenset[str]:
        """Return the artifacts that targets are kept at."""
        return frozenset(pin.digest for pin in self.state.pins.values())

    async def roll_back(self, target: TargetId, wish: Wish) -> tuple[Operation, Deployment]:
        """Bring a target back; returns the operation that does it, and what it goes to."""
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
            candidate = self.state.candidates.get(target)
            is_known = target in desired.targets or target in self.state.assigned
            is_gone = desired.certain and not is_known
            if is_gone or (candidate is not None and candidate.digest == pin.digest):
                await self._release(target)

    async def _roll_back(self, target: TargetId, wish: Wish) -> tuple[Operation, Deployment]:
        if target not in self.state.desired.targets:
            raise NotReady(f"{target} is not wanted any more")
        if held := self.state.desired.targets[target].held:
            raise BadInput(f"{target} may not be changed: {held}")
        self._refuse_parent(target)
        self._refuse_automated(target, wish)
        chosen = self._choose(target, wish.to)
        if not await self.artifacts.has(Digest(chosen.digest)):
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
        )
        await self.store.commit(Put(Kind.PINS, str(target), msgspec.json.encode(pin)))
        self.state.pins[target] = pin
        self.state.holds.pop(f"app/{target}", None)  # what was held is not what is asked for
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
        self.dispatch(target)
        return operation, chosen

    async def _release(self, target: TargetId) -> bool:
        if target not in self.state.pins:
            return False
        await self.store.commit(Delete(Kind.PINS, str(target)))
        self.state.pins.pop(target, None)
        log.info("pin released", **{fields.TARGET: str(target)})
        self.dispatch(target)
        return True

    def _refuse_parent(self, target: TargetId) -> None:
        """What a parent brought is no object of its artifact: a rollback that left it alone would be half of one."""
        offer = self.state.offers.get(target)
        choice = self.state.desired.children.get(target.app)
        if (offer is not None and offer.children) or (choice is not None and choice.in_force):
            raise BadInput(
                f"{target} brings child applications, which come from git and not from its artifact",
                hint="roll the child applications back, or revert the change in git",
            )

    def _refuse_automated(self, target: TargetId, wish: Wish) -> None:
        application = self.state.desired.targets[target].application
        if application.sync_policy.automated is not None and not wish.pin:
            raise BadInput(
                f"{target} is synced automatically, which would undo a rollback at once",
                hint="with --pin it stays at the earlier version until: fleet app sync",
            )

    def _choose(self, target: TargetId, wanted: int) -> Deployment:
        known = self.history.of(target)
        now = self.state.assigned.get(target, "")
        status = self.state.status(target)
        applied = status.applied if status else ""
        pin = self.state.pins.get(target)
        if not wanted and pin is not None and applied != pin.digest:
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
            current = {now, applied}
            found = next((item for item in reversed(known) if item.digest not in current), None)
            if found is None:
                raise BadInput(
                    f"{target} has no earlier deployment to go back to",
                    hint="fleet app history shows what is kept",
                )
        if found.digest == now == applied:
            raise BadInput(f"{target} is at deployment {found.id} already")
        return found
