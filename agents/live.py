"""What is known of the objects in the cluster: for each a hash of our fields, its health and its version, no more.

Watches and the answers to our own applies feed the table; it tells whose objects really changed, so that an echo of
our own write, or a status update that changes no health, wakes nobody. Whole objects are kept only where a
``ready-when`` will ask for them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from fleet.codec.jsontypes import JsonObject
from fleet.health.assess import assess, has_rule
from fleet.health.result import HealthResult
from fleet.kube.port import Resource
from fleet.model.healthrules import HealthRules
from fleet.model.identity import ObjectRef
from fleet.model.report import Health
from fleet.sync.drift import LiveObject, live_object
from fleet.sync.hooks import RUN, is_held
from fleet.sync.manifest import annotation, metadata_of, parse_tracking_id

_REMEMBERED = 1000

UNRATED = HealthResult(Health.PROGRESSING, "is being rated by a rule of the fleet's own")

KindKey = tuple[str, str]
"""Group and kind."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One object as it was seen last."""

    live: LiveObject
    health: HealthResult | None
    version: int
    generation: int = 0
    """Counts changes of its spec; 0: its kind has none."""
    written: int = 0
    """Its version after our last write."""
    body: JsonObject | None = None

    @property
    def app(self) -> str:
        """The application that its tracking annotation names."""
        owner = parse_tracking_id(self.live.tracking)
        return owner[0] if owner else ""


class LiveTable:
    """Objects with our label, by name."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[str], None]] = []
        self._seen: dict[KindKey, dict[ObjectRef, Seen]] = {}
        self._kept: frozenset[str] = frozenset()
        self.rules = HealthRules()
        """The fleet's own health rules; what they are about is rated elsewhere (`agents.rating`)."""
        self._ruled: dict[KindKey, bool] = {}
        self._unrated: dict[ObjectRef, JsonObject] = {}
        self.something_unrated = asyncio.Event()
        self._held: dict[ObjectRef, str] = {}
        """Objects that are held as hooks, with the application each is marked with."""
        self._gone: dict[ObjectRef, int] = {}
        """Versions at which objects went lately: an older answer that arrives later must not bring them back."""

    def listen(self, listener: Callable[[str], None]) -> None:
        """Be told the application whose objects changed."""
        self._listeners.append(listener)

    def keep_bodies_of(self, apps: Iterable[str]) -> None:
        """Keep whole objects of these applications from now on, and of no others."""
        self._kept = frozenset(apps)
        for seen in self._seen.values():
            for ref, item in seen.items():
                if item.body is not None and item.app not in self._kept:
                    seen[ref] = replace(item, body=None)

    def use(self, rules: HealthRules) -> set[KindKey]:
        """Rate by other rules from now on; returns the kinds whose objects have to be seen again for that."""
        before, self.rules = self.rules, rules
        self._ruled = {}
        return {kind for kind in self._seen if before.find(*kind) != rules.find(*kind)}

    def needs_whole(self, group: str, kind: str) -> bool:
        """Whether objects of a kind have to be seen whole to be rated."""
        return has_rule(group, kind) or self._is_ruled((group, kind))

    def take_unrated(self) -> dict[ObjectRef, JsonObject]:
        """Return what waits for a rating by the fleet's own rules, and forget it."""
        unrated, self._unrated = self._unrated, {}
        self.something_unrated.clear()
        return unrated

    def rated(
        self, ref: ObjectRef, obj: JsonObject, health: HealthResult | None, by: HealthRules
    ) -> None:
        """Take in the rating of an object as it was, by the rules as they were.

        A newer object that came meanwhile waits for its own; so does one whose kind has another rule now, or none.
        """
        kind = _key(ref)
        if by is not self.rules and by.find(*kind) != self.rules.find(*kind):
            return
        known = self._seen.get(kind, {})
        before = known.get(ref)
        if before is None or before.version != version_of(obj) or before.health == health:
            return
        known[ref] = replace(before, health=health)
        self._notify(before, known[ref])

    def observe(self, resource: Resource, obj: JsonObject, *, written: bool = False) -> ObjectRef:
        """Take in an object (whole or its metadata) as a list, a watch or (``written``) an apply showed it."""
        ref = ref_of(resource, obj)
        known = self._seen.setdefault(_key(ref), {})
        before = known.get(ref)
        version = version_of(obj)
        known_version = before.version if before is not None else self._gone.get(ref, 0)
        if version and version < known_version:
            return ref
        is_ours = written and version != known_version
        seen = self._reduced(ref, obj, version, before, is_ours=is_ours)
        if written:
            seen = replace(seen, written=version)
        known[ref] = seen
        if is_held(obj):
            self._held[ref] = seen.app
        else:
            self._held.pop(ref, None)
        is_changed = before is None or before.live != seen.live or before.health != seen.health
        # Somebody may have put right what differed without taking a field of ours.
        if is_changed or (not written and _generation(before) != seen.generation):
            self._notify(before, seen)
        elif before is not None and before.body != seen.body and seen.body is not None:
            self._tell(seen.app)
        return ref

    def remove(self, ref: ObjectRef, version: int = 0) -> None:
        """Take in that an object is gone, or does not carry our label any more."""
        known = self._seen.get(_key(ref), {})
        before = known.get(ref)
        if before is not None and version and version < before.version:
            return
        if version:
            self._remember_gone(ref, version)
        if before is None:
            return
        del known[ref]
        self._held.pop(ref, None)
        self._notify(before, None)

    def settle(self, kind: KindKey, listed: set[ObjectRef], version: int, namespace: str) -> None:
        """A list was taken in up to ``version``: what it did not name is gone."""
        for ref, item in list(self._seen.get(kind, {}).items()):
            if ref not in listed and namespace in ("", ref.namespace) and item.version <= version:
                self.remove(ref)

    def forget(self, kind: KindKey) -> None:
        """The cluster serves the kind no more."""
        for ref in list(self._seen.get(kind, {})):
            self.remove(ref)

    def get(self, ref: ObjectRef) -> Seen | None:
        """What is known of one object."""
        return self._seen.get(_key(ref), {}).get(ref)

    def held(self, app: str) -> list[ObjectRef]:
        """Objects that are marked as an application's and held as its hooks."""
        return sorted(ref for ref, owner in self._held.items() if owner == app)

    def index(self, refs: Iterable[ObjectRef]) -> dict[ObjectRef, LiveObject]:
        """Those of the objects that are there, as the planner wants them."""
        found = ((ref, self.get(ref)) for ref in refs)
        return {ref: seen.live for ref, seen in found if seen is not None}

    def health(self, refs: Iterable[ObjectRef]) -> Mapping[ObjectRef, HealthResult | None]:
        """Health of those that are there; None for kinds without a rule."""
        found = ((ref, self.get(ref)) for ref in refs)
        return {ref: seen.health for ref, seen in found if seen is not None}

    def bodies(self, refs: Iterable[ObjectRef]) -> list[JsonObject]:
        """Whole objects of those that are there and kept."""
        found = (self.get(ref) for ref in refs)
        return [seen.body for seen in found if seen is not None and seen.body is not None]

    def __len__(self) -> int:
        return sum(len(seen) for seen in self._seen.values())

    def _remember_gone(self, ref: ObjectRef, version: int) -> None:
        self._gone.pop(ref, None)
        self._gone[ref] = version
        if len(self._gone) > _REMEMBERED:
            del self._gone[next(iter(self._gone))]

    def _is_ruled(self, kind: KindKey) -> bool:
        if not self.rules.rules:
            return False
        if kind not in self._ruled:
            self._ruled[kind] = self.rules.find(*kind) is not None
        return self._ruled[kind]

    def _health(
        self, ref: ObjectRef, obj: JsonObject, before: Seen | None, *, is_ours: bool
    ) -> HealthResult | None:
        if self._is_ruled(_key(ref)):
            self._unrated[ref] = obj
            self.something_unrated.set()
            # What was said of another spec, or object, says nothing of this one: nobody may go on by it.
            if before is None or is_ours or _is_other(before, obj):
                return UNRATED
            return before.health
        return hook_health(obj) if annotation(obj, RUN) else assess(obj)

    def _reduced(
        self, ref: ObjectRef, obj: JsonObject, version: int, before: Seen | None, *, is_ours: bool
    ) -> Seen:
        live = live_object(obj)
        live = replace(live, fields=sys.intern(live.fields))
        seen = Seen(
            live,
            self._health(ref, obj, before, is_ours=is_ours),
            version,
            generation=_generation_of(obj),
            written=before.written if before is not None else 0,
        )
        if self._kept and seen.app in self._kept:
            return replace(seen, body=_without_managers(obj))
        return seen

    def _notify(self, before: Seen | None, after: Seen | None) -> None:
        for app in {seen.app for seen in (before, after) if seen is not None}:
            if app:
                self._tell(app)

    def _tell(self, app: str) -> None:
        for listener in self._listeners:
            listener(app)


