"""Who an agent is: the hub's record of each cluster's identity, and the pure rules of joining and renewing.

A certificate is good because it is listed here, not because a CA signed it: a revoked or superseded one is simply
not listed any more. A certificate is superseded when its successor has been used once, so an agent that never
received the successor can ask again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from fleet.errors import Denied
from fleet.model.identity import ClusterName

_REMEMBERED = 16
"""Superseded fingerprints that are kept to tell "superseded" from "unknown"."""


class Standing(StrEnum):
    """Where a cluster's identity is in its life."""

    PENDING = "pending"
    JOINED = "joined"
    REVOKED = "revoked"


class Issued(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A certificate that is good until ``not_after``, and renewable for a while longer."""

    fingerprint: str
    key: str
    """Digest of its public key."""
    pem: str
    not_after: datetime
    follows: str = ""
    """Fingerprint of the certificate it was renewed from, until its first use."""


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The record of one cluster."""

    name: str
    id: str
    """UUID, for good; a removed and added cluster gets another."""
    standing: Standing = Standing.PENDING
    generation: int = 0
    """How many times an agent has joined."""
    cluster_uid: str = ""
    """UID of kube-system, bound at join."""
    token: str = ""
    """Id of the join token that may be used, or was."""
    certificates: tuple[Issued, ...] = ()
    superseded: tuple[str, ...] = ()


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A join token as the hub remembers it."""

    cluster: str
    hash: str
    expires: datetime
    cluster_uid: str = ""
    """The only control plane that may use it, if the admin said so."""
    key: str = ""
    """Digest of the public key it is bound to since its first use."""
    certificate: str = ""
    """Fingerprint of what the first use was answered with."""
    refused: int = 0
    """How often somebody came with another key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterIdentity:
    """Who is at the other end of a connection."""

    name: ClusterName
    id: str
    cluster_uid: str
    generation: int
    fingerprint: str
    not_after: datetime
    is_confirmed: bool
    """False until the first use of a renewed certificate has been noted."""


def identity_of(identity: Identity, issued: Issued) -> ClusterIdentity:
    """Return what a certificate of the record says."""
    return ClusterIdentity(
        name=ClusterName(identity.name),
        id=identity.id,
        cluster_uid=identity.cluster_uid,
        generation=identity.generation,
        fingerprint=issued.fingerprint,
        not_after=issued.not_after,
        is_confirmed=not issued.follows,
    )


def find(identity: Identity, fingerprint: str) -> Issued | None:
    """Return a certificate of the record."""
    return next((c for c in identity.certificates if c.fingerprint == fingerprint), None)


def check_join(
    identity: Identity, token: TokenRecord, *, key: str, cluster_uid: str, now: datetime
) -> Issued | None:
    """Decide about a join whose secret was right: None = issue; a certificate = the same answer again.

    Raises Denied.
    """
    if token.key:
        return _check_repeated(identity, token, key=key, cluster_uid=cluster_uid, now=now)
    if now >= token.expires:
        raise Denied("the join token has expired", hint="fleet cluster add makes a new one")
    if token.cluster_uid and token.cluster_uid != cluster_uid:
        raise Denied("the join token is for another control plane")
    return None


def _check_repeated(
    identity: Identity, token: TokenRecord, *, key: str, cluster_uid: str, now: datetime
) -> Issued:
    if key != token.key or cluster_uid != identity.cluster_uid:
        raise Denied(
            "the join token has been used by another agent",
            hint="if that was not you, revoke the cluster; fleet cluster add makes a new token",
        )
    issued = find(identity, token.certificate)
    if issued is None or now >= issued.not_after:
        raise Denied(
            "the join token has been used, and its certificate is no longer good",
            hint="fleet cluster add makes a new one",
        )
    return issued


def joined(identity: Identity, issued: Issued, cluster_uid: str) -> Identity:
    """Return the record after a join: whoever was this cluster before is no longer."""
    return msgspec.structs.replace(
        identity,
        standing=Standing.JOINED,
        generation=identity.generation + 1,
        cluster_uid=cluster_uid,
        certificates=(issued,),
        superseded=_superseded(identity, identity.certificates),
    )


def revoked(identity: Identity) -> Identity:
    """Return the record with nothing good in it."""
    return msgspec.structs.replace(
        identity,
        standing=Standing.REVOKED,
        token="",
        certificates=(),
        superseded=_superseded(identity, identity.certificates),
    )


def check_renewal(
    identity: Identity, old: Issued, *, key: str, now: datetime, grace: timedelta
) -> Issued | None:
    """Decide about a renewal: None = issue; a certificate = the same answer again. Raises Denied."""
    if now >= old.not_after + grace:
        raise Denied(
            "the certificate expired too long ago to be renewed",
            hint="fleet cluster add makes a new join token",
        )
    if key == old.key:
        raise Denied("a renewal needs a new key")
    for successor in _successors(identity, old):
        if successor.key == key and now < successor.not_after:
            return successor
    return None


def renewed(identity: Identity, old: Issued, issued: Issued) -> Identity:
    """Return the record with a successor that waits for its first use; an earlier, unused one is dropped."""
    dropped = _successors(identity, old)
    kept = tuple(c for c in identity.certificates if c not in dropped)
    return msgspec.structs.replace(
        identity,
        certificates=(*kept, msgspec.structs.replace(issued, follows=old.fingerprint)),
        superseded=_superseded(identity, dropped),
    )


def confirmed(identity: Identity, fingerprint: str) -> Identity:
    """Return the record after a certificate's first use: everything else is superseded."""
    used = find(identity, fingerprint)
    if used is None or not used.follows:
        return identity
    others = tuple(c for c in identity.certificates if c is not used)
    return msgspec.structs.replace(
        identity,
        certificates=(msgspec.structs.replace(used, follows=""),),
        superseded=_superseded(identity, others),
    )


def _successors(identity: Identity, old: Issued) -> tuple[Issued, ...]:
    return tuple(c for c in identity.certificates if c.follows == old.fingerprint)


def _superseded(identity: Identity, gone: tuple[Issued, ...]) -> tuple[str, ...]:
    return (*identity.superseded, *(c.fingerprint for c in gone))[-_REMEMBERED:]
