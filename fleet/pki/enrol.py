"""The agent's side of joining and renewing, also as a short-lived child process.

x509 costs memory that the agent does not need for the rest of its life, so its process runs
``python -m fleet.pki.enrol``, which reads one JSON request from stdin, writes one JSON answer to stdout, and is
gone:

- ``{"op": "new"}`` -> ``{"key", "csr"}``: a new private key and its CSR (PEM);
- ``{"op": "csr", "key"}`` -> ``{"csr"}``: the CSR of a key that was kept from an earlier try;
- ``{"op": "pin", "bundle", "pin"}`` -> ``{"bundle"}``: those CA certificates whose key has that SHA-256;
- ``{"op": "prove", "key", "csr", "nonce"}`` -> ``{"signature"}``: the old key vouches for the new one;
- ``{"op": "inspect", "certificate"}`` -> ``{"notBefore", "notAfter", "uris", "fingerprint"}`` (RFC 3339).

An error is ``{"error": {"reason", "message"}}`` and exit status 1. Nothing is written to disk here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import sys
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Denied, FleetError
from fleet.pki.certificates import Certificate, PrivateKey, create_csr

RENEW_CONTEXT = "gitops-fleet/renew/v1"
"""Context of the signature by which an old key vouches for a new one."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that no certificate speaks for yet; keep it durably before sending the CSR."""

    key_pem: str
    csr_pem: str


def new_key() -> NewKey:
    """Make a private key and the request for its certificate."""
    key = PrivateKey.generate()
    return NewKey(key.pem().decode(), create_csr(key).decode())


def csr_for(key_pem: str) -> str:
    """Make the request for a key that was kept from an earlier try."""
    return create_csr(PrivateKey.parse(key_pem.encode())).decode()


def pinned_bundle(bundle_pem: str, pin: str) -> str:
    """Return those CA certificates whose public key has that SHA-256; raises Denied where none has."""
    found = [
        certificate.pem()
        for certificate in Certificate.parse_bundle(bundle_pem.encode())
        if certificate.public_key().digest() == pin
    ]
    if not found:
        raise Denied(
            "the hub's CA is not the one the join token names",
            hint="another server answers at the hub's address, or the token is of another hub",
        )
    return "".join(found)


def renewal_payload(csr_pem: str, nonce: str) -> bytes:
    """Return what the old key signs: the hub's nonce, and the very request it is meant for."""
    try:
        der = ssl.PEM_cert_to_DER_cert(
            csr_pem.strip().replace("CERTIFICATE REQUEST", "CERTIFICATE")
        )
    except ValueError as error:
        raise BadInput("not a certificate signing request in PEM form") from error
    return b"\0".join((RENEW_CONTEXT.encode(), nonce.encode(), hashlib.sha256(der).digest()))


def prove(old_key_pem: str, csr_pem: str, nonce: str) -> str:
    """Sign by the old key that the new one is its successor; base64."""
    key = PrivateKey.parse(old_key_pem.encode())
    return base64.b64encode(key.sign(renewal_payload(csr_pem, nonce))).decode()


def answer(request: JsonObject) -> JsonObject:
    """Do what a request of the child's protocol asks; raises FleetError."""
    try:
        match request["op"]:
            case "new":
                made = new_key()
                return {"key": made.key_pem, "csr": made.csr_pem}
            case "csr":
                return {"csr": csr_for(request["key"])}
            case "pin":
                return {"bundle": pinned_bundle(request["bundle"], request["pin"])}
            case "prove":
                return {"signature": prove(request["key"], request["csr"], request["nonce"])}
            case "inspect":
                return _inspect(Certificate.parse(request["certificate"].encode()))
            case other:
                raise BadInput(f"enrolment knows no operation {other!r}")
    except KeyError as error:
        raise BadInput(f"enrolment request without {error}") from error


def _inspect(certificate: Certificate) -> JsonObject:
    return {
        "notBefore": certificate.not_before.isoformat(),
        "notAfter": certificate.not_after.isoformat(),
        "uris": list(certificate.uris()),
        "fingerprint": certificate.fingerprint(),
    }


def main() -> int:
    """Answer one request from stdin on stdout."""
    try:
        result = answer(json.load(sys.stdin))
    except FleetError as error:
        result = {"error": {"reason": error.reason, "message": error.message}}
    except (ValueError, TypeError, AttributeError):
        result = {"error": {"reason": "InvalidSpec", "message": "not an enrolment request"}}
    json.dump(result, sys.stdout)
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main())
