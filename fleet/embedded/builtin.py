"""Rules of Kubernetes' own kinds that no schema states: conversions, what cannot change, what must fit together.

A selection: what clients and controllers above the API server stumble over. Values that the server fills in are in `defaults`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

import msgspec

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded import crds, defaults
from fleet.embedded.errors import Cause, bad_request
from fleet.embedded.kinds import Kind
from fleet.embedded.schema import Node

_CHECKED_GROUPS = {"apps", "batch", "autoscaling", "policy"}
_CHECKED = {
    ("", "Pod"), ("", "Service"), ("", "PersistentVolumeClaim"), ("", "ReplicationController"),
    ("networking.k8s.io", "Ingress"),
}  # fmt: skip
_WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"}


def blank(kind: Kind) -> JsonObject:
    """An object of Go's zero values: the structures that a new object has from the start."""
    found: JsonObject = {} if kind.is_custom else _blank(kind.schema)
    return {**found, "metadata": {}}


def _blank(node: Node) -> JsonObject:
    structures = {
        name: _blank(node.fields[name])
        for name, default in node.defaults.items()
        if default == {} and node.fields[name].type == "object"
    }
    lists: JsonObject = {name: [] for name in node.required if node.fields[name].type == "array"}
    return {**structures, **lists}


def relevant(kind: Kind, causes: list[Cause]) -> list[Cause]:
    """Schema rules that count: OpenAPI marks more fields as required than the API server insists on."""
    if kind.is_custom:
        return causes
    if kind.group not in _CHECKED_GROUPS and (kind.group, kind.kind) not in _CHECKED:
        return []
    return [cause for cause in causes if cause.field.startswith("spec")]


def prepare(kind: Kind, obj: JsonObject, live: JsonObject | None) -> JsonObject:
    """Convert and complete an object before it is validated."""
    if kind.is_custom:
        return obj
    if (
        live is None
        and kind.has_status
        and not obj.get("status")
        and "status" in kind.schema.fields
    ):
        obj = {**obj, "status": dict(_FIRST_STATUS.get(kind.kind, {}))}
    special = _SPECIAL.get((kind.group, kind.kind))
    if special is not None:
        obj = special(obj)
    return defaults.filled(kind, obj, live)


def allocate(kind: Kind, obj: JsonObject, live: JsonObject | None) -> JsonObject:
    """Give a new object what no writer owns: addresses, ports, the finalizer of a namespace."""
    if (kind.group, kind.kind) == ("", "Namespace") and live is None:
        return {**obj, "spec": {"finalizers": ["kubernetes"], **(obj.get("spec") or {})}}
    if (kind.group, kind.kind) == ("batch", "Job") and live is None:
        return _job(obj)
    if (kind.group, kind.kind) == ("", "Service"):
        return {**obj, "spec": defaults.allocated(obj["spec"], (live or {}).get("spec"))}
    return obj


_FIRST_STATUS: dict[str, JsonObject] = {
    "Namespace": {"phase": "Active"},
    "PersistentVolumeClaim": {"phase": "Pending"},
    "PersistentVolume": {"phase": "Pending"},
    "Pod": {"phase": "Pending", "qosClass": "BestEffort"},
    "Service": {"loadBalancer": {}},
    "Ingress": {"loadBalancer": {}},
}


def _namespace(obj: JsonObject) -> JsonObject:
    metadata = obj["metadata"]
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
    return {**obj, "metadata": {**metadata, "labels": labels}}


def _secret(obj: JsonObject) -> JsonObject:
    data = dict(obj.get("data") or {})
    for key, value in (obj.get("stringData") or {}).items():
        data[key] = base64.b64encode(value.encode()).decode()
    _check_base64("Secret", data)
    rest = {key: value for key, value in obj.items() if key not in ("stringData", "data")}
    return {"type": "Opaque", **rest, **({"data": data} if data else {})}


def _config_map(obj: JsonObject) -> JsonObject:
    _check_base64("ConfigMap", obj.get("binaryData") or {})
    return obj


def _check_base64(kind: str, data: JsonObject) -> None:
    for value in data.values():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise bad_request(
                f'{kind} in version "v1" cannot be handled as a {kind}: illegal base64 data at input byte 0'
            ) from error


def _role_binding(obj: JsonObject) -> JsonObject:
    group = "rbac.authorization.k8s.io"
    subjects = [
        {"apiGroup": group, **subject} if subject.get("kind") in ("User", "Group") else subject
        for subject in obj.get("subjects") or ()
    ]
    found = {**obj, "roleRef": {"apiGroup": group, **(obj.get("roleRef") or {})}}
    return {**found, "subjects": subjects} if subjects else found


def _daemon_set(obj: JsonObject) -> JsonObject:
    metadata = obj["metadata"]
    mark = {"deprecated.daemonset.template.generation": str(metadata.get("generation", 1))}
    annotations = {**mark, **(metadata.get("annotations") or {})}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def _job(obj: JsonObject) -> JsonObject:
    """Selector and labels by the Job's UID, unless it brings its own."""
    spec, metadata = obj.get("spec") or {}, obj["metadata"]
    if spec.get("manualSelector") or not metadata.get("uid"):
        return obj
    uid, name = metadata["uid"], metadata["name"]
    marks = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = spec.get("template") or {}
    head = template.get("metadata") or {}
    labels = {**(head.get("labels") or {}), **marks}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    template = {**template, "metadata": {**head, "labels": labels}}
    # a Job without labels takes those of its template
    own = metadata.get("labels") or labels
    return {
        **obj,
        "metadata": {**metadata, "labels": own},
        "spec": {"selector": selector, **spec, "template": template},
    }


