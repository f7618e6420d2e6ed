"""Joining, renewing, revoking: the rules of decisions 6 and 12, over a store that can fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from fleet.errors import BadInput, Denied, NotReady, Transient
from fleet.model.identity import ClusterName
from fleet.pki import enrol
from fleet.pki.certificates import Certificate
from fleet.pki.enrol import NewKey
from fleet.store.port import Kind
from fleet.store.sql import SqlStore
from fleet.testing.clock import FakeClock
from fleet.testing.store import MemoryStore
from fleet.wire.enrolment import JoinAnswer, RenewAnswer, RenewRequest
from fleet.wire.errors import Unauthenticated
from fleet.wire.token import JoinToken
from hub.ca import Authority, CaSettings
from hub.identities import ClusterIdentity, Standing

A, B = ClusterName("prod1"), ClusterName("prod10")
SETTINGS = CaSettings(
    hosts=("hub.example.com",),
    certificate_lifetime=timedelta(hours=24),
    renew_expired_for=timedelta(days=30),
    join_token_lifetime=timedelta(hours=1),
)


@dataclass
class World:
    """A hub's authority and what it stands on."""

    folder: Path
    store: MemoryStore
    clock: FakeClock
    authority: Authority

    async def reopen(self) -> None:
        self.authority = await Authority.open(self.folder, self.store, SETTINGS, self.clock)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    store, clock = MemoryStore(), FakeClock()
    return World(tmp_path, store, clock, await Authority.open(tmp_path, store, SETTINGS, clock))


@dataclass
class Agent:
    """What an agent holds."""

    key: NewKey
    certificate: str

    def der(self) -> bytes:
        return Certificate.parse(self.certificate.encode()).der()


async def joined(world: World, cluster: ClusterName = A, uid: str = "uid") -> Agent:
    token = await world.authority.create_cluster_token(cluster)
    key = enrol.new_key()
    answer = await world.authority.join(token, key.csr_pem, uid)
    return Agent(key, answer.certificate)


def who(world: World, agent: Agent) -> ClusterIdentity | None:
    return world.authority.identify(agent.der())


async def renewed(world: World, agent: Agent, key: NewKey | None = None) -> Agent:
    key = key or enrol.new_key()
    peer = who(world, agent)
    assert peer is not None
    answer = await world.authority.renew(RenewRequest(csr=key.csr_pem), peer)
    return Agent(key, answer.certificate)


def proof(world: World, agent: Agent, key: NewKey, nonce: str = "") -> RenewRequest:
    nonce = nonce or world.authority.nonce()
    return RenewRequest(
        csr=key.csr_pem,
        old_certificate=agent.certificate,
        nonce=nonce,
        signature=enrol.prove(agent.key.key_pem, key.csr_pem, nonce),
    )


async def use(world: World, agent: Agent) -> None:
    peer = who(world, agent)
    assert peer is not None
    await world.authority.confirm(peer)


# joining


async def test_a_token_makes_an_agent_of_its_cluster(world: World) -> None:
    token = await world.authority.create_cluster_token(A)
    key = enrol.new_key()
    answer = await world.authority.join(token, key.csr_pem, "uid")
    peer = world.authority.identify(Certificate.parse(answer.certificate.encode()).der())

    assert peer is not None
    assert (peer.name, peer.cluster_uid, peer.generation) == (A, "uid", 1)
    certificate = Certificate.parse(answer.certificate.encode())
    assert certificate.uris() == (f"spiffe://{world.authority.hub_id}/cluster/{peer.id}",)
    assert certificate.not_after == world.clock.now() + timedelta(hours=24)
    assert answer.cluster == A
    assert answer.hub == world.authority.hub_id
    assert answer.signing_keys == tuple(key.public for key in world.authority.signing_keys())
    assert enrol.pinned_bundle(answer.ca_bundle, token.ca_pin)


async def test_the_same_token_and_key_give_the_same_certificate_again(world: World) -> None:
    token = await world.authority.create_cluster_token(A)
    key = enrol.new_key()
    first = await world.authority.join(token, key.csr_pem, "uid")
    await world.clock.advance(timedelta(hours=2))
    await world.reopen()

    assert await world.authority.join(token, enrol.csr_for(key.key_pem), "uid") == first


