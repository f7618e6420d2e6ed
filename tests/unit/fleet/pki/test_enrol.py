"""The agent's side of enrolment, as functions and as the child process."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Denied
from fleet.pki import certificates, enrol
from fleet.pki.certificates import PrivateKey

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CA = certificates.create_ca("one", timedelta(days=1), NOW)
OTHER = certificates.create_ca("two", timedelta(days=1), NOW)
BUNDLE = CA.certificate.pem() + OTHER.certificate.pem()


def test_a_new_key_asks_for_itself() -> None:
    made = enrol.new_key()
    key = PrivateKey.parse(made.key_pem.encode())

    assert certificates.key_from_csr(made.csr_pem.encode()).digest() == key.public.digest()
    again = enrol.csr_for(made.key_pem)
    assert certificates.key_from_csr(again.encode()).digest() == key.public.digest()


def test_the_pin_picks_its_ca_and_no_other() -> None:
    assert enrol.pinned_bundle(BUNDLE, OTHER.pin()) == OTHER.certificate.pem()


@pytest.mark.parametrize(
    "pin",
    ["", "0" * 64, CA.pin()[:-1], CA.pin().upper()],
    ids=["empty", "zeros", "short", "upper-case"],
)
def test_another_pin_is_another_hub(pin: str) -> None:
    with pytest.raises(Denied, match="not the one"):
        enrol.pinned_bundle(BUNDLE, pin)


def test_the_proof_is_for_this_nonce_and_this_request() -> None:
    old, new, other = enrol.new_key(), enrol.new_key(), enrol.new_key()
    signature = base64.b64decode(enrol.prove(old.key_pem, new.csr_pem, "nonce"))
    public = PrivateKey.parse(old.key_pem.encode()).public

    public.verify(signature, enrol.renewal_payload(new.csr_pem, "nonce"))
    for payload in (
        enrol.renewal_payload(new.csr_pem, "nonce2"),
        enrol.renewal_payload(other.csr_pem, "nonce"),
    ):
        with pytest.raises(Denied):
            public.verify(signature, payload)


def test_a_proof_over_nonsense() -> None:
    with pytest.raises(BadInput):
        enrol.renewal_payload("no request", "nonce")


@pytest.mark.parametrize("request_", [{}, {"op": "x"}, {"op": "pin", "bundle": BUNDLE}])
def test_a_request_that_is_none(request_: JsonObject) -> None:
    with pytest.raises(BadInput):
        enrol.answer(request_)


def child(text: str) -> tuple[int, JsonObject]:
    done = subprocess.run(
        [sys.executable, "-m", "fleet.pki.enrol"],
        input=text,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.stderr == ""
    answer: JsonObject = json.loads(done.stdout)
    return done.returncode, answer


def test_the_child_answers() -> None:
    status, answer = child(json.dumps({"op": "inspect", "certificate": CA.certificate.pem()}))

    assert status == 0
    assert answer == {
        "notBefore": "2026-02-28T23:55:00+00:00",
        "notAfter": "2026-03-02T00:00:00+00:00",
        "uris": [],
        "fingerprint": CA.certificate.fingerprint(),
    }


@pytest.mark.parametrize("text", ["", "[]", '{"op": "pin", "bundle": 1, "pin": 1}'])
def test_the_child_refuses_without_a_traceback(text: str) -> None:
    status, answer = child(text)

    assert status == 1
    assert answer["error"]["reason"] == "InvalidSpec"


def test_what_the_agent_imports_for_good_leaves_x509_out() -> None:
    code = (
        "import sys, fleet.pki.keys, fleet.wire.heads, fleet.wire.token, fleet.wire.reports, "
        "fleet.wire.sections, fleet.wire.frames, fleet.wire.errors, fleet.wire.enrolment;"
        "print([name for name in sys.modules if 'x509' in name or 'asyncio' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
