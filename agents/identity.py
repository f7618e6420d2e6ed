"""Who this agent is: what joining gave it, and what renewing changes. Pure, but for reading its own bytes.

The private key of a certificate that was asked for and not answered yet is part of it: it is stored before the
request leaves, so that an answer which got lost can be had again with the same key.
"""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import msgspec

from fleet.errors import Corrupt

_ENCODER = msgspec.json.Encoder()


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that joining gave, and a key that waits for its certificate."""

    hub_url: str
    cluster_uid: str
    """UID of kube-system in the cluster that joined."""
    token_id: str = ""
    """Id of the join token that was used; another token in the file may replace this identity."""
    ca_bundle: str = ""
    """PEM: whom to believe to be the hub."""
    hub: str = ""
    """The hub's id; heads must name it."""
    cluster: str = ""
    cluster_id: str = ""
    certificate: str = ""
    """PEM; empty: not joined yet."""
    key: str = ""
    """PEM of the certificate's private key."""
    pending_key: str = ""
    """PEM of the next one's."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    signing_keys: tuple[str, ...] = ()
    """Public keys (base64) that may sign assignments."""

    def __repr__(self) -> str:
        return f"Identity(cluster={self.cluster!r}, hub={self.hub!r})"

    @property
    def is_joined(self) -> bool:
        """Whether there is a certificate."""
        return bool(self.certificate)

    def is_expired(self, now: datetime) -> bool:
        """Whether the certificate cannot be shown any more."""
        return self.not_after is not None and now >= self.not_after

    def renew_at(self, rng: Random, *, fraction: float = 0.5) -> datetime:
        """Choose when to ask for the next certificate: between ``fraction`` and a sixth of its life later."""
        if self.not_before is None or self.not_after is None:
            return datetime.now(UTC)
        life = self.not_after - self.not_before
        return self.not_before + life * (fraction + rng.uniform(0.0, 1 / 6))


def encode(identity: Identity) -> bytes:
    """Write it; the bytes hold private keys."""
    return _ENCODER.encode(identity)


def decode(data: bytes) -> Identity:
    """Read what `encode` wrote; raises Corrupt without repeating anything."""
    try:
        return msgspec.json.decode(data, type=Identity)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(
            "the stored identity cannot be read",
            hint="remove it and join again with a new token",
        ) from error