async def test_of_a_hundred_uses_at_once_one_gets_a_certificate(tmp_path: Path) -> None:
    store = await SqlStore.open(f"sqlite:///{tmp_path}/hub.db")  # a disk gives way to other tasks
    authority = await Authority.open(tmp_path, store, SETTINGS, FakeClock())
    token = await authority.create_cluster_token(A)
    outcomes = await asyncio.gather(
        *(authority.join(token, enrol.new_key().csr_pem, "uid") for _ in range(100)),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, JoinAnswer) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Denied) for outcome in outcomes) == 99
    data = (await store.load(Kind.TOKENS))[token.id]
    assert msgspec.json.decode(data)["refused"] == 99
    await store.close()


async def test_a_used_token_is_refused_to_another_key_and_another_control_plane(
    world: World,
) -> None:
    token = await world.authority.create_cluster_token(A)
    key = enrol.new_key()
    await world.authority.join(token, key.csr_pem, "uid")
    for csr, uid in ((enrol.new_key().csr_pem, "uid"), (key.csr_pem, "other")):
        with pytest.raises(Denied, match="used by another"):
            await world.authority.join(token, csr, uid)


async def test_a_used_token_gives_nothing_that_is_no_longer_good(world: World) -> None:
    token = await world.authority.create_cluster_token(A)
    key = enrol.new_key()
    answer = await world.authority.join(token, key.csr_pem, "uid")
    successor = await renewed(world, Agent(key, answer.certificate))
    await use(world, successor)

    with pytest.raises(Denied, match="no longer good"):
        await world.authority.join(token, key.csr_pem, "uid")


@pytest.mark.parametrize("part", ["secret", "id"])
async def test_a_guessed_token_tells_nothing(world: World, part: str) -> None:
    token = await world.authority.create_cluster_token(A)
    other = JoinToken.create(token.ca_pin)
    guessed = JoinToken(
        id=other.id if part == "id" else token.id, secret=other.secret, ca_pin=token.ca_pin
    )
    with pytest.raises(Unauthenticated, match="not known"):
        await world.authority.join(guessed, enrol.new_key().csr_pem, "uid")


async def test_a_token_expires(world: World) -> None:
    token = await world.authority.create_cluster_token(A)
    await world.clock.advance(timedelta(hours=1))
    with pytest.raises(Denied, match="expired"):
        await world.authority.join(token, enrol.new_key().csr_pem, "uid")


async def test_a_newer_token_voids_the_older(world: World) -> None:
    old = await world.authority.create_cluster_token(A)
    new = await world.authority.create_cluster_token(A)
    with pytest.raises(Unauthenticated):
        await world.authority.join(old, enrol.new_key().csr_pem, "uid")
    await world.authority.join(new, enrol.new_key().csr_pem, "uid")


async def test_a_token_may_be_for_one_control_plane_only(world: World) -> None:
    token = await world.authority.create_cluster_token(A, cluster_uid="uid")
    with pytest.raises(Denied, match="control plane"):
        await world.authority.join(token, enrol.new_key().csr_pem, "other")
    await world.authority.join(token, enrol.new_key().csr_pem, "uid")


async def test_one_key_cannot_be_two_clusters(world: World) -> None:
    key = enrol.new_key()
    for cluster, passes in ((A, True), (B, False)):
        token = await world.authority.create_cluster_token(cluster)
        if passes:
            await world.authority.join(token, key.csr_pem, "uid")
        else:
            with pytest.raises(Denied, match="another cluster"):
                await world.authority.join(token, key.csr_pem, "uid")


@pytest.mark.parametrize(
    ("csr", "uid"),
    [
        ("", "uid"),
        ("x", "uid"),
        (enrol.new_key().csr_pem, ""),
        (enrol.new_key().csr_pem, "u" * 129),
    ],
)
async def test_bad_requests_do_not_use_the_token_up(world: World, csr: str, uid: str) -> None:
    token = await world.authority.create_cluster_token(A)
    with pytest.raises(BadInput):
        await world.authority.join(token, csr, uid)
    await world.authority.join(token, enrol.new_key().csr_pem, "uid")