def _is_other(seen: Seen, obj: JsonObject) -> bool:
    uid = str(metadata_of(obj).get("uid") or "")
    return seen.live.uid != uid or seen.generation != _generation_of(obj)


def _generation(seen: Seen | None) -> int:
    return seen.generation if seen is not None else 0


def _generation_of(obj: JsonObject) -> int:
    return int(obj["metadata"].get("generation") or 0)


def ref_of(resource: Resource, obj: JsonObject) -> ObjectRef:
    """Name an object, whatever version it is shown in."""
    metadata = obj["metadata"]
    namespace = str(metadata.get("namespace") or "") if resource.namespaced else ""
    return ObjectRef(
        resource.group, sys.intern(resource.kind), sys.intern(namespace), str(metadata["name"])
    )


def hook_health(obj: JsonObject) -> HealthResult | None:
    """Health of a hook's object: one that clears itself away when it is through is still judged by how it ended."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "deletionTimestamp"}
    return assess({**obj, "metadata": metadata})


def version_of(obj: JsonObject) -> int:
    """An object's resource version as the number that it is on every API server backed by etcd; else 0."""
    text = str((obj.get("metadata") or {}).get("resourceVersion") or "")
    return int(text) if text.isdigit() else 0


def _key(ref: ObjectRef) -> KindKey:
    return ref.group, ref.kind


def _without_managers(obj: JsonObject) -> JsonObject:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}
