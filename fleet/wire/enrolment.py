"""The messages of joining and renewing.

A CSR carries a public key and the proof that its private key exists; every name in it is ignored. The hub's
record alone decides who somebody is.
"""

from __future__ import annotations

import msgspec


class AgentHints(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the hub would like of its agents."""

    poll_seconds: int = 30
    """How long to let the hub hold an assignment poll."""
    renew_after: float = 0.5
    """Fraction of a certificate's life after which to renew, before jitter."""


class JoinRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``POST /v1/join``, without a client certificate."""

    token: str
    """Text form of the join token."""
    csr: str
    """PEM."""
    cluster_uid: str
    """UID of the kube-system namespace."""


class JoinAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    cluster: str
    """Name of the cluster."""
    cluster_id: str
    """UUID in the certificate's ``spiffe://HUB/cluster/UUID``."""
    hub: str
    """Id of the hub; heads must name it."""
    certificate: str
    """PEM."""
    ca_bundle: str
    """PEM: the CA certificates to trust from now on."""
    signing_keys: tuple[str, ...]
    """Base64 Ed25519 public keys that sign assignments."""
    agent: AgentHints = AgentHints()


class NonceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /v1/nonce``; good for a minute."""

    nonce: str


class RenewRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``POST /v1/renew``: over a connection with the certificate to renew (``csr`` alone), or, once that has
    expired, without one: old certificate, nonce, and the old key's signature (`fleet.pki.enrol.prove`)."""

    csr: str
    old_certificate: str = ""
    nonce: str = ""
    signature: str = ""
    """Base64, ECDSA with SHA-256 by the old key, DER form."""


class RenewAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    certificate: str
    ca_bundle: str
    agent: AgentHints = AgentHints()


class CaAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /v1/ca``: what an agent compares with its token's pin before it trusts this connection's server."""

    ca_bundle: str


class FetchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``POST /v1/fetch``: sections and artifacts, many in one answer (`fleet.wire.frames`)."""

    digests: tuple[str, ...]
