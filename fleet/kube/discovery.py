"""Reads what an API server serves: aggregated discovery (two requests), or group by group for servers without it.

Pure: it takes the decoded answers and makes `Resource` values. Subresources are left out; a group whose aggregated
server is down is noted as incomplete, because "unknown" must never be read as "gone".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleet.codec.jsontypes import JsonObject
from fleet.kube.port import Resource

_FORM = "application/json;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList;v="
AGGREGATED = f"{_FORM}v2,{_FORM}v2beta1,application/json"


def is_aggregated(body: JsonObject) -> bool:
    """Whether the answer is the aggregated form."""
    return body.get("kind") == "APIGroupDiscoveryList"


def aggregated_resources(body: JsonObject) -> tuple[list[Resource], list[str]]:
    """Resources of an aggregated answer, and the ``group/version`` that are stale."""
    found: list[Resource] = []
    stale: list[str] = []
    for item in body.get("items") or ():
        group = str((item.get("metadata") or {}).get("name") or "")
        for version in item.get("versions") or ():
            name = str(version.get("version") or "")
            if version.get("freshness") == "Stale":
                stale.append(f"{group}/{name}" if group else name)
            found.extend(_aggregated(group, name, version.get("resources") or ()))
    return found, stale


def _aggregated(group: str, version: str, items: Iterable[JsonObject]) -> Iterator[Resource]:
    for item in items:
        kind = (item.get("responseKind") or {}).get("kind")
        if not kind:
            continue
        yield Resource(
            group=group,
            version=version,
            kind=str(kind),
            plural=str(item["resource"]),
            namespaced=item.get("scope") == "Namespaced",
            verbs=frozenset(item.get("verbs") or ()),
        )


def group_versions(body: JsonObject) -> Iterator[tuple[str, str]]:
    """(group, version) of an APIGroupList or APIVersions answer, preferred versions first."""
    for version in body.get("versions") or ():
        yield "", str(version)
    for group in body.get("groups") or ():
        preferred = str((group.get("preferredVersion") or {}).get("version") or "")
        versions = [str(item["version"]) for item in group.get("versions") or ()]
        for version in sorted(versions, key=lambda name: name != preferred):
            yield str(group["name"]), version


def listed_resources(group: str, version: str, body: JsonObject) -> Iterator[Resource]:
    """Resources of one APIResourceList."""
    for item in body.get("resources") or ():
        if "/" in str(item.get("name")):
            continue
        yield Resource(
            group=group,
            version=version,
            kind=str(item["kind"]),
            plural=str(item["name"]),
            namespaced=bool(item.get("namespaced")),
            verbs=frozenset(item.get("verbs") or ()),
        )