async def test_joining_again_takes_an_admins_token_and_ends_the_old_agent(world: World) -> None:
    """Row 96 of the security table."""
    old = await joined(world)
    told: list[ClusterName] = []
    world.authority.subscribe(told.append)
    token = await world.authority.create_cluster_token(A)
    assert who(world, old) is not None, "the cluster keeps its agent until another one joins"
    key = enrol.new_key()
    answer = await world.authority.join(token, key.csr_pem, "rebuilt")

    assert who(world, old) is None
    assert world.authority.refusal(old.der()) == "superseded"
    peer = who(world, Agent(key, answer.certificate))
    assert peer is not None
    assert (peer.generation, peer.cluster_uid) == (2, "rebuilt")
    assert told == [A]


async def test_nothing_is_answered_that_is_not_durable(world: World) -> None:
    token = await world.authority.create_cluster_token(A)
    key = enrol.new_key()
    world.store.fail_next()
    with pytest.raises(Transient):
        await world.authority.join(token, key.csr_pem, "uid")
    identity = world.authority.identity(A)
    assert identity is not None
    assert identity.standing is Standing.PENDING
    await world.authority.join(token, key.csr_pem, "uid")


async def test_neither_secrets_nor_private_keys_are_stored(world: World) -> None:
    token = await world.authority.create_cluster_token(A)
    await joined(world, B)
    stored = b"".join(
        [
            *(await world.store.load(Kind.TOKENS)).values(),
            *(await world.store.load(Kind.IDENTITIES)).values(),
        ]
    )

    assert token.secret.encode() not in stored
    assert b"PRIVATE" not in stored


# renewing


async def test_a_renewed_certificate_supersedes_at_its_first_use(world: World) -> None:
    old = await joined(world)
    new = await renewed(world, old)
    assert who(world, old) is not None
    assert who(world, new) is not None

    await use(world, new)
    assert who(world, old) is None
    assert world.authority.refusal(old.der()) == "superseded"
    await world.reopen()
    assert who(world, old) is None
    assert who(world, new) is not None


async def test_the_same_certificate_and_new_key_give_the_same_certificate(world: World) -> None:
    old, key = await joined(world), enrol.new_key()
    first = await renewed(world, old, key)
    await world.reopen()

    assert (await renewed(world, old, key)).certificate == first.certificate


async def test_another_new_key_replaces_a_successor_that_was_never_used(world: World) -> None:
    old = await joined(world)
    lost = await renewed(world, old)
    second = await renewed(world, old)

    assert who(world, lost) is None
    assert who(world, second) is not None
    identity = world.authority.identity(A)
    assert identity is not None
    assert len(identity.certificates) == 2


async def test_a_renewal_needs_a_new_key(world: World) -> None:
    old = await joined(world)
    with pytest.raises(Denied, match="new key"):
        await renewed(world, old, old.key)


async def test_a_chain_of_renewals_keeps_one_certificate(world: World) -> None:
    agent = await joined(world)
    for _ in range(20):
        agent = await renewed(world, agent)
        await use(world, agent)
    identity = world.authority.identity(A)

    assert identity is not None
    assert len(identity.certificates) == 1
    assert len(identity.superseded) == 16


async def test_while_the_disk_is_full_a_certificate_serves_but_does_not_supersede(
    world: World,
) -> None:
    old = await joined(world)
    new = await renewed(world, old)
    world.store.fail_next()
    await use(world, new)
    assert who(world, old) is not None
    await use(world, new)
    assert who(world, old) is None


# renewing by proof


@pytest.mark.parametrize("days", [0, 1, 7, 30.99])
async def test_an_expired_agent_renews_by_its_old_key(world: World, days: float) -> None:
    old, key = await joined(world), enrol.new_key()
    await world.clock.advance(timedelta(days=days))
    await world.reopen()
    answer = await world.authority.renew(proof(world, old, key), None)

    assert who(world, Agent(key, answer.certificate)) is not None


