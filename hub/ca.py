"""The authority: join tokens, certificates for agents, and who is who.

Joining takes a one-time token, renewing takes the certificate (or, once that has expired, the old key's signature
over a nonce), and every question "who is this?" is answered from the hub's own record, never from names in a
certificate. What is answered is durable first. The rules themselves are pure and live in `hub.identities`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec
import structlog
from prometheus_client import Counter

from fleet.errors import BadInput, Denied, NotReady, Transient
from fleet.model.identity import ClusterName
from fleet.pki.certificates import Certificate, PublicKey, fingerprint, issue_client, key_from_csr
from fleet.pki.enrol import renewal_payload
from fleet.pki.keys import SigningKey
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.store.port import Conflict, Kind, Put, Store
from fleet.wire.enrolment import AgentHints, JoinAnswer, RenewAnswer, RenewRequest
from fleet.wire.errors import Unauthenticated
from fleet.wire.token import JoinToken
from hub import identities, nonces
from hub.identities import ClusterIdentity, Identity, Issued, TokenRecord
from hub.keyring import Keyring, Lifetimes
from hub.registry import Registry, Tokens, replacing, voiding

log = structlog.get_logger(__name__)

_HUB_ID = "hub-id"
_MAX_UID = 128

_JOINS = Counter("fleet_hub_joins_total", "Join requests.", ["result"])
_RENEWALS = Counter("fleet_hub_renewals_total", "Certificate renewals.", ["result"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CaSettings:
    """What the authority issues and for how long."""

    hosts: tuple[str, ...]
    """Names and addresses of the agents' listener, that of the external URL first."""
    certificate_lifetime: timedelta = timedelta(hours=24)
    renew_expired_for: timedelta = timedelta(days=30)
    join_token_lifetime: timedelta = timedelta(hours=1)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    hints: AgentHints = field(default_factory=AgentHints)


