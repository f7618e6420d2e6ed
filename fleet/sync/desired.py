"""From an artifact to what shall be in this cluster: namespaces filled, ownership marked, rules applied, sorted.

Artifacts are free of cluster and application, so that equal renders are one; this is where an application's own
facts (namespace, project, marks) are added. Every object that cannot be applied becomes a `Problem`, never an
exception for the rest; as long as there is one, nothing is pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from fleet.argo.permissions import permits_object
from fleet.codec.canonical import canonical_bytes, digest_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Denied, FleetError, NotReady
from fleet.model.assignment import ProjectRules, Section
from fleet.model.identity import ObjectRef
from fleet.model.report import ObjectStatus, Sync
from fleet.sync import hooks, namespaces, order
from fleet.sync.compare import stored
from fleet.sync.hooks import Hook
from fleet.sync.ignore import ignored_of, strip
from fleet.sync.manifest import (
    CRD,
    NAMESPACE,
    OWNED_LABEL,
    OWNED_VALUE,
    TRACKING_ID,
    Manifest,
    Protection,
    Scope,
    group_of,
    metadata_of,
    tracking_id,
)
from fleet.sync.options import is_pruned_last
from fleet.sync.phases import SyncPhase
from fleet.sync.protection import of_deletion, of_pruning, pruning_in

ScopeOf = Callable[[str, str], Scope | None]
"""(group, kind) -> scope; None while the cluster does not serve the kind."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An object of the artifact that cannot be applied as things are."""

    ref: ObjectRef
    error: FleetError

    def status(self) -> ObjectStatus:
        """Say it in a report."""
        return ObjectStatus(ref=str(self.ref), sync=Sync.UNKNOWN, message=self.error.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """Everything one application shall have in one cluster."""

    target: str
    artifact: str
    """Digest of the artifact; empty when nothing was ever rendered."""
    manifests: tuple[Manifest, ...] = ()
    """Sorted by their key."""
    hooks: tuple[Hook, ...] = ()
    """What is run at points of a sync, or of the application's leaving; sorted by name."""
    skipped: frozenset[ObjectRef] = frozenset()
    """What is named to be left alone: never applied, and never pruned either."""
    pruning: Protection = Protection.NONE
    """What the application says about objects that leave, and say nothing themselves."""
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    _refs: frozenset[ObjectRef] = field(default=frozenset(), repr=False, compare=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is named that would stay: hooks, and a namespace that is made for the rest, do not count."""
        return not any(item.tracked for item in self.manifests)

    @property
    def refs(self) -> frozenset[ObjectRef]:
        """What is named, problems included: none of these is ever pruned."""
        return self._refs

    def error(self) -> FleetError | None:
        """The problem to raise when everything else is done: what needs a human first, then what may come."""
        ranked = sorted(self.problems, key=lambda problem: isinstance(problem.error, NotReady))
        return ranked[0].error if ranked else None


def desired_manifests(
    section: Section, objects: Sequence[JsonObject], scope_of: ScopeOf, *, cluster: str
) -> Desired:
    """Make the desired state of one target out of its artifact's objects (which stay untouched)."""
    bodies = list(_flat(objects))
    crds = _defined_kinds(bodies)
    builder = _Builder(section, scope_of, crds, cluster)
    for body in bodies:
        builder.add(body)
    if namespaces.is_created(section.sync_options) and section.namespace and objects:
        builder.add_namespace(section.namespace)
    return builder.finish()


def _flat(objects: Sequence[JsonObject]) -> Iterator[JsonObject]:
    for body in objects:
        items = body.get("items")
        if body.get("kind") == "List" and isinstance(items, list):
            yield from _flat([item for item in items if isinstance(item, dict)])
        else:
            yield body


def _defined_kinds(bodies: Sequence[JsonObject]) -> dict[tuple[str, str], tuple[ObjectRef, Scope]]:
    """Map the kinds that the artifact itself brings to their CRD and scope."""
    found = {}
    for body in bodies:
        ref = ObjectRef(
            group_of(str(body.get("apiVersion") or "")),
            str(body.get("kind") or ""),
            "",
            str(metadata_of(body).get("name") or ""),
        )
        kind = order.defined_kind(body) if (ref.group, ref.kind) == CRD else None
        if kind:
            scope = Scope.CLUSTER if body["spec"].get("scope") == "Cluster" else Scope.NAMESPACED
            found[kind] = (ref, scope)
    return found


class _Builder:
    """Collects manifests and problems of one target."""

    def __init__(
        self,
        section: Section,
        scope_of: ScopeOf,
        crds: dict[tuple[str, str], tuple[ObjectRef, Scope]],
        cluster: str,
    ) -> None:
        self._section = section
        self._scope_of = scope_of
        self._crds = crds
        self._cluster = cluster
        self._found: dict[ObjectRef, Manifest] = {}
        self._hooks: dict[ObjectRef, Hook] = {}
        self._problems: dict[ObjectRef, Problem] = {}
        self._skipped: set[ObjectRef] = set()
        self._warnings: list[str] = []

    def add(self, body: JsonObject) -> None:
        ref = self._named(body)
        phases = hooks.phases_of(body)
        if phases == ():
            if words := hooks.unknown_phases(body):
                self._warnings.append(
                    f"{ref} is never applied: no sync has a {', '.join(words)} hook"
                )
            with suppress(FleetError):
                self._skipped.add(self._scoped(ref))
            return
        try:
            ref = self._scoped(ref)
            self._permit(ref)
            made = self._manifest(ref, body) if phases is None else self._hook(ref, body, phases)
        except FleetError as error:
            self._problems[ref] = Problem(ref, error)
            return
        if ref in self._found or ref in self._hooks:
            self._warnings.append(f"{ref} is there twice, the last one counts")
        self._found.pop(ref, None)
        self._hooks.pop(ref, None)
        if isinstance(made, Hook):
            self._hooks[ref] = made
        else:
            self._found[ref] = made

    def add_namespace(self, name: str) -> None:
        ref = ObjectRef(*NAMESPACE, "", name)
        if ref in self._found or ref in self._problems:
            return
        try:
            self._permit(ref)
        except FleetError as error:
            self._problems[ref] = Problem(ref, error)
            return
        self._found[ref] = namespaces.namespace_of(self._section)

    def finish(self) -> Desired:
        places = order.effective_places(
            {ref: item.key[:2] for ref, item in self._found.items()},
            {ref: kind for kind, (ref, _) in self._crds.items()},
            [needed for hook in self._hooks.values() for needed in hook.places()],
        )
        manifests = [
            replace(item, wave=places[ref][1], key=(*places[ref], *item.key[2:]))
            for ref, item in self._found.items()
        ]
        return Desired(
            target=self._section.target,
            artifact=self._section.artifact,
            manifests=tuple(sorted(manifests, key=lambda item: item.key)),
            hooks=tuple(self._hooks[ref] for ref in sorted(self._hooks)),
            skipped=frozenset(self._skipped),
            pruning=pruning_in(self._section.sync_options),
            problems=tuple(self._problems[ref] for ref in sorted(self._problems)),
            warnings=tuple(self._warnings),
            _refs=frozenset(self._found) | frozenset(self._problems) | frozenset(self._hooks),
        )

    def _named(self, body: JsonObject) -> ObjectRef:
        metadata = metadata_of(body)
        group = group_of(str(body.get("apiVersion") or ""))
        name = metadata.get("name")
        shown = name if isinstance(name, str) and name else f"{metadata.get('generateName') or '?'}"
        return ObjectRef(
            group, str(body.get("kind") or ""), str(metadata.get("namespace") or ""), shown
        )

    def _scoped(self, ref: ObjectRef) -> ObjectRef:
        if not ref.kind or ref.name.endswith("?"):
            raise BadInput("an object needs apiVersion, kind and metadata.name")
        scope = self._scope_of(ref.group, ref.kind)
        if scope is None and (ref.group, ref.kind) in self._crds:
            scope = self._crds[ref.group, ref.kind][1]
        if scope is None:
            raise NotReady(
                f"the cluster does not know the kind {ref.kind} of group {ref.group or 'core'}",
                hint="install its CustomResourceDefinition, or depend on the application that does",
            )
        if scope is Scope.CLUSTER:
            return replace(ref, namespace="")
        if ref.namespace or self._section.namespace:
            return replace(ref, namespace=ref.namespace or self._section.namespace)
        raise BadInput(
            f"{ref.kind} {ref.name} names no namespace and its application has no destination.namespace"
        )

    def _permit(self, ref: ObjectRef) -> None:
        rules: ProjectRules = self._section.project
        if permits_object(
            rules,
            group=ref.group,
            kind=ref.kind,
            name=ref.name,
            namespace=ref.namespace,
            namespaced=bool(ref.namespace),
        ):
            return
        place = f" in namespace {ref.namespace}" if ref.namespace else ""
        raise Denied(f"project {rules.name} does not permit {ref.kind} {ref.name}{place}")

    def _hook(self, ref: ObjectRef, body: JsonObject, phases: tuple[SyncPhase, ...]) -> Hook:
        if phases[-1].rank > SyncPhase.SYNC_FAIL.rank and (ref.group, ref.kind) == ("", "Secret"):
            raise BadInput(
                f"a Secret cannot be a {phases[-1].value} hook: it would have to be kept in plain text "
                "until the application leaves"
            )
        metadata = metadata_of(body)
        return Hook(
            ref=ref,
            api_version=str(body.get("apiVersion")),
            body=body,
            wave=order.wave_of(body),
            phases=phases,
            policies=hooks.policies_of(body),
            generated=not metadata.get("name"),
        )

    def _manifest(self, ref: ObjectRef, body: JsonObject) -> Manifest:
        if not metadata_of(body).get("name"):
            raise BadInput(f"{ref.kind} has generateName and no name: it cannot be applied twice")
        wave = order.wave_of(body)
        ignored = ignored_of(self._section.ignore, ref)
        marked = stored(_marked(body, ref, self._section.target))
        return Manifest(
            ref=ref,
            api_version=str(body.get("apiVersion")),
            body=marked,
            wave=wave,
            key=order.key_of(ref, wave),
            digest=_digest(strip(marked, ignored)),
            pruning=of_pruning(body),
            deletion=of_deletion(body),
            prune_last=is_pruned_last(body),
            ignore=ignored,
        )


def _marked(body: JsonObject, ref: ObjectRef, app: str) -> JsonObject:
    metadata = dict(metadata_of(body))
    metadata.pop("namespace", None)
    metadata.pop("creationTimestamp", None)
    metadata.pop("managedFields", None)
    if ref.namespace:
        metadata["namespace"] = ref.namespace
    metadata["labels"] = {**(metadata.get("labels") or {}), OWNED_LABEL: OWNED_VALUE}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        TRACKING_ID: tracking_id(app, ref),
    }
    marked = {**body, "metadata": metadata}
    marked.pop("status", None)
    return marked


def _digest(body: JsonObject) -> str:
    return digest_bytes(canonical_bytes(body)).removeprefix("sha256:")[:16]