async def test_a_lost_answer_to_a_proof_is_given_again(world: World) -> None:
    old, key = await joined(world), enrol.new_key()
    await world.clock.advance(timedelta(days=7))
    first = await world.authority.renew(proof(world, old, key), None)
    again = await world.authority.renew(proof(world, old, key), None)

    assert first.certificate == again.certificate


async def test_an_unused_successor_that_expired_too_renews_either_way(world: World) -> None:
    """The answer arrived, or it did not, and then the agent was away again."""
    old, key = await joined(world), enrol.new_key()
    first = await world.authority.renew(proof(world, old, key), None)
    await world.clock.advance(timedelta(days=3))

    again = await world.authority.renew(proof(world, old, key), None)
    assert again.certificate != first.certificate
    assert who(world, Agent(key, again.certificate)) is not None
    third = enrol.new_key()
    answer = await world.authority.renew(proof(world, Agent(key, again.certificate), third), None)
    assert who(world, Agent(third, answer.certificate)) is not None
    assert world.authority.refusal(old.der()) == "superseded"


async def test_proof_ends_with_the_grace(world: World) -> None:
    old = await joined(world)
    await world.clock.advance(timedelta(days=31))
    with pytest.raises(Denied, match="too long ago"):
        await world.authority.renew(proof(world, old, enrol.new_key()), None)


async def test_neither_superseded_nor_revoked_certificates_renew_by_proof(world: World) -> None:
    first = await joined(world)
    second = await renewed(world, first)
    await use(world, second)
    with pytest.raises(Unauthenticated, match="superseded or revoked"):
        await world.authority.renew(proof(world, first, enrol.new_key()), None)
    await world.authority.revoke(A)
    with pytest.raises(Unauthenticated, match="superseded or revoked"):
        await world.authority.renew(proof(world, second, enrol.new_key()), None)


async def refused(world: World, request: RenewRequest) -> None:
    with pytest.raises((Denied, BadInput)):
        await world.authority.renew(request, None)


async def test_a_proof_is_by_the_old_key_over_this_nonce_and_this_request(world: World) -> None:
    old, thief, key = await joined(world), await joined(world, B), enrol.new_key()
    good = proof(world, old, key)
    other = enrol.new_key()

    await refused(world, msgspec.structs.replace(good, signature=""))
    await refused(world, msgspec.structs.replace(good, signature="?"))
    await refused(world, msgspec.structs.replace(good, csr=other.csr_pem))
    await refused(world, msgspec.structs.replace(good, nonce=world.authority.nonce()))
    await refused(world, msgspec.structs.replace(good, old_certificate=thief.certificate))
    await refused(world, msgspec.structs.replace(good, old_certificate=""))
    await refused(world, proof(world, Agent(other, old.certificate), key))
    assert isinstance(await world.authority.renew(good, None), RenewAnswer)


@pytest.mark.parametrize("nonce", ["x", "", "AAAA", "A" * 76])
async def test_a_nonce_is_the_hubs_own(world: World, nonce: str) -> None:
    old, key = await joined(world), enrol.new_key()
    request = msgspec.structs.replace(proof(world, old, key, nonce or "y"), nonce=nonce)
    with pytest.raises(Unauthenticated, match="nonce"):
        await world.authority.renew(request, None)


@pytest.mark.parametrize(("seconds", "passes"), [(59, True), (62, False)])
async def test_a_nonce_is_good_for_a_minute_and_over_a_restart(
    world: World, seconds: float, passes: bool
) -> None:
    request = proof(world, await joined(world), enrol.new_key())
    await world.clock.advance(seconds)
    await world.reopen()
    if passes:
        await world.authority.renew(request, None)
    else:
        with pytest.raises(Unauthenticated, match="expired"):
            await world.authority.renew(request, None)


async def test_a_nonce_of_another_hub_is_refused(world: World, tmp_path: Path) -> None:
    other = await Authority.open(tmp_path / "other", MemoryStore(), SETTINGS, world.clock)
    request = proof(world, await joined(world), enrol.new_key(), other.nonce())
    with pytest.raises(Unauthenticated, match="not a nonce of this hub"):
        await world.authority.renew(request, None)


