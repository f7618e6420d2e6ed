"""An Application: sources, destination and sync policy, as Argo CD's ``argoproj.io/v1alpha1`` means them.

``document`` keeps the whole object as it was written or generated, normalised like the API server does;
the typed fields are what the rest of the program reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from fleet.codec.jsontypes import JsonObject
from fleet.errors import Where
from fleet.model.identity import AppName

RESOURCES_FINALIZER = "resources-finalizer.argocd.argoproj.io"
DEPENDS_ON = "gitopsfleet.io/depends-on"
READY_WHEN = "gitopsfleet.io/ready-when"
COMPARE_OPTIONS = "argocd.argoproj.io/compare-options"
DELETION_APPROVED = "argocd.argoproj.io/deletion-approved"


class Deletion(StrEnum):
    """What happens to the objects when their Application goes."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"
    ORPHAN = "orphan"


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmParameter:
    name: str
    value: str
    force_string: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmFileParameter:
    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmOptions:
    """``source.helm``; precedence: parameters > valuesObject > values > valueFiles > chart."""

    value_files: tuple[str, ...] = ()
    ignore_missing_value_files: bool = False
    values: str = ""
    values_object: JsonObject | None = None
    parameters: tuple[HelmParameter, ...] = ()
    file_parameters: tuple[HelmFileParameter, ...] = ()
    release_name: str = ""
    namespace: str = ""
    skip_crds: bool = False
    skip_tests: bool = False
    skip_schema_validation: bool = False
    pass_credentials: bool = False
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KustomizeReplicas:
    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KustomizeOptions:
    """``source.kustomize``: an overlay on top of the kustomization in git."""

    name_prefix: str = ""
    name_suffix: str = ""
    images: tuple[str, ...] = ()
    replicas: tuple[KustomizeReplicas, ...] = ()
    common_labels: Mapping[str, str] = field(default_factory=dict)
    force_common_labels: bool = False
    label_without_selector: bool = False
    label_include_templates: bool = False
    common_annotations: Mapping[str, str] = field(default_factory=dict)
    force_common_annotations: bool = False
    namespace: str = ""
    patches: tuple[JsonObject, ...] = ()
    components: tuple[str, ...] = ()
    ignore_missing_components: bool = False
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryOptions:
    """``source.directory``: plain YAML and JSON files."""

    recurse: bool = False
    include: str = ""
    exclude: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where manifests come from; at most one of helm, kustomize and directory is set."""

    repo_url: str
    path: str = ""
    target_revision: str = ""
    chart: str = ""
    ref: str = ""
    name: str = ""
    helm: HelmOptions | None = None
    kustomize: KustomizeOptions | None = None
    directory: DirectoryOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Exactly one of name and server; namespace fills objects that have none."""

    name: str = ""
    server: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Automated:
    """``syncPolicy.automated``; absent or ``enabled: false`` means that nothing is applied unasked."""

    prune: bool = False
    self_heal: bool = False
    allow_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """``syncPolicy.retry``: how often a failed sync is tried again, and how long it waits before each try."""

    limit: int = 5
    """Negative: for ever; 0: never."""
    wait: timedelta = timedelta(seconds=5)
    """Before the first retry."""
    factor: int = 2
    max_wait: timedelta = timedelta(minutes=3)
    refresh: bool = False
    """Whether a retry takes the newest artifact instead of the one that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceMetadata:
    """``syncPolicy.managedNamespaceMetadata``: what the created destination namespace carries."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncPolicy:
    automated: Automated | None = None
    options: tuple[str, ...] = ()
    """``Key=value`` entries of syncOptions, as written."""
    retry: Retry | None = None
    """None: as Argo CD does without one (five times for automated syncs, never for others)."""
    namespace_metadata: NamespaceMetadata | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreDifference:
    group: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    json_pointers: tuple[str, ...] = ()
    jq_expressions: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()
    """managedFieldsManagers: fields that these managers own are taken from the live object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning:  # noqa: A001  # the field's word; nothing here uses Python's warning categories
    """Something that does not stop the object but that its owner should see (a condition)."""

    reason: str
    message: str
    where: Where = field(default_factory=Where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One filled Application, from a document in the fleet repo or from an ApplicationSet."""

    name: AppName
    namespace: str
    project: str
    sources: tuple[Source, ...]
    destination: Destination
    sync_policy: SyncPolicy = field(default_factory=SyncPolicy)
    ignore_differences: tuple[IgnoreDifference, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    appset: str = ""
    """Name of the ApplicationSet that made it; empty for one written by hand."""
    row: str = ""
    """Which generator and element it came from, for ``fleet explain``."""
    parents: tuple[AppName, ...] = ()
    """The Applications whose manifests brought it (app-of-apps), the outermost first; empty for all others."""
    history_limit: int = 10
    """revisionHistoryLimit: deployments that can be rolled back to."""
    document: JsonObject = field(default_factory=dict)
    where: Where = field(default_factory=Where)
    warnings: tuple[Warning, ...] = ()
    unsupported: tuple[str, ...] = ()
    """Field paths that are known to Argo CD, not built here, and unsafe to ignore: the target is held."""

    @property
    def deletion(self) -> Deletion:
        """What its finalizers ask for."""
        for finalizer in self.finalizers:
            if finalizer in (RESOURCES_FINALIZER, f"{RESOURCES_FINALIZER}/foreground"):
                return Deletion.FOREGROUND
            if finalizer == f"{RESOURCES_FINALIZER}/background":
                return Deletion.BACKGROUND
        return Deletion.ORPHAN
