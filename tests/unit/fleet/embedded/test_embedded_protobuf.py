"""Bodies in Protocol Buffers, written here by hand, and hostile ones."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.embedded import protobuf
from fleet.embedded.errors import Refusal
from fleet.embedded.tables import tables

# a Namespace as Go writes it: plain fields are there although they are empty
NAMESPACE = "azhzAAoPCgJ2MRIJTmFtZXNwYWNlEh8KGwoDZm9vEgAaACIAKgAyADgAQgB6AIoBAJABABIAGgIKABoAIgA="


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field."""
    return bytes([(number << 3) | 2, len(value)]) + value


def envelope(api_version: str, kind: str, body: bytes) -> bytes:
    head = field(1, api_version.encode()) + field(2, kind.encode())
    return b"k8s\x00" + field(1, head) + field(2, body)


def test_namespace_with_empty_fields() -> None:
    found = protobuf.decode(base64.b64decode(NAMESPACE), tables().messages)
    assert (found["apiVersion"], found["kind"]) == ("v1", "Namespace")
    assert found["metadata"]["name"] == "foo"
    assert "creationTimestamp" not in found["metadata"]


def test_maps_bytes_inline_fields_and_special_types() -> None:
    pair = field(1, b"key") + field(2, b"\x00\xff")
    secret = envelope("v1", "Secret", field(1, field(1, b"s")) + field(2, pair))
    found = protobuf.decode(secret, tables().messages)
    assert found["data"] == {"key": "AP8="}
    port = field(4, bytes([0x08, 0x01, 0x1A, 0x04]) + b"http")  # targetPort: a string
    service = envelope("v1", "Service", field(2, field(1, port)))
    assert protobuf.decode(service, tables().messages)["spec"]["ports"] == [{"targetPort": "http"}]
    volume = field(1, b"v") + field(2, field(2, b""))
    pod = envelope("v1", "Pod", field(2, field(1, volume)))
    assert protobuf.decode(pod, tables().messages)["spec"]["volumes"] == [
        {"name": "v", "emptyDir": {}}
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"k8s\x00", b"k8s\x00\x0a\xff", envelope("v9", "Nothing", b""), envelope("v1", "Namespace", b"\x0a\x7f")],
    ids=["empty", "json", "bare", "cut", "unknown-kind", "cut-inside"],
)  # fmt: skip
def test_refuses_what_it_cannot_read(data: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        protobuf.decode(data, tables().messages)
    assert caught.value.code == 400


@given(st.binary(max_size=200))
def test_never_fails_otherwise(data: bytes) -> None:
    with suppress(Refusal):
        protobuf.decode(envelope("apps/v1", "Deployment", data[:100]), tables().messages)
    with suppress(Refusal):
        protobuf.decode(b"k8s\x00" + data, tables().messages)