# who is who


async def test_an_expired_certificate_is_nobody(world: World) -> None:
    agent = await joined(world)
    await world.clock.advance(timedelta(hours=24))

    assert who(world, agent) is None
    assert world.authority.refusal(agent.der()) == "expired"


async def test_a_certificate_the_ca_signed_but_nobody_recorded_is_nobody(world: World) -> None:
    from fleet.pki import certificates

    agent = await joined(world)
    forged = certificates.issue_client(
        world.authority.keyring.client_ca,
        certificates.PrivateKey.generate().public,
        hub=world.authority.hub_id,
        cluster_id=(world.authority.identity(A) or pytest.fail("no identity")).id,
        lifetime=timedelta(days=1),
        now=world.clock.now(),
    )

    assert who(world, agent) is not None
    assert world.authority.identify(forged.der()) is None
    assert world.authority.refusal(forged.der()) == "unknown"


@pytest.mark.parametrize("how", ["revoke", "remove"])
async def test_revoked_and_removed_agents_are_out_at_once_and_stay_out(
    world: World, how: str
) -> None:
    agent, other = await joined(world), await joined(world, B)
    pending = await world.authority.create_cluster_token(A)
    told: list[ClusterName] = []
    world.authority.subscribe(told.append)
    await getattr(world.authority, how)(A)

    assert told == [A]
    for _ in range(2):
        assert who(world, agent) is None
        assert who(world, other) is not None
        with pytest.raises(Unauthenticated):
            await world.authority.join(pending, enrol.new_key().csr_pem, "uid")
        await world.reopen()
    await joined(world)  # an admin's new token lets the cluster in again


async def test_a_removed_cluster_comes_back_as_another(world: World) -> None:
    await joined(world)
    before = world.authority.identity(A)
    await world.authority.remove(A)
    assert world.authority.identity(A) is None
    await world.authority.remove(A)
    await joined(world)
    after = world.authority.identity(A)

    assert before is not None
    assert after is not None
    assert before.id != after.id


async def test_revoking_a_cluster_that_never_was(world: World) -> None:
    with pytest.raises(NotReady):
        await world.authority.revoke(A)


async def test_everything_is_there_after_a_restart(world: World) -> None:
    agent = await joined(world)
    token = await world.authority.create_cluster_token(B)
    hub, keys = world.authority.hub_id, world.authority.signing_keys()
    await world.reopen()

    assert who(world, agent) is not None
    assert world.authority.hub_id == hub
    assert [key.id for key in world.authority.signing_keys()] == [key.id for key in keys]
    await world.authority.join(token, enrol.new_key().csr_pem, "uid")
    assert [identity.name for identity in world.authority.identities()] == [A, B]


async def test_a_hub_that_lost_its_keys_says_so(world: World) -> None:
    await joined(world)
    for path in list((world.folder / "pki").iterdir()):
        path.unlink()
    with pytest.raises(NotReady, match="agents have joined"):
        await world.reopen()


async def test_two_hubs_on_one_database_do_not_overwrite_each_other(tmp_path: Path) -> None:
    clock = FakeClock()
    url = f"sqlite:///{tmp_path}/hub.db"
    stores = [await SqlStore.open(url), await SqlStore.open(url)]
    one, two = [await Authority.open(tmp_path, store, SETTINGS, clock) for store in stores]
    token = await one.create_cluster_token(A)
    with pytest.raises(Unauthenticated):  # two has not heard of the cluster
        await two.join(token, enrol.new_key().csr_pem, "uid")
    await one.join(token, enrol.new_key().csr_pem, "uid")
    with pytest.raises(Transient, match="meanwhile"):
        await two.create_cluster_token(A)
    await two.create_cluster_token(A)  # it has read the record by now
    identity = two.identity(A)

    assert identity is not None
    assert identity.generation == 1
    assert one.hub_id == two.hub_id
    for store in stores:
        await store.close()
