"""Objects as rows for people: what ``kubectl get`` prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.kinds import Kind

_Cell = Callable[[JsonObject], JsonValue]
_Columns = tuple[tuple[str, str, int, _Cell], ...]
"""Name, type, priority and how the cell is made."""


def table(
    items: Iterable[JsonObject], kind: Kind, *, include: str, metadata: JsonObject
) -> JsonObject:
    """A Table of objects."""
    columns = columns_of(kind)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [
            {
                "name": name,
                "type": type_,
                "format": "name" if name == "Name" else "",
                "description": name,
                "priority": priority,
            }
            for name, type_, priority, _ in columns
        ],
        "rows": [_row(obj, columns, kind, include) for obj in items],
    }


def _row(obj: JsonObject, columns: _Columns, kind: Kind, include: str) -> JsonObject:
    row: JsonObject = {"cells": [cell(obj) for _, _, _, cell in columns]}
    if include == "Object":
        row["object"] = {**obj, "kind": kind.kind, "apiVersion": kind.api_version}
    elif include != "None":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": obj["metadata"],
        }
    return row


def columns_of(kind: Kind) -> _Columns:
    """The columns of a kind: a CRD's own, those known here, else name and age."""
    if kind.columns:
        printed = tuple(
            (c["name"], c["type"], c.get("priority", 0), _by_path(c["jsonPath"], c["type"]))
            for c in kind.columns
        )
        return (_NAME, *printed)
    return (_NAME, *_COLUMNS.get((kind.group, kind.kind), ()), _AGE)


def age(obj: JsonObject) -> str:
    """How long ago an object was made, like ``5m``."""
    return _since(obj["metadata"].get("creationTimestamp"))


def _since(time: JsonValue) -> str:
    if not isinstance(time, str):
        return "<unknown>"
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return "<invalid>"
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for size, unit, most in ((1, "s", 120), (60, "m", 120), (3600, "h", 48)):
        if seconds < size * most:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"


def _at(obj: JsonValue, path: str) -> JsonValue:
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def _text(path: str, otherwise: JsonValue = "") -> _Cell:
    def cell(obj: JsonObject) -> JsonValue:
        found = _at(obj, path)
        return otherwise if found is None else found

    return cell


def _count(path: str) -> _Cell:
    return lambda obj: len(_at(obj, path) or ())


def _of(ready: str, wanted: str) -> _Cell:
    return lambda obj: f"{_at(obj, ready) or 0}/{_at(obj, wanted) or 0}"


def _by_path(path: str, type_: str) -> _Cell:
    """A cell by JSONPath: fields, and filters by one field such as ``[?(@.type=="Ready")]``."""
    steps = re.findall(
        r"\[\?\(@\.(\w+)\s*==\s*['\"]([^'\"]*)['\"]\)\]|\.?([\w\-/]+)|\[(\d+)\]", path
    )

    def cell(obj: JsonObject) -> JsonValue:
        value: JsonValue = obj
        for key, wanted, name, index in steps:
            if key:
                items = value if isinstance(value, list) else ()
                value = next((item for item in items if item.get(key) == wanted), None)
            elif index or (name.isdigit() and isinstance(value, list)):
                position = int(index or name)
                value = (
                    value[position] if isinstance(value, list) and position < len(value) else None
                )
            else:
                value = value.get(name) if isinstance(value, dict) else None
        if type_ == "date" and value is not None:
            return _since(value)
        return value

    return cell


def _external(obj: JsonObject) -> str:
    points = _at(obj, "status.loadBalancer.ingress") or ()
    found = ",".join(str(point.get("ip") or point.get("hostname")) for point in points)
    if found:
        return found
    return "<pending>" if _at(obj, "spec.type") == "LoadBalancer" else "<none>"


def _ports(obj: JsonObject) -> str:
    ports = _at(obj, "spec.ports") or ()
    return (
        ",".join(
            f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol', 'TCP')}"
            for port in ports
        )
        or "<none>"
    )


def _job_status(obj: JsonObject) -> str:
    for condition in _at(obj, "status.conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            return str(condition["type"])
    return "Suspended" if _at(obj, "spec.suspend") else "Running"


_NAME: tuple[str, str, int, _Cell] = ("Name", "string", 0, _text("metadata.name"))
_AGE: tuple[str, str, int, _Cell] = ("Age", "string", 0, age)


def _column(name: str, cell: _Cell, type_: str = "string") -> tuple[str, str, int, _Cell]:
    return name, type_, 0, cell


_COLUMNS: dict[tuple[str, str], _Columns] = {
    ("", "ConfigMap"): (_column("Data", _count("data"), "integer"),),
    ("", "Secret"): (
        _column("Type", _text("type")),
        _column("Data", _count("data"), "integer"),
    ),
    ("", "Namespace"): (_column("Status", _text("status.phase")),),
    ("", "ServiceAccount"): (_column("Secrets", _count("secrets"), "string"),),
    ("", "Pod"): (
        _column("Ready", lambda obj: f"{sum(bool(c.get('ready')) for c in _at(obj, 'status.containerStatuses') or ())}/{len(_at(obj, 'spec.containers') or ())}"),
        _column("Status", _text("status.phase")),
        _column("Restarts", lambda _: "0"),
    ),
    ("", "Service"): (
        _column("Type", _text("spec.type")),
        _column("Cluster-IP", _text("spec.clusterIP", "<none>")),
        _column("External-IP", _external),
        _column("Port(s)", _ports),
    ),
    ("", "PersistentVolumeClaim"): (
        _column("Status", _text("status.phase")),
        _column("Volume", _text("spec.volumeName")),
        _column("Capacity", _text("status.capacity.storage")),
    ),
    ("apps", "Deployment"): (
        _column("Ready", _of("status.readyReplicas", "spec.replicas")),
        _column("Up-to-date", _text("status.updatedReplicas", 0), "integer"),
        _column("Available", _text("status.availableReplicas", 0), "integer"),
    ),
    ("apps", "StatefulSet"): (_column("Ready", _of("status.readyReplicas", "spec.replicas")),),
    ("apps", "ReplicaSet"): (
        _column("Desired", _text("spec.replicas", 0), "integer"),
        _column("Current", _text("status.replicas", 0), "integer"),
        _column("Ready", _text("status.readyReplicas", 0), "integer"),
    ),
    ("apps", "DaemonSet"): tuple(
        _column(name, _text(f"status.{path}", 0), "integer")
        for name, path in (
            ("Desired", "desiredNumberScheduled"),
            ("Current", "currentNumberScheduled"),
            ("Ready", "numberReady"),
            ("Up-to-date", "updatedNumberScheduled"),
            ("Available", "numberAvailable"),
        )
    ),
    ("batch", "Job"): (
        _column("Status", _job_status),
        _column("Completions", _of("status.succeeded", "spec.completions")),
    ),
    ("batch", "CronJob"): (
        _column("Schedule", _text("spec.schedule")),
        _column("Suspend", lambda obj: str(bool(_at(obj, "spec.suspend")))),
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        _column("Created At", _text("metadata.creationTimestamp"), "date"),
    ),
}  # fmt: skip
