"""Reads Kubernetes' Protocol Buffers bodies, which kubectl and helm send for built-in kinds.

By the recorded field tables; the result is what the same object would be as JSON. Answers are always JSON, which every client
accepts. A few wire types have a form of their own in JSON: times, quantities, int-or-string, raw values.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from datetime import UTC, datetime

from fleet.codec import canonical
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.errors import bad_request
from fleet.errors import BadInput

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_META = "k8s.io.apimachinery.pkg.apis.meta.v1."
_RAW = {
    "k8s.io.apimachinery.pkg.runtime.RawExtension",
    _META + "FieldsV1",
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON",
}
_LISTS = {"k8s.io.api.authentication.v1.ExtraValue", "k8s.io.api.authorization.v1.ExtraValue", "k8s.io.api.certificates.v1.ExtraValue", _META + "Verbs"}  # fmt: skip
_QUANTITY = "k8s.io.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "k8s.io.apimachinery.pkg.util.intstr.IntOrString"
_UNSIGNED = {"uint32", "uint64"}


def decode(data: bytes, messages: JsonObject) -> JsonObject:
    """The object in a body; raises the refusal of one that cannot be read."""
    if not data.startswith(_MAGIC):
        raise bad_request("the body is not in Kubernetes' form of Protocol Buffers")
    try:
        envelope = dict(_fields(data[len(_MAGIC) :]))
        head = dict(_fields(_bytes(envelope.get(1, b""))))
        api_version, kind = _bytes(head.get(1, b"")).decode(), _bytes(head.get(2, b"")).decode()
        name = _message_name(api_version, kind, messages)
        body = _message(_bytes(envelope.get(2, b"")), name, messages)
    except (ValueError, IndexError, KeyError, struct.error, BadInput) as error:
        raise bad_request("the body cannot be decoded as Protocol Buffers") from error
    return {"apiVersion": api_version, "kind": kind, **body}


def _message_name(api_version: str, kind: str, messages: JsonObject) -> str:
    group, _, version = api_version.rpartition("/")
    head = group.removesuffix(".k8s.io").split(".")[0] or "core"
    candidates = (
        f"k8s.io.api.{head}.{version}.{kind}",
        f"k8s.io.apiextensions_apiserver.pkg.apis.{head}.{version}.{kind}",
        f"k8s.io.kube_aggregator.pkg.apis.{head}.{version}.{kind}",
        _META + kind,
    )
    for name in candidates:
        if name in messages:
            return name
    raise ValueError(api_version)


def _message(data: bytes, name: str, messages: JsonObject) -> JsonObject:
    table: JsonObject = messages[name]
    found: JsonObject = {}
    for number, raw in _fields(data):
        field = table.get(str(number))
        if field is None:
            continue
        key, kind, cardinality = field
        if cardinality == "map":
            pair = dict(_fields(_bytes(raw)))
            value = _value(pair.get(2, b""), kind, messages)
            found.setdefault(key, {})[_bytes(pair.get(1, b"")).decode()] = value
            continue
        value = _value(raw, kind, messages)
        if cardinality == "inline":
            found |= value or {}
        elif cardinality == "list":
            found.setdefault(key, []).append(value)
        elif not _is_void(value):
            found[key] = value
    return found


def _is_void(value: JsonValue) -> bool:
    """Go writes zero values of plain fields on the wire; in JSON they are left out. Pointers to them are rare in what clients send."""
    return value is None or value == ""


def _value(raw: int | bytes, kind: str, messages: JsonObject) -> JsonValue:
    if kind == "string":
        return _bytes(raw).decode()
    if kind == "bytes":
        return base64.b64encode(_bytes(raw)).decode()
    if kind == "bool":
        return bool(raw)
    if kind in ("double", "float"):
        return struct.unpack("<d" if kind == "double" else "<f", _bytes(raw))[0]
    if kind.startswith(("int", "uint")):
        number = raw if isinstance(raw, int) else 0
        return number if kind in _UNSIGNED or number < 1 << 63 else number - (1 << 64)
    return _special(_bytes(raw), kind, messages)


def _special(data: bytes, kind: str, messages: JsonObject) -> JsonValue:
    if kind in (_META + "Time", _META + "MicroTime"):
        return _time(dict(_fields(data)), micro=kind.endswith("MicroTime"))
    if kind == _QUANTITY:
        return _bytes(dict(_fields(data)).get(1, b"")).decode()
    if kind == _INT_OR_STRING:
        parts = dict(_fields(data))
        if parts.get(1):
            return _bytes(parts.get(3, b"")).decode()
        return _value(parts.get(2, 0), "int32", messages)
    if kind in _RAW:
        raw = _bytes(dict(_fields(data)).get(1, b""))
        return canonical.decode(raw) if raw else None
    if kind in _LISTS:
        return [_bytes(item).decode() for _, item in _fields(data)]
    return _message(data, kind, messages)


def _time(parts: dict[int, int | bytes], *, micro: bool) -> str | None:
    seconds, nanos = parts.get(1, 0), parts.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int) or not seconds:
        return None
    if seconds >= 1 << 63:
        return None
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{nanos // 1000:06}Z" if micro else f"{moment}Z"


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where bytes belong")  # about the data, not a type
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        value: int | bytes
        if wire == 0:
            value, position = _varint(data, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, position = data[position : position + size], position + size
        elif wire == 2:
            size, position = _varint(data, position)
            value, position = data[position : position + size], position + size
            if len(value) != size:
                raise ValueError("cut short")
        else:
            raise ValueError(f"wire type {wire}")
        yield number, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return result, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
