"""The clusterDecisionResource generator: clusters that the status of another object names.

The hub has no access to a cluster's API, so both the ConfigMap that explains the object and the object itself,
with its status, are documents of the fleet repositories; who decides commits them. Without them the set fails.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.generators.context import Context
from fleet.generators.params import GeneratorError, ParamSet, go_text
from fleet.generators.selector import parse_selector
from fleet.templating.values import StringMap

_HINT = (
    "the hub reads no cluster: commit the object with its status, and the ConfigMap, to a fleet "
    "repository"
)


def generate(config: JsonObject, context: Context) -> list[ParamSet]:
    """Return one row per decision whose cluster is in the fleet, in the order of the decisions."""
    context.trail.resources = True
    context.trail.clusters = True
    if bool(config.get("name")) == bool(config.get("labelSelector")):
        raise GeneratorError(
            "there is a problem with the definition of the ClusterDecisionResource generator: "
            "it needs either name or labelSelector"
        )
    explained = _explanation(config["configMapRef"], context)
    found = list(_resources(config, explained, context))
    if not found:
        raise GeneratorError("no clusterDecisionResources found", hint=_HINT)
    clusters = {str(cluster.name): cluster for cluster in context.world.clusters}
    match_key = explained.get("matchKey", "")
    rows = []
    for decision in _decisions(found, explained.get("statusListKey") or "clusters"):
        cluster = clusters.get(str(decision.get(match_key)))
        if cluster is not None:
            params: JsonObject = {"name": str(cluster.name), "server": cluster.server}
            params |= {key: go_text(item) for key, item in decision.items()}
            params = _with_values(params, config.get("values") or {}, go=context.engine.go)
            rows.append(ParamSet(params, f"clusterDecisionResource[{cluster.name}]"))
    return rows


def _with_values(params: JsonObject, values: JsonObject, *, go: bool) -> JsonObject:
    """Add ``values`` as they are: this generator does not fill them."""
    if go:
        return {**params, "values": StringMap(values)} if values else params
    return {**params, **{f"values.{key}": text for key, text in values.items()}}


def _explanation(name: str, context: Context) -> JsonObject:
    """Return the ConfigMap's data: kind, apiVersion, and where the decisions are."""
    for resource in context.world.resources:
        if resource.get("kind") == "ConfigMap" and _metadata(resource).get("name") == name:
            data = resource.get("data")
            data = data if isinstance(data, dict) else {}
            for key in ("apiVersion", "kind"):
                if not isinstance(data.get(key), str) or not data[key]:
                    raise GeneratorError(f'ConfigMap "{name}" needs the key {key}')
            if "/" not in data["apiVersion"]:
                raise GeneratorError(
                    f'ConfigMap "{name}": apiVersion {data["apiVersion"]} has no group'
                )
            return data
    raise GeneratorError(f'error reading configMapRef: ConfigMap "{name}" not found', hint=_HINT)


def _resources(config: JsonObject, explained: JsonObject, context: Context) -> Iterator[JsonObject]:
    selector = parse_selector(config.get("labelSelector") or {}, free_values=False)
    named = config.get("name", "")
    for resource in context.world.resources:
        metadata = _metadata(resource)
        labels = metadata.get("labels")
        labels = labels if isinstance(labels, dict) else {}
        if (
            resource.get("apiVersion") == explained["apiVersion"]
            and _is_kind(explained["kind"], str(resource.get("kind")))
            and (metadata.get("name") == named if named else selector.matches(labels))
        ):
            yield resource


def _metadata(resource: JsonObject) -> JsonObject:
    metadata = resource.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _is_kind(text: str, kind: str) -> bool:
    """Compare the resource's plural, which is what the ConfigMap has, with a document's kind."""
    lower = kind.lower()
    plurals = {lower, f"{lower}s", f"{lower}es", f"{lower[:-1]}ies"}
    return text.lower() in plurals


def _decisions(resources: list[JsonObject], key: str) -> Iterator[JsonObject]:
    for resource in resources:
        status = resource.get("status")
        items: JsonValue = status.get(key) if isinstance(status, dict) else None
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                yield item
