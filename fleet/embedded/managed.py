"""metadata.managedFields: who owns which fields of an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fleet.codec.jsontypes import JsonObject
from fleet.embedded import fieldsets
from fleet.embedded.fieldsets import FieldSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """Who: an applier is the same whatever version it speaks, an updater is not."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    def is_applier(self) -> bool:
        """Whether it declares its fields by apply."""
        return self.operation == "Apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a manager owns, since when, and in which version it said so."""

    fields: FieldSet
    time: str
    api_version: str


Claims = dict[Manager, Claim]


def applier(name: str, subresource: str = "") -> Manager:
    """The manager of a server-side apply."""
    return Manager(name=name, operation="Apply", subresource=subresource)


def updater(name: str, api_version: str, subresource: str = "") -> Manager:
    """The manager of a create, update or patch."""
    return Manager(name=name, operation="Update", api_version=api_version, subresource=subresource)


def read_claims(obj: JsonObject | None) -> Claims:
    """The claims of an object; entries that cannot be read are nobody's."""
    entries = ((obj or {}).get("metadata") or {}).get("managedFields") or ()
    found: Claims = {}
    for entry in entries:
        operation = str(entry.get("operation") or "")
        if operation not in ("Apply", "Update"):
            continue
        api_version = str(entry.get("apiVersion") or "")
        manager = Manager(
            name=str(entry.get("manager") or ""),
            operation=operation,
            api_version="" if operation == "Apply" else api_version,
            subresource=str(entry.get("subresource") or ""),
        )
        found[manager] = Claim(
            fields=fieldsets.from_fields_v1(entry.get("fieldsV1") or {}),
            time=str(entry.get("time") or ""),
            api_version=api_version,
        )
    return found


def written(claims: Mapping[Manager, Claim]) -> list[JsonObject]:
    """managedFields: appliers first, then by time, name, version and subresource."""
    ordered = sorted(
        ((m, c) for m, c in claims.items() if c.fields),
        key=lambda item: (
            item[0].operation,
            item[1].time,
            item[0].name,
            item[1].api_version,
            item[0].subresource,
        ),
    )
    return [_entry(manager, claim) for manager, claim in ordered]


def _entry(manager: Manager, claim: Claim) -> JsonObject:
    entry: JsonObject = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": claim.api_version,
        "time": claim.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fieldsets.to_fields_v1(claim.fields),
    }
    return entry | ({"subresource": manager.subresource} if manager.subresource else {})


def reduced(claims: Claims, fields: FieldSet, *, but: Manager) -> Claims:
    """The claims when everybody but one has lost some fields."""
    return {
        manager: claim
        if manager == but or not claim.fields & fields
        else replace(claim, fields=claim.fields - fields)
        for manager, claim in claims.items()
    }
