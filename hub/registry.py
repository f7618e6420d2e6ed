"""The identities the hub knows, in memory and in the store: what is believed was durable first.

Every question of the agents' listener is answered here without a disk; writes expect the record that was read, so
another hub on the same database cannot be overwritten unseen.
"""

from __future__ import annotations

import msgspec
from prometheus_client import Gauge

from fleet.errors import Transient
from fleet.store.port import Change, Conflict, Delete, Kind, Put, Store
from hub.identities import ClusterIdentity, Identity, TokenRecord, identity_of

_IDENTITIES = Gauge("fleet_hub_identities", "Clusters by the state of their identity.", ["state"])


class Registry:
    """Identities by name, certificate and key."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[str, tuple[Identity, bytes]] = {}
        self._known: dict[str, ClusterIdentity] = {}
        self._keys: dict[str, str] = {}

    async def restore(self) -> None:
        """Read everything."""
        for name, data in (await self._store.load(Kind.IDENTITIES)).items():
            self._install(name, data)

    def get(self, name: str) -> Identity | None:
        """Return a cluster's record."""
        record = self._records.get(name)
        return record[0] if record else None

    def all(self) -> tuple[Identity, ...]:
        """Return all records, sorted by name."""
        return tuple(self._records[name][0] for name in sorted(self._records))

    def holder(self, fingerprint: str) -> ClusterIdentity | None:
        """Return whose certificate it is, whether expired or not; None for superseded and unknown ones."""
        return self._known.get(fingerprint)

    def owner_of_key(self, key: str) -> str | None:
        """Return the cluster that a public key (by digest) is certified for."""
        return self._keys.get(key)

    def was_superseded(self, fingerprint: str) -> bool:
        """Whether the certificate was good once."""
        return any(fingerprint in record.superseded for record, _ in self._records.values())

    async def write(self, identity: Identity, *more: Change) -> None:
        """Make a record durable, then believe it; raises Transient where another hub changed it meanwhile."""
        before = self._records.get(identity.name)
        data = encode(identity)
        expect = before[1] if before else None
        if expect == data and not more:
            return
        try:
            await self._store.commit(
                Put(Kind.IDENTITIES, identity.name, data, expect=expect), *more
            )
        except Conflict as error:
            await self._reload(identity.name)
            raise Transient("the cluster's identity has changed meanwhile; try again") from error
        self._install(identity.name, data)

    async def remove(self, name: str, *more: Change) -> None:
        """Forget a record, durably first."""
        await self._store.commit(Delete(Kind.IDENTITIES, name), *more)
        self._forget(name)

    async def _reload(self, name: str) -> None:
        data = await self._store.get(Kind.IDENTITIES, name)
        if data is None:
            self._forget(name)
        else:
            self._install(name, data)

    def _install(self, name: str, data: bytes) -> None:
        self._forget(name)
        identity = msgspec.json.decode(data, type=Identity)
        self._records[name] = (identity, data)
        for issued in identity.certificates:
            self._known[issued.fingerprint] = identity_of(identity, issued)
            self._keys[issued.key] = name
        _IDENTITIES.labels(identity.standing.value).inc()

    def _forget(self, name: str) -> None:
        record = self._records.pop(name, None)
        if record is None:
            return
        for issued in record[0].certificates:
            self._known.pop(issued.fingerprint, None)
            self._keys.pop(issued.key, None)
        _IDENTITIES.labels(record[0].standing.value).dec()


class Tokens:
    """Join tokens in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, token_id: str) -> tuple[TokenRecord, bytes] | None:
        """Return a token's record and its bytes."""
        data = await self._store.get(Kind.TOKENS, token_id)
        return (msgspec.json.decode(data, type=TokenRecord), data) if data else None

    async def replace(self, token_id: str, record: TokenRecord, stored: bytes) -> None:
        """Write a record where nobody else did; raises Conflict."""
        await self._store.commit(replacing(token_id, record, stored))


def replacing(token_id: str, record: TokenRecord, stored: bytes | None) -> Put:
    """Return the change of a token's record, from the bytes that were read (None: a new one)."""
    return Put(Kind.TOKENS, token_id, encode(record), expect=stored)


def voiding(identity: Identity) -> tuple[Delete, ...]:
    """Return the change that makes a cluster's join token void."""
    return (Delete(Kind.TOKENS, identity.token),) if identity.token else ()


def encode(record: Identity | TokenRecord) -> bytes:
    """Return a record's bytes."""
    return msgspec.json.encode(record)
