"""The desired objects of each target, made from its artifact; between syncs only their names and digests are kept.

A plan needs names, digests and order, which are small; bodies are read from the cache again when something has to
be applied or compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from agents.assignment import Assignment
from agents.cache import Cache
from fleet.codec import canonical
from fleet.codec.canonical import Digest
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Corrupt, NotReady
from fleet.health.result import IGNORE_HEALTH
from fleet.kube.port import Discovery
from fleet.model.assignment import Section
from fleet.model.identity import ObjectRef
from fleet.sync.desired import Desired, desired_manifests
from fleet.sync.farewell import is_farewell
from fleet.sync.hooks import Hook
from fleet.sync.manifest import Manifest, Scope, metadata_of

_KEPT_PER_TARGET = 2


@dataclass(frozen=True, slots=True)
class _Light:
    """A desired state without bodies, and what it was made from."""

    section: Section
    discovery: Discovery
    desired: Desired


class DesiredStates:
    """Desired states by target and artifact."""

    def __init__(self, cache: Cache, cluster: str) -> None:
        self._cache = cache
        self._cluster = cluster
        self._light: dict[str, dict[str, _Light]] = {}

    def light(self, section: Section, discovery: Discovery) -> Desired:
        """A target's desired state without bodies; raises NotReady while its artifact is not at hand."""
        known = self._light.get(section.target, {}).get(section.artifact)
        if known is not None and known.section is section and known.discovery is discovery:
            return known.desired
        if known is not None and known.section == section and known.discovery is discovery:
            return known.desired
        return self._keep(section, discovery, self.full(section, discovery))

    def full(self, section: Section, discovery: Discovery) -> Desired:
        """A target's desired state with everything; raises NotReady while its artifact is not at hand."""

        def scope_of(group: str, kind: str) -> Scope | None:
            found = discovery.preferred(group, kind)
            if found is None:
                return None
            return Scope.NAMESPACED if found.namespaced else Scope.CLUSTER

        objects = self._objects(section)
        desired = desired_manifests(section, objects, scope_of, cluster=self._cluster)
        self._keep(section, discovery, desired)
        return desired

    def claims(
        self, assignment: Assignment, discovery: Discovery, target: str
    ) -> Mapping[ObjectRef, str]:
        """Objects that the other targets' assigned artifacts name, with the target.

        Raises NotReady where one of these artifacts is not at hand: then nobody knows, and nothing may be deleted.
        """
        found: dict[ObjectRef, str] = {}
        for name, section in assignment.sections.items():
            if name == target or not section.artifact:
                continue
            for ref in self.light(section, discovery).refs:
                found[ref] = name
        return found

    def known_claims(self, target: str) -> Mapping[ObjectRef, str]:
        """Like `claims`, as far as it is known without reading anything."""
        return {
            ref: name
            for name, states in self._light.items()
            if name != target
            for light in list(states.values())[-1:]
            for ref in light.desired.refs
        }

    def kinds(self) -> set[tuple[str, str]]:
        """Groups and kinds of everything that is known to be desired."""
        return {
            (ref.group, ref.kind)
            for states in self._light.values()
            for light in states.values()
            for ref in light.desired.refs
        }

    def forget(self, present: Iterable[str]) -> None:
        """Drop the targets that are not among those."""
        for name in self._light.keys() - set(present):
            del self._light[name]

    def _objects(self, section: Section) -> list[JsonObject]:
        if not section.artifact:
            return []
        data = self._cache.read(Digest(section.artifact))
        if data is None:
            raise NotReady(f"artifact {section.artifact} is not here yet")
        try:
            value = canonical.decode(data)
        except BadInput as error:
            raise Corrupt(f"artifact {section.artifact} cannot be read") from error
        objects = value.get("objects") if isinstance(value, dict) else None
        if not isinstance(objects, list):
            raise Corrupt(f"artifact {section.artifact} holds no objects")
        return [item for item in objects if isinstance(item, dict)]

    def _keep(self, section: Section, discovery: Discovery, desired: Desired) -> Desired:
        light = replace(
            desired,
            manifests=tuple(_without_body(m) for m in desired.manifests),
            hooks=tuple(_light_hook(hook) for hook in desired.hooks),
        )
        states = self._light.setdefault(section.target, {})
        states.pop(section.artifact, None)
        states[section.artifact] = _Light(section, discovery, light)
        while len(states) > _KEPT_PER_TARGET:
            del states[next(iter(states))]
        return light


def _light_hook(hook: Hook) -> Hook:
    """Keep the bodies of those that the inventory has to have when the application leaves."""
    return hook if is_farewell(hook) else replace(hook, body={})


def _without_body(manifest: Manifest) -> Manifest:
    """Keep of the body what a status looks at: the wish that its health does not count."""
    annotations = metadata_of(manifest.body).get("annotations") or {}
    kept = {IGNORE_HEALTH: annotations[IGNORE_HEALTH]} if IGNORE_HEALTH in annotations else {}
    return replace(manifest, body={"metadata": {"annotations": kept}} if kept else {})
