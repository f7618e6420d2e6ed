"""Workloads that turn Ready by themselves after a while: the controllers and kubelets that an API server alone lacks.

Only statuses are written, as the real controllers write them; there are no Pods. A change of the specification starts the wait
again, so that a rollout can be seen and waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fleet.codec.jsontypes import JsonObject
from fleet.embedded import apply, managed
from fleet.embedded.api import Api, now
from fleet.embedded.readiness import progress, ready
from fleet.embedded.store import Change, Slot, StoreKey, slot_of

_Place = tuple[StoreKey, Slot]


class Workloads:
    """Watches the store and writes statuses when they are due."""

    def __init__(self, api: Api, delay: float | None) -> None:
        self._api = api
        self._delay = delay
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due: dict[_Place, asyncio.TimerHandle] = {}
        api.store.listeners.append(self._note)

    def start(self) -> None:
        """Begin, with what is there already."""
        self._loop = asyncio.get_running_loop()
        for key, obj in self._api.store.all():
            self._schedule(key, obj)

    def stop(self) -> None:
        """Write nothing more."""
        self._loop = None
        for handle in self._due.values():
            handle.cancel()
        self._due.clear()

    def _note(self, change: Change) -> None:
        place = (change.key, slot_of(change.after))
        if change.type == "DELETED":
            handle = self._due.pop(place, None)
            if handle is not None:
                handle.cancel()
            return
        if change.before is None or change.before.get("spec") != change.after.get("spec"):
            self._schedule(change.key, change.after)

    def _schedule(self, key: StoreKey, obj: JsonObject) -> None:
        if self._loop is None or ready(key, obj, now()) is None:
            return
        place = (key, slot_of(obj))
        previous = self._due.pop(place, None)
        if previous is not None:
            previous.cancel()
        self._due[place] = self._loop.call_later(0, self._begin, place)

    def _begin(self, place: _Place) -> None:
        """The controller has seen it."""
        self._due.pop(place, None)
        self._write(place, progress)
        if self._loop is not None and self._delay is not None:
            self._due[place] = self._loop.call_later(self._delay, self._end, place)

    def _end(self, place: _Place) -> None:
        """It is Ready."""
        self._due.pop(place, None)
        self._write(place, ready)
        obj = self._api.store.get(*place)
        lifetime = (obj or {}).get("spec", {}).get("ttlSecondsAfterFinished")
        if self._loop is not None and lifetime is not None:
            self._due[place] = self._loop.call_later(lifetime, self._clear_away, place)

    def _clear_away(self, place: _Place) -> None:
        """A finished Job does not stay longer than it asked for."""
        self._due.pop(place, None)
        obj = self._api.store.get(*place)
        kind = self._api.kinds.of_store(place[0])
        if obj is not None and kind is not None:
            self._api.lifecycle.delete(kind, obj, "Foreground")

    def _write(
        self, place: _Place, status_of: Callable[[StoreKey, JsonObject, str], JsonObject | None]
    ) -> None:
        key, slot = place
        obj = self._api.store.get(key, slot)
        kind = self._api.kinds.of_store(key)
        if obj is None or kind is None or obj["metadata"].get("deletionTimestamp"):
            return
        changed = status_of(key, obj, now())
        if changed is None:
            return
        after = {**obj, **changed}
        manager = managed.updater("kube-controller-manager", kind.api_version, "status")
        claims = apply.updated(obj, after, kind.schema, manager, now())
        self._api.settle(kind, obj, apply.with_claims(after, claims))
