"""Assignment: the whole desired state of one cluster, as a signed head over sections named by digest.

These are wire types (msgspec): hub and agent of neighbouring versions exchange them, so fields are only
added, with defaults. A section changes only when its target changes; a head is small.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from fleet.model.healthrules import HealthRules

PROTOCOL = 1


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something asked of a target once; it stays in the head until it is reported done."""

    id: str
    target: str
    """Application name."""
    kind: str
    """``sync``, ``refresh`` or ``terminate``."""
    arguments: dict[str, str | bool | int | list[str]] = {}
    """Of a sync: ``prune``, ``dryRun``, ``force``, ``replace`` (bool), ``strategy`` (``hook``, the default, or
    ``apply``: no hooks), ``resources`` (a list of ``group/Kind:namespace/name``, the namespace optional: a partial
    sync, without hooks), ``options`` (a list of syncOptions on top of the Application's), ``retryLimit`` (int),
    ``automated`` (bool: started by the hub, not by a person)."""
    not_after: str = ""
    """RFC 3339; the agent drops it unstarted after that."""


class SectionRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the desired state of one target is to be had."""

    target: str
    digest: str


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is signed. Order is lexicographic in (epoch, generation)."""

    protocol: int = PROTOCOL
    hub: str
    cluster: str
    cluster_uid: str
    """UID of the cluster's kube-system namespace as bound at join."""
    epoch: int
    generation: int
    sections: tuple[SectionRef, ...]
    """Sorted by target."""
    operations: tuple[Operation, ...] = ()
    keys: tuple[str, ...] = ()
    """Public signing keys (base64, raw Ed25519) the agent shall trust from now on."""
    released: tuple[str, ...] = ()
    """Targets whose Application moved to another cluster: they leave, and their objects stay, as in Argo CD."""
    additive: bool = False
    """Absence says nothing yet: the hub has never had all rows of this fleet (it lost its state, and a source is
    down), so what is not named here stays as it is."""
    detached: bool = False
    """The cluster left git: everything stays as it is, nothing is pruned."""
    rules: str = ""
    """Digest of the `ClusterRules`; empty where there are none."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    """Id of the key: the first 16 hex digits of the SHA-256 of its raw public bytes."""
    signature: str
    """Base64 of an Ed25519 signature over the context string and the payload."""


class SignedHead(msgspec.Struct, frozen=True, kw_only=True):
    """The exact bytes that were signed, base64, and the signatures over them."""

    payload: str
    signatures: tuple[Signature, ...]


class DependsOn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A same-cluster edge as the agent needs it: it only counts."""

    reference: str
    targets: tuple[str, ...] = ()
    """Application names on this cluster; all must be satisfied."""
    blocked: str = ""
    note: str = ""


class Hold(StrEnum):
    """Why the hub keeps a target at its previous digest."""

    DEPENDENCY = "dependency"
    ROLLOUT = "rollout"
    PINNED = "pinned"
    BLOCKED = "blocked"
    UNSUPPORTED = "unsupported"
    BUDGET = "budget"
    RENDER = "render"
    PROJECT = "project"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    reason: Hold
    message: str


class KindPattern(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    group: str
    kind: str
    name: str = ""


class ProjectRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The project's limits on objects, for the agent, which alone knows the scope of a kind."""

    name: str
    namespaces: tuple[str, ...] = ()
    """Namespace patterns permitted on this cluster; a leading ``!`` denies."""
    cluster_kinds: tuple[KindPattern, ...] = ()
    cluster_kinds_denied: tuple[KindPattern, ...] = ()
    namespace_kinds: tuple[KindPattern, ...] | None = None
    namespace_kinds_denied: tuple[KindPattern, ...] = ()
    orphans: tuple[KindPattern, ...] | None = None
    """orphanedResources: what is to be ignored, an empty pattern is any; None: nobody is warned."""


class IgnoreRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    group: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    json_pointers: tuple[str, ...] = ()
    jq_expressions: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()
    """Fields that these field managers own are not compared."""


class ClusterRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for every target of a cluster: the fleet's own health rules, and what it never compares."""

    health: HealthRules = HealthRules()
    ignore: tuple[IgnoreRule, ...] = ()


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How often a failed sync is tried again; seconds."""

    limit: int = 5
    """Negative: for ever; 0: never."""
    wait: float = 5.0
    factor: int = 2
    max_wait: float = 180.0
    refresh: bool = False


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sync window of the project that matches this target; the agent knows what time it is."""

    kind: str
    """``allow`` or ``deny``."""
    schedule: str
    duration: float
    """Seconds."""
    time_zone: str = "UTC"
    manual_sync: bool = False
    sync_overrun: bool = False


class Section(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The desired state of one target."""

    target: str
    """Application name."""
    project: ProjectRules
    appset: str = ""
    namespace: str = ""
    """Fills objects of a namespaced kind that name none."""
    artifact: str = ""
    """Digest of the artifact to apply; empty when nothing was ever rendered for this target."""
    held: Held | None = None
    automated: bool = False
    prune: bool = False
    self_heal: bool = False
    allow_empty: bool = False
    sync_options: tuple[str, ...] = ()
    deletion: str = "orphan"
    """foreground, background or orphan: what to do with the objects when this section is gone."""
    depends_on: tuple[DependsOn, ...] = ()
    ready_when: str = ""
    ignore: tuple[IgnoreRule, ...] = ()
    retry: RetryPolicy | None = None
    windows: tuple[Window, ...] = ()
    namespace_labels: dict[str, str] | None = None
    namespace_annotations: dict[str, str] | None = None
    """managedNamespaceMetadata; None: the created namespace's metadata is nobody's concern."""
    compare_options: tuple[str, ...] = ()
    """Of the annotation argocd.argoproj.io/compare-options, as written."""
    deletion_approved: str = ""
    """Of the annotation argocd.argoproj.io/deletion-approved: RFC 3339; it confirms what asks for confirmation."""
    ungated: bool = False
    """A return to an earlier artifact: no dependency holds it back."""


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """Rendered manifests, free of cluster and tracking data; its name is the digest of its canonical bytes."""

    objects: tuple[dict[str, msgspec.Raw], ...] = ()
