"""AppProject documents; what they permit is `fleet.argo.permissions`."""

from __future__ import annotations

from collections.abc import Iterable

from fleet.argo.application import DEFAULT_NAMESPACE
from fleet.argo.names import subdomain_problem
from fleet.argo.project_fields import APP_PROJECT
from fleet.argo.reading import Reader
from fleet.argo.windows import read_windows, window_problems
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Where
from fleet.model.project import AppProject, DestinationRule, KindRule, OrphanedResources


def read_project(document: JsonObject, *, where: Where) -> AppProject:
    """Read one AppProject; raises BadInput with the field that is wrong."""
    reader = Reader.of_value(document, where=where)
    project = project_from(reader)
    reader.raise_first()
    assert project is not None
    return project


def project_from(reader: Reader) -> AppProject | None:
    """Read an AppProject; what is wrong with it is in the reader, and None is returned then."""
    document = reader.check(APP_PROJECT)
    if document is None:
        return None
    metadata, spec = document["metadata"], document["spec"]
    problem = subdomain_problem(metadata["name"])
    if problem:
        reader.error(("metadata", "name"), problem)
    for position, rule in enumerate(spec.get("destinations", ())):
        for name, pattern in rule.items():
            if pattern == "!*":
                path = ("spec", "destinations", position, name)
                reader.error(path, "!* would deny everything; leave the list empty instead")
    for place, problem in window_problems(spec.get("syncWindows", ())):
        reader.error(("spec", "syncWindows", *place), problem)
    if reader.is_refused:
        return None
    namespaced = spec.get("namespaceResourceWhitelist")
    return AppProject(
        name=metadata["name"],
        namespace=metadata.get("namespace", DEFAULT_NAMESPACE),
        source_repos=tuple(spec.get("sourceRepos", ())),
        destinations=tuple(DestinationRule(**rule) for rule in spec.get("destinations", ())),
        cluster_kinds=_kinds(spec.get("clusterResourceWhitelist", ())),
        cluster_kinds_denied=_kinds(spec.get("clusterResourceBlacklist", ())),
        namespace_kinds=None if namespaced is None else _kinds(namespaced),
        namespace_kinds_denied=_kinds(spec.get("namespaceResourceBlacklist", ())),
        only_scoped_clusters=spec.get("permitOnlyProjectScopedClusters", False),
        windows=read_windows(spec.get("syncWindows", ())),
        orphaned=_orphaned(spec.get("orphanedResources")),
        source_namespaces=tuple(spec.get("sourceNamespaces", ())),
        document=document,
        where=reader.where,
        warnings=reader.remarks.warnings,
        unsupported=tuple(reader.unsupported),
    )


def _kinds(rules: Iterable[JsonObject]) -> tuple[KindRule, ...]:
    return tuple(KindRule(**rule) for rule in rules)


def _orphaned(block: JsonObject | None) -> OrphanedResources | None:
    if block is None:
        return None
    return OrphanedResources(
        warn=block.get("warn", True),
        ignore=tuple(
            KindRule(
                group=item.get("group", ""), kind=item.get("kind", ""), name=item.get("name", "")
            )
            for item in block.get("ignore", ())
        ),
    )