class Authority:
    """Issues and recognises agents' certificates."""

    def __init__(
        self, store: Store, registry: Registry, keyring: Keyring, settings: CaSettings, clock: Clock
    ) -> None:
        self.clock = clock
        self.hub_id = ""
        self.keyring = keyring
        self._tokens = Tokens(store)
        self._registry = registry
        self._settings = settings
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._listeners: list[Callable[[ClusterName], None]] = []

    @classmethod
    async def open(
        cls, folder: Path, store: Store, settings: CaSettings, clock: Clock
    ) -> Authority:
        """Load (or, at the first start, make) the hub's identity and keys, and all clusters' identities.

        ``folder`` is the state folder; keys are in its ``pki``. Raises NotReady where clusters have joined but
        the keys are gone.
        """
        registry = Registry(store)
        await registry.restore()
        keyring = await asyncio.to_thread(
            Keyring.open,
            folder / "pki",
            settings.hosts,
            settings.lifetimes,
            clock.now(),
            create=not any(identity.generation for identity in registry.all()),
        )
        authority = cls(store, registry, keyring, settings, clock)
        authority.hub_id = await _hub_id(store)
        return authority

    # what others ask

    def identify(self, peer: bytes | str) -> ClusterIdentity | None:
        """Say who holds a certificate (DER bytes or fingerprint); None where it is not good, or no longer."""
        known = self._registry.holder(peer if isinstance(peer, str) else fingerprint(peer))
        return known if known is not None and self.clock.now() < known.not_after else None

    def refusal(self, peer: bytes) -> str:
        """Say in one word why `identify` knew nobody: expired, superseded (or revoked), unknown."""
        name = fingerprint(peer)
        if self._registry.holder(name) is not None:
            return "expired"
        return "superseded" if self._registry.was_superseded(name) else "unknown"

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Return the keys that sign heads; their public halves are announced in heads."""
        return self.keyring.signing_keys

    def identity(self, cluster: ClusterName) -> Identity | None:
        """Return a cluster's record: joined or not, bound to which control plane, certificates."""
        return self._registry.get(cluster)

    def identities(self) -> tuple[Identity, ...]:
        """Return all records, sorted by name."""
        return self._registry.all()

    def subscribe(self, changed: Callable[[ClusterName], None]) -> None:
        """Have a function called whenever a cluster's identity changed: joined, revoked, removed."""
        self._listeners.append(changed)

    # what an admin does

    async def create_cluster_token(
        self, name: ClusterName, ttl: timedelta | None = None, *, cluster_uid: str = ""
    ) -> JoinToken:
        """Make a cluster's identity where there is none, and a join token; an earlier token is void.

        A cluster that has an agent keeps it until another one joins with the token.
        """
        async with self._locks[name]:
            now = self.clock.now()
            token = JoinToken.create(self.keyring.server_ca(now).pin())
            record = TokenRecord(
                cluster=name,
                hash=token.hash(),
                expires=now + (ttl or self._settings.join_token_lifetime),
                cluster_uid=cluster_uid,
            )
            old = self.identity(name) or Identity(name=name, id=str(uuid.uuid4()))
            await self._registry.write(
                msgspec.structs.replace(old, token=token.id),
                *voiding(old),
                replacing(token.id, record, None),
            )
        log.info("join token made", cluster=name, token=token.id, audit=True)
        return token

    async def revoke(self, cluster: ClusterName) -> None:
        """Make every certificate and token of a cluster void, at once; raises NotReady for an unknown one."""
        async with self._locks[cluster]:
            identity = self._require(cluster)
            await self._registry.write(identities.revoked(identity), *voiding(identity))
        log.warning("cluster revoked", cluster=cluster, audit=True)
        self._tell(cluster)

    async def remove(self, cluster: ClusterName) -> None:
        """Forget a cluster's identity; nothing happens where there is none."""
        async with self._locks[cluster]:
            identity = self.identity(cluster)
            if identity is None:
                return
            await self._registry.remove(cluster, *voiding(identity))
        log.warning("cluster identity removed", cluster=cluster, audit=True)
        self._tell(cluster)

    # what an agent asks

    async def join(self, token: JoinToken, csr_pem: str, cluster_uid: str) -> JoinAnswer:
        """Exchange a join token for a certificate; raises Unauthenticated, Denied, BadInput."""
        if not 0 < len(cluster_uid) <= _MAX_UID:
            raise BadInput("the join request names no kube-system UID")
        public = key_from_csr(csr_pem.encode())
        found = await self._tokens.get(token.id)
        cluster = found[0].cluster if found else ""
        async with self._locks[cluster] if cluster else asyncio.Lock():
            try:
                return await self._join(token, public, cluster_uid)
            except Denied as error:
                _JOINS.labels("refused").inc()
                log.warning(
                    "join refused", cluster=cluster, token=token.id, error=error.message, audit=True
                )
                raise

    async def renew(self, request: RenewRequest, peer: ClusterIdentity | None) -> RenewAnswer:
        """Exchange a certificate for its successor; raises Unauthenticated, Denied, BadInput.

        ``peer`` is who the TLS connection belongs to; without one the request has to prove itself.
        """
        try:
            public = key_from_csr(request.csr.encode())
            old = peer.fingerprint if peer else self._proven(request)
            known = self._registry.holder(old)
            if known is None:
                raise Unauthenticated("the certificate has been superseded or revoked")
            async with self._locks[known.name]:
                answer = await self._renew(known, public)
        except Denied as error:
            _RENEWALS.labels("refused").inc()
            log.warning(
                "renewal refused",
                cluster=peer.name if peer else "",
                error=error.message,
                audit=True,
            )
            raise
        _RENEWALS.labels("certificate" if peer else "proof").inc()
        return answer

    def nonce(self) -> str:
        """Return something to sign; good for a minute, at this hub and after its restart."""
        return nonces.make(self._nonce_secret(), self.clock.now())

    async def confirm(self, peer: ClusterIdentity) -> None:
        """Note that a certificate is in use: its predecessor is superseded. Cheap where nothing changes."""
        if peer.is_confirmed:
            return
        async with self._locks[peer.name]:
            identity = self.identity(peer.name)
            if identity is None or identities.find(identity, peer.fingerprint) is None:
                return
            try:
                await self._registry.write(identities.confirmed(identity, peer.fingerprint))
            except (
                Transient
            ) as error:  # pulls go on while the disk is full; the next request tries again
                log.warning("certificate use not noted", cluster=peer.name, error=error.message)

    # inside

    async def _join(self, token: JoinToken, public: PublicKey, cluster_uid: str) -> JoinAnswer:
        found = await self._tokens.get(token.id)
        if found is None:
            raise Unauthenticated("the join token is not known, or no longer")
        record, data = found
        identity = self.identity(ClusterName(record.cluster))
        if not token.matches(record.hash) or identity is None or identity.token != token.id:
            raise Unauthenticated("the join token is not known, or no longer")
        key, now = public.digest(), self.clock.now()
        try:
            again = identities.check_join(
                identity, record, key=key, cluster_uid=cluster_uid, now=now
            )
        except Denied:
            if record.key and record.key != key:
                await self._count_refusal(token.id, record, data)
            raise
        if again is not None:
            _JOINS.labels("repeated").inc()
            return self._join_answer(identity, again)
        return await self._first_join(token.id, record, data, identity, public, cluster_uid)

    async def _first_join(
        self,
        token_id: str,
        record: TokenRecord,
        stored: bytes,
        identity: Identity,
        public: PublicKey,
        cluster_uid: str,
    ) -> JoinAnswer:
        issued = self._issue(identity, public)
        after = identities.joined(identity, issued, cluster_uid)
        used = msgspec.structs.replace(record, key=issued.key, certificate=issued.fingerprint)
        await self._registry.write(after, replacing(token_id, used, stored))
        _JOINS.labels("joined").inc()
        log.info(
            "cluster joined",
            **{fields.CLUSTER: identity.name},
            generation=after.generation,
            cluster_uid=cluster_uid,
            audit=True,
        )
        self._tell(ClusterName(identity.name))
        return self._join_answer(after, issued)

    async def _count_refusal(self, token_id: str, record: TokenRecord, stored: bytes) -> None:
        counted = msgspec.structs.replace(record, refused=record.refused + 1)
        try:
            await self._tokens.replace(token_id, counted, stored)
        except (Conflict, Transient) as error:
            log.warning("refused join not counted", token=token_id, error=error.message)

    async def _renew(self, known: ClusterIdentity, public: PublicKey) -> RenewAnswer:
        identity = self.identity(known.name)
        # a certificate that asks for its successor is in use
        if identity is not None:
            identity = identities.confirmed(identity, known.fingerprint)
        old = identities.find(identity, known.fingerprint) if identity else None
        if identity is None or old is None:
            raise Unauthenticated("the certificate has been superseded or revoked")
        issued = identities.check_renewal(
            identity,
            old,
            key=public.digest(),
            now=self.clock.now(),
            grace=self._settings.renew_expired_for,
        )
        if issued is None:
            issued = self._issue(identity, public)
            await self._registry.write(identities.renewed(identity, old, issued))
            log.info("certificate renewed", cluster=known.name, not_after=str(issued.not_after))
        return RenewAnswer(
            certificate=issued.pem, ca_bundle=self.keyring.bundle(), agent=self._settings.hints
        )

    def _proven(self, request: RenewRequest) -> str:
        """Return the fingerprint of an old certificate whose key signed the nonce."""
        nonces.check(request.nonce, self._nonce_secret(), self.clock.now())
        old = Certificate.parse(request.old_certificate.encode())
        if self._registry.holder(old.fingerprint()) is None:
            raise Unauthenticated("the certificate has been superseded or revoked")
        try:
            signature = base64.b64decode(request.signature, validate=True)
        except (ValueError, binascii.Error) as error:
            raise BadInput("the signature is not base64") from error
        old.public_key().verify(signature, renewal_payload(request.csr, request.nonce))
        return old.fingerprint()

    def _nonce_secret(self) -> bytes:
        return self.keyring.secret("renewal nonce")

    def _issue(self, identity: Identity, public: PublicKey) -> Issued:
        key = public.digest()
        if self._registry.owner_of_key(key) not in (None, identity.name):
            raise Denied("this key belongs to another cluster", hint="make a new key")
        certificate = issue_client(
            self.keyring.client_ca,
            public,
            hub=self.hub_id,
            cluster_id=identity.id,
            lifetime=self._settings.certificate_lifetime,
            now=self.clock.now(),
        )
        return Issued(
            fingerprint=certificate.fingerprint(),
            key=key,
            pem=certificate.pem(),
            not_after=certificate.not_after,
        )

    def _join_answer(self, identity: Identity, issued: Issued) -> JoinAnswer:
        return JoinAnswer(
            cluster=identity.name,
            cluster_id=identity.id,
            hub=self.hub_id,
            certificate=issued.pem,
            ca_bundle=self.keyring.bundle(),
            signing_keys=tuple(key.public for key in self.keyring.signing_keys),
            agent=self._settings.hints,
        )

    def _require(self, cluster: ClusterName) -> Identity:
        identity = self.identity(cluster)
        if identity is None:
            raise NotReady(f"no agent was ever admitted for cluster {cluster}")
        return identity

    def _tell(self, cluster: ClusterName) -> None:
        for listener in self._listeners:
            listener(cluster)


async def _hub_id(store: Store) -> str:
    found = await store.get(Kind.META, _HUB_ID)
    if found is None:
        with contextlib.suppress(Conflict):  # another hub on the same database was first
            await store.commit(Put(Kind.META, _HUB_ID, str(uuid.uuid4()).encode(), expect=None))
        found = await store.get(Kind.META, _HUB_ID)
    assert found is not None
    return found.decode()
