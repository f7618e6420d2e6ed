"""Ed25519 keys: what is signed, by whom, for what."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fleet.errors import BadInput, Corrupt, Denied, NotReady
from fleet.model.assignment import Signature
from fleet.pki.keys import SigningKey, VerifyKeys

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
TRUST = VerifyKeys.of([KEY.public])


def test_a_signature_by_a_trusted_key_is_found_among_others() -> None:
    signatures = [OTHER.sign("c", b"payload"), KEY.sign("c", b"payload")]

    assert TRUST.verify("c", b"payload", signatures) == KEY.id


@pytest.mark.parametrize(
    ("context", "payload", "signatures", "error"),
    [
        pytest.param("c", b"p", [], Denied, id="no signature"),
        pytest.param("c", b"p", [OTHER.sign("c", b"p")], Denied, id="other key"),
        pytest.param("c", b"q", [KEY.sign("c", b"p")], Corrupt, id="other payload"),
        pytest.param("d", b"p", [KEY.sign("c", b"p")], Corrupt, id="other purpose"),
        pytest.param("c\0p", b"", [KEY.sign("c", b"p\0")], BadInput, id="moved border"),
        pytest.param("c", b"p", [Signature(key=KEY.id, signature="?")], Corrupt, id="not base64"),
        pytest.param(
            "c",
            b"p",
            [Signature(key=KEY.id, signature=OTHER.sign("c", b"p").signature)],
            Corrupt,
            id="other key under a trusted name",
        ),
    ],
)
def test_everything_else_is_refused(
    context: str, payload: bytes, signatures: list[Signature], error: type[Exception]
) -> None:
    with pytest.raises(error):
        TRUST.verify(context, payload, signatures)


def test_key_ids_are_as_the_model_says() -> None:
    import base64
    import hashlib

    raw = base64.b64decode(KEY.public)
    assert len(raw) == 32
    assert hashlib.sha256(raw).hexdigest()[:16] == KEY.id


def test_a_key_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "signing.key"
    KEY.save(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.load(path).public == KEY.public
    assert [found.name for found in path.parent.iterdir()] == ["signing.key"]


def test_a_missing_or_broken_key_file(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    with pytest.raises(NotReady):
        SigningKey.load(path)
    for content in (b"", b"ed25519-seed:AAAA", b"\xff\xfe", KEY.public.encode()):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"signing\.key"):
            SigningKey.load(path)


def test_private_keys_stay_out_of_text() -> None:
    secret = KEY.to_text().strip().removeprefix("ed25519-seed:")
    assert secret not in repr(KEY)
    assert secret not in f"{KEY}"


@pytest.mark.parametrize("text", ["", "x", "AAAA", "\x00"])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        VerifyKeys.of([text])


def test_a_set_of_keys_reads_back() -> None:
    both = VerifyKeys.of([OTHER.public, KEY.public])

    assert sorted(both) == sorted([KEY.id, OTHER.id])
    assert set(VerifyKeys.of(both.texts()).texts()) == {KEY.public, OTHER.public}
