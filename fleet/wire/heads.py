"""Signing and verifying assignment heads.

The exact bytes of a head are signed, with a context string. An agent takes a head only if a key it trusts
signed it, it is for this hub, this cluster and this very control plane (the UID of kube-system), and it does not
go back behind what the agent has seen: lower (epoch, generation) is a replay, the same one with other content
means that two hubs speak. Decision 7 of the design.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from fleet.codec.canonical import Digest, digest_bytes
from fleet.errors import BadInput, Corrupt, Denied
from fleet.model.assignment import PROTOCOL, Head, SignedHead
from fleet.pki.keys import SigningKey, VerifyKeys
from fleet.wire import codec

CONTEXT = "gitops-fleet/assignment-head/v1"

Position = tuple[int, int, Digest]
"""Epoch, generation and digest of the last head that was accepted."""


def sign_head(head: Head, keys: Iterable[SigningKey]) -> SignedHead:
    """Sign with every given key (two while a new key is being introduced)."""
    payload = codec.encode(head)
    return SignedHead(
        payload=base64.b64encode(payload).decode(),
        signatures=tuple(key.sign(CONTEXT, payload) for key in keys),
    )


def payload_of(signed: SignedHead) -> bytes:
    """Return the signed bytes, unverified; raises Corrupt."""
    try:
        return base64.b64decode(signed.payload, validate=True)
    except (ValueError, binascii.Error) as error:
        raise Corrupt("the payload of an assignment is not base64") from error


def head_digest(signed: SignedHead) -> Digest:
    """Name a head by its signed bytes; also its ETag."""
    return digest_bytes(payload_of(signed))


def verify_head(
    signed: SignedHead,
    trusted_keys: VerifyKeys,
    *,
    hub: str,
    cluster: str,
    cluster_uid: str,
    last: Position | None,
) -> Head:
    """Return the head if it may be applied.

    Raises Denied (no trusted key, another hub, another cluster, a replay) and Corrupt (damaged bytes, or other
    content under a generation that was already seen). The same head again is fine.
    """
    payload = payload_of(signed)
    trusted_keys.verify(CONTEXT, payload, signed.signatures)
    try:
        head = codec.decode(payload, Head)
    except BadInput as error:
        raise Corrupt(f"a signed assignment cannot be read: {error.message}") from error
    _check_addressee(head, hub=hub, cluster=cluster, cluster_uid=cluster_uid)
    _check_order(head, digest_bytes(payload), last)
    _check_form(head)
    return head


def keys_after(head: Head, trusted: VerifyKeys) -> VerifyKeys:
    """Return the keys to trust from now on: those a verified head announces, or the same as before."""
    try:
        return VerifyKeys.of(head.keys) if head.keys else trusted
    except BadInput as error:
        raise Corrupt("a signed assignment announces a key that is none") from error


def _check_addressee(head: Head, *, hub: str, cluster: str, cluster_uid: str) -> None:
    if head.protocol != PROTOCOL:
        raise Denied(
            f"assignment of protocol {head.protocol}, this agent speaks {PROTOCOL}",
            hint="bring hub and agent to neighbouring versions",
        )
    if head.hub != hub:
        raise Denied(f"assignment of another hub: {head.hub}, this agent joined {hub}")
    if head.cluster != cluster:
        raise Denied(f"assignment of another cluster: {head.cluster}, this one is {cluster}")
    if head.cluster_uid != cluster_uid:
        raise Denied(
            f"assignment for another control plane of cluster {cluster}: kube-system UID "
            f"{head.cluster_uid}, this one has {cluster_uid}",
            hint="a rebuilt cluster has to join again: fleet cluster add",
        )


def _check_order(head: Head, digest: Digest, last: Position | None) -> None:
    if last is None:
        return
    epoch, generation, seen = last
    if (head.epoch, head.generation) < (epoch, generation):
        raise Denied(
            f"assignment {head.epoch}.{head.generation} is older than the accepted "
            f"{epoch}.{generation}: a replay, or a hub restored from an old backup",
            hint="after a restore: fleet hub restored --config hub.yaml",
        )
    if (head.epoch, head.generation) == (epoch, generation) and digest != seen:
        raise Corrupt(
            f"two different assignments {epoch}.{generation}: accepted {seen}, now {digest}",
            hint="two hubs with one identity may be running, or one was restored: fleet hub restored",
        )


def _check_form(head: Head) -> None:
    names = [section.target for section in head.sections]
    if names != sorted(set(names)):
        raise Corrupt("the sections of a signed assignment are not sorted or not unique")