_SPECIAL: dict[tuple[str, str], Callable[[JsonObject], JsonObject]] = {
    ("", "Namespace"): _namespace,
    ("", "Secret"): _secret,
    ("", "ConfigMap"): _config_map,
    ("apps", "DaemonSet"): _daemon_set,
    ("rbac.authorization.k8s.io", "RoleBinding"): _role_binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _role_binding,
}


# -- validation -------------------------------------------------------------------------------


def faults(kind: Kind, obj: JsonObject, live: JsonObject | None) -> list[Cause]:
    """What is wrong with an object as a whole, or with how it would change."""
    if kind.is_custom:
        return []
    found: list[Cause] = []
    if kind.kind in ("ConfigMap", "Secret") and not kind.group:
        found.extend(_bad_keys(obj))
        found.extend(_too_long(obj))
    if kind.store_key == crds.CRDS:
        found.extend(crds.faults(obj))
    if kind.kind in ("ConfigMap", "Secret") and live is not None and live.get("immutable"):
        found.extend(_immutable_data(obj, live))
    if live is not None:
        found.extend(_changed_immutables(kind, obj, live))
    if kind.group == "apps" and kind.kind in _WORKLOADS:
        found.extend(_unselected_template(obj))
    if (kind.group, kind.kind) == ("", "Service"):
        found.extend(_service_ports(obj))
    return found


_LARGEST_DATA = 1024 * 1024
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def _bad_keys(obj: JsonObject) -> list[Cause]:
    return [
        Cause(
            reason="FieldValueInvalid",
            field=f"{field}[{key}]",
            message=f'Invalid value: "{key}": {_KEY_RULE}',
        )
        for field in ("data", "binaryData")
        for key in obj.get(field) or ()
        if not _KEY.fullmatch(key) or len(key) > 253
    ]


def _too_long(obj: JsonObject) -> list[Cause]:
    size = sum(
        len(value) for name in ("data", "binaryData") for value in (obj.get(name) or {}).values()
    )
    if size <= _LARGEST_DATA:
        return []
    message = f"Too long: may not be more than {_LARGEST_DATA} bytes"
    return [Cause(reason="FieldValueTooLong", field="[]", message=message)]


def _immutable_data(obj: JsonObject, live: JsonObject) -> list[Cause]:
    message = "Forbidden: field is immutable when `immutable` is set"
    names = [name for name in ("data", "binaryData") if obj.get(name) != live.get(name)]
    if not obj.get("immutable"):
        names.insert(0, "immutable")
    return [Cause(reason="FieldValueForbidden", field=name, message=message) for name in names]


_IMMUTABLE: dict[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "ReplicaSet"): ("spec.selector",),
    ("batch", "Job"): ("spec.selector", "spec.template", "spec.completionMode"),
    ("", "Secret"): ("type",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): ("spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"),
}  # fmt: skip
_STATEFUL = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip
_STATEFUL_RULE = (
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_CLAIM_RULE = "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def _changed_immutables(kind: Kind, obj: JsonObject, live: JsonObject) -> list[Cause]:
    found = [
        Cause(
            reason="FieldValueInvalid",
            field=path,
            message=f"Invalid value: {_text(_at(obj, path))}: field is immutable",
        )
        for path in _IMMUTABLE.get((kind.group, kind.kind), ())
        if _at(obj, path) != _at(live, path)
    ]
    if (kind.group, kind.kind) == ("apps", "StatefulSet") and _rest(obj, _STATEFUL) != _rest(
        live, _STATEFUL
    ):
        found.append(Cause(reason="FieldValueForbidden", field="spec", message=_STATEFUL_RULE))
    freed = ("resources", "volumeAttributesClassName", "volumeName")
    if kind.kind == "PersistentVolumeClaim" and _rest(obj, freed) != _rest(live, freed):
        found.append(Cause(reason="FieldValueForbidden", field="spec", message=_CLAIM_RULE))
    return found


def _unselected_template(obj: JsonObject) -> list[Cause]:
    wanted = _at(obj, "spec.selector.matchLabels") or {}
    labels = _at(obj, "spec.template.metadata.labels") or {}
    if all(labels.get(key) == value for key, value in wanted.items()):
        return []
    message = f"Invalid value: {_text(labels)}: `selector` does not match template `labels`"
    return [
        Cause(reason="FieldValueInvalid", field="spec.template.metadata.labels", message=message)
    ]


def _service_ports(obj: JsonObject) -> list[Cause]:
    spec = obj.get("spec") or {}
    if (
        not spec.get("ports")
        and spec.get("type") != "ExternalName"
        and spec.get("clusterIP") != "None"
    ):
        return [Cause(reason="FieldValueRequired", field="spec.ports", message="Required value")]
    message = "Invalid value: {}: must be between 1 and 65535, inclusive"
    return [
        Cause(
            reason="FieldValueInvalid",
            field=f"spec.ports[{index}].port",
            message=message.format(port.get("port")),
        )
        for index, port in enumerate(spec.get("ports") or ())
        if not 1 <= (port.get("port") or 0) <= 65535
    ]


def _at(obj: JsonValue, path: str) -> JsonValue:
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def _rest(obj: JsonObject, freed: tuple[str, ...]) -> JsonObject:
    return {key: value for key, value in (obj.get("spec") or {}).items() if key not in freed}


def _text(value: JsonValue) -> str:
    return msgspec.json.encode(value).decode()
