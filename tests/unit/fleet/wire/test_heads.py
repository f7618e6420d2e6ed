"""Which assignments an agent takes."""

from __future__ import annotations

import base64

import msgspec
import pytest

from fleet.codec.canonical import Digest
from fleet.errors import Corrupt, Denied, FleetError
from fleet.model.assignment import Head, SectionRef, Signature, SignedHead
from fleet.pki.keys import SigningKey, VerifyKeys
from fleet.wire import codec
from fleet.wire.heads import (
    CONTEXT,
    Position,
    head_digest,
    keys_after,
    payload_of,
    sign_head,
    verify_head,
)

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
TRUST = VerifyKeys.of([KEY.public])
HEAD = Head(
    hub="hub",
    cluster="a",
    cluster_uid="uid-a",
    epoch=2,
    generation=7,
    sections=(
        SectionRef(target="app", digest="sha256:1"),
        SectionRef(target="web", digest="sha256:2"),
    ),
)


def changed(**fields: object) -> Head:
    return msgspec.structs.replace(HEAD, **fields)


def verify(signed: SignedHead, last: Position | None = None) -> Head:
    return verify_head(signed, TRUST, hub="hub", cluster="a", cluster_uid="uid-a", last=last)


def seen(head: Head) -> Position:
    return head.epoch, head.generation, head_digest(sign_head(head, [KEY]))


def test_what_was_signed_is_read() -> None:
    assert verify(sign_head(HEAD, [OTHER, KEY])) == HEAD


def test_the_same_head_has_the_same_digest_whoever_signs() -> None:
    assert head_digest(sign_head(HEAD, [KEY])) == head_digest(sign_head(HEAD, [OTHER]))
    assert head_digest(sign_head(HEAD, [KEY])) != head_digest(sign_head(changed(epoch=3), [KEY]))


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(None, id="the first"),
        pytest.param(seen(HEAD), id="the same again"),
        pytest.param(seen(changed(generation=6)), id="the next"),
        pytest.param(seen(changed(epoch=1, generation=99)), id="a new epoch"),
    ],
)
def test_order_that_is_fine(last: Position | None) -> None:
    assert verify(sign_head(HEAD, [KEY]), last) == HEAD


@pytest.mark.parametrize(
    ("last", "error"),
    [
        pytest.param(seen(changed(generation=8)), Denied, id="lower generation"),
        pytest.param(seen(changed(epoch=3, generation=1)), Denied, id="lower epoch"),
        pytest.param((2, 7, Digest("sha256:x")), Corrupt, id="same generation, other content"),
    ],
)
def test_order_that_is_refused(last: Position, error: type[FleetError]) -> None:
    with pytest.raises(error):
        verify(sign_head(HEAD, [KEY]), last)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(changed(hub="other"), id="another hub"),
        pytest.param(changed(cluster="b"), id="another cluster"),
        pytest.param(changed(cluster="a1"), id="a longer name"),
        pytest.param(changed(cluster="A"), id="another case"),
        pytest.param(changed(cluster_uid="uid-b"), id="another control plane of the name"),
        pytest.param(changed(cluster_uid=""), id="no control plane"),
        pytest.param(changed(protocol=2), id="another protocol"),
    ],
)
def test_heads_for_others_are_refused(head: Head) -> None:
    with pytest.raises(Denied):
        verify(sign_head(head, [KEY]))


def resigned(payload: bytes, context: str = CONTEXT) -> SignedHead:
    return SignedHead(
        payload=base64.b64encode(payload).decode(), signatures=(KEY.sign(context, payload),)
    )


GOOD = sign_head(HEAD, [KEY])


@pytest.mark.parametrize(
    ("signed", "error"),
    [
        pytest.param(sign_head(HEAD, [OTHER]), Denied, id="another key"),
        pytest.param(sign_head(HEAD, []), Denied, id="no signature"),
        pytest.param(
            msgspec.structs.replace(GOOD, payload=sign_head(changed(epoch=9), [KEY]).payload),
            Corrupt,
            id="other content",
        ),
        pytest.param(msgspec.structs.replace(GOOD, payload="?"), Corrupt, id="not base64"),
        pytest.param(
            msgspec.structs.replace(GOOD, signatures=(Signature(key=KEY.id, signature="AAAA"),)),
            Corrupt,
            id="broken signature",
        ),
        pytest.param(resigned(payload_of(GOOD), "other"), Corrupt, id="signed for another purpose"),
        pytest.param(resigned(b"{"), Corrupt, id="not a head"),
        pytest.param(
            sign_head(changed(sections=tuple(reversed(HEAD.sections))), [KEY]),
            Corrupt,
            id="not sorted",
        ),
        pytest.param(
            sign_head(changed(sections=(HEAD.sections[0], HEAD.sections[0])), [KEY]),
            Corrupt,
            id="twice the same target",
        ),
    ],
)
def test_damage_and_forgery_are_refused(signed: SignedHead, error: type[FleetError]) -> None:
    with pytest.raises(error):
        verify(signed)


def test_every_flipped_bit_is_noticed() -> None:
    payload = bytearray(payload_of(GOOD))
    for position in range(len(payload)):
        payload[position] ^= 1
        with pytest.raises(Corrupt):
            verify(msgspec.structs.replace(GOOD, payload=base64.b64encode(bytes(payload)).decode()))
        payload[position] ^= 1


def test_a_new_key_is_learned_from_an_old_one() -> None:
    announced = changed(keys=(KEY.public, OTHER.public))
    trust = keys_after(verify(sign_head(announced, [KEY])), TRUST)
    later = sign_head(changed(generation=8), [OTHER])

    head = verify_head(later, trust, hub="hub", cluster="a", cluster_uid="uid-a", last=None)
    assert head.generation == 8
    assert set(keys_after(HEAD, trust)) == {KEY.id, OTHER.id}, "none announced: none forgotten"
    with pytest.raises(Denied):
        verify(later)


def test_a_newer_hub_may_add_fields() -> None:
    payload = codec.encode(HEAD)[:-1] + b',"invented":true}'

    assert verify(resigned(payload)) == HEAD
