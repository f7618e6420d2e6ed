"""The clusters generator: one row per cluster of the fleet that a selector picks, sorted by name."""

from __future__ import annotations

from fleet.argo.clusters import SECRET_TYPE
from fleet.codec.jsontypes import JsonObject
from fleet.generators.context import Context
from fleet.generators.params import GeneratorError, ParamSet, sanitize
from fleet.generators.selector import parse_selector
from fleet.model.cluster import IN_CLUSTER_NAME, IN_CLUSTER_SERVER, Cluster
from fleet.templating.values import StringMap


def generate(config: JsonObject, context: Context) -> list[ParamSet]:
    """Return the rows; with ``flatList`` one row that holds them all as ``clusters``."""
    context.trail.clusters = True
    try:
        selector = parse_selector(config.get("selector") or {}, free_values=False)
    except GeneratorError as error:
        raise GeneratorError(
            f"error getting cluster secrets: error converting label selector: {error.message}"
        ) from error
    chosen: dict[str, Cluster] = {}
    for cluster in context.world.clusters:
        if selector.matches(_labels(cluster)):
            # Of several records of one name Argo CD takes a random one; here it is always the first.
            chosen.setdefault(cluster.name, cluster)
    values = config.get("values") or {}
    engine = context.engine
    rows = [
        ParamSet(engine.with_values(_params(cluster, go=engine.go), values), f"clusters[{name}]")
        for name, cluster in sorted(chosen.items())
    ]
    if not selector.requirements and _lacks_in_cluster(chosen, context):
        params = engine.with_values(_common(IN_CLUSTER_NAME, IN_CLUSTER_SERVER, ""), values)
        rows.append(ParamSet(params, f"clusters[{IN_CLUSTER_NAME}]"))
    if config.get("flatList"):
        return [ParamSet({"clusters": [row.values for row in rows]}, "clusters[*]")]
    return rows


def _lacks_in_cluster(chosen: dict[str, Cluster], context: Context) -> bool:
    return context.world.implicit_in_cluster and not any(
        cluster.management or cluster.server == IN_CLUSTER_SERVER for cluster in chosen.values()
    )


def _labels(cluster: Cluster) -> dict[str, str]:
    """The labels that Argo CD's Secret of the cluster would have."""
    return {SECRET_TYPE: "cluster", **cluster.labels}


def _common(name: str, server: str, project: str) -> JsonObject:
    return {
        "name": name,
        "nameNormalized": sanitize(name),
        "server": server,
        "project": project,
    }


def _params(cluster: Cluster, *, go: bool) -> JsonObject:
    params = _common(cluster.name, cluster.server, cluster.project)
    if go:
        metadata: JsonObject = {"labels": StringMap(_labels(cluster))}
        if cluster.annotations:
            metadata["annotations"] = StringMap(cluster.annotations)
        params["metadata"] = metadata
        return params
    for key, value in cluster.annotations.items():
        params[f"metadata.annotations.{key}"] = value
    for key, value in _labels(cluster).items():
        params[f"metadata.labels.{key}"] = value
    return params
