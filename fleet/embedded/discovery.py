"""Discovery documents: aggregated (two answers for everything) and the older ones, group by group."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.kinds import Kind, Kinds

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def wants_aggregated(accept: str) -> bool:
    """Whether a client prefers the aggregated form."""
    first = accept.split(",", maxsplit=1)[0].replace(" ", "")
    return "as=APIGroupDiscoveryList" in first and "g=apidiscovery.k8s.io" in first


def aggregated(kinds: Kinds, *, core: bool) -> JsonObject:
    """APIGroupDiscoveryList of the core group, or of all others."""
    items = [
        {
            "metadata": {"name": group} if group else {},
            "versions": [
                {
                    "version": version,
                    "resources": [_resource(kind) for kind in kinds.in_group(group, version)],
                    "freshness": "Current",
                }
                for version in versions
            ],
        }
        for group, versions in kinds.group_versions().items()
        if bool(group) is not core
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _resource(kind: Kind) -> JsonObject:
    found: JsonObject = {
        "resource": kind.plural,
        "responseKind": _kind(kind, kind.group, kind.version, kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        found["shortNames"] = list(kind.short_names)
    if kind.categories:
        found["categories"] = list(kind.categories)
    subresources = [
        {
            "subresource": name,
            "responseKind": _kind(
                kind, str(row.get("group") or ""), str(row.get("version") or ""), row["kind"]
            ),
            "verbs": list(row["verbs"]),
        }
        for name, row in sorted(kind.subresources.items())
    ]
    return found | ({"subresources": subresources} if subresources else {})


def _kind(kind: Kind, group: str, version: str, name: str) -> JsonObject:
    """Group and version are left empty where they are those of the list."""
    own = (group or kind.group, version or kind.version) == (kind.group, kind.version)
    if own:
        return {"group": "", "version": "", "kind": name}
    return {"group": group, "version": version, "kind": name}


def core_versions() -> JsonObject:
    """``/api``."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
    }


def group_list(kinds: Kinds) -> JsonObject:
    """``/apis``."""
    groups = [_group(name, versions) for name, versions in kinds.group_versions().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(kinds: Kinds, name: str) -> JsonObject | None:
    """``/apis/GROUP``; None where there is no such group."""
    versions = kinds.group_versions().get(name)
    if versions is None or not name:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: list[str]) -> JsonObject:
    found = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": found, "preferredVersion": found[0]}


def resource_list(kinds: Kinds, group_name: str, version: str) -> JsonObject | None:
    """``/api/v1`` and ``/apis/GROUP/VERSION``; None where nothing is served there."""
    found = kinds.in_group(group_name, version)
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group_name}/{version}" if group_name else version,
        "resources": [row for kind in found for row in _rows(kind)],
    }


def _rows(kind: Kind) -> Iterator[JsonObject]:
    row: JsonObject = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    yield row
    for name, sub in sorted(kind.subresources.items()):
        extra = {key: sub[key] for key in ("group", "version") if sub.get(key)}
        yield {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            **extra,
            "kind": sub["kind"],
            "verbs": list(sub["verbs"]),
        }
