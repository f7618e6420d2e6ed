"""The agent and a hub's real listener: joining, assignments in, reports out, and what the agent does not believe.

The cluster is in memory; TLS, certificates, signatures and the wire are real.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents import enrolment
from agents.filerecords import FileRecords
from agents.identity import Identity
from fleet.errors import Denied, FleetError, Transient
from fleet.model.assignment import (
    Head,
)
from fleet.model.report import Sync
from fleet.pki.keys import SigningKey
from fleet.testing.cluster import FakeCluster
from fleet.testing.store import MemoryStore
from fleet.wire.heads import sign_head
from hub.ca import Authority, CaSettings
from tests.integration.linked import (
    SPOKE,
    Hub,
    Spoke,
    config_map,
    invited,
    listening,
    section,
    until,
)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with listening(tmp_path / "hub") as made:
        yield made


@pytest.fixture
async def spoke(hub: Hub, tmp_path: Path) -> AsyncIterator[Spoke]:
    async with invited(hub, tmp_path / "agent") as made:
        yield made


async def test_joins_applies_and_reports(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    hub.assign(section("app", hub.render(config_map("a", x="1"))))
    await until(lambda: hub.status("app").sync is Sync.SYNCED)
    assert spoke.maps() == ["default/a"]
    assert hub.whole is not None
    facts = hub.reports[-1].facts
    assert (facts.uid, facts.kube_version) == (spoke.cluster.uid, "v1.35.4")
    assert "apps/v1/Deployment" in facts.api_versions
    assert hub.reports[-1].generation == hub.generation


async def test_content_is_fetched_once(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    one, two = hub.render(config_map("a")), hub.render(config_map("b"))
    hub.assign(section("app", one))
    await until(lambda: hub.status("app").applied == one)
    hub.assign(section("app", one), section("web", two))
    await until(lambda: hub.status("web").applied == two)
    assert {one, two} <= set(hub.fetched)
    assert len(hub.fetched) == len(set(hub.fetched))


async def test_report_that_cannot_be_placed_is_sent_whole(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    digest = hub.render(config_map("a"))
    hub.assign(section("app", digest))
    await until(lambda: hub.status("app").applied == digest)
    hub.whole = None
    hub.assign(section("app", digest), section("web", digest))
    await until(lambda: hub.status("web").assigned == digest)
    assert hub.status("app").applied == digest
    assert hub.reports[-1].complete or any(r.complete for r in hub.reports[1:])


async def test_section_that_leaves_is_reported_gone(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    hub.assign(section("app", hub.render(config_map("a"))))
    await until(lambda: hub.status("app").sync is Sync.SYNCED)
    hub.assign()
    await until(lambda: hub.whole is not None and not hub.whole.statuses)


async def test_works_on_with_the_hub_gone_and_after_a_restart_without_it(
    hub: Hub, spoke: Spoke
) -> None:
    await spoke.start()
    digest = hub.render(config_map("a", x="1"))
    hub.assign(section("app", digest))
    await until(lambda: hub.status("app").sync is Sync.SYNCED)
    await hub.gateway.stop()
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
    await until(lambda: spoke.cluster.objects("ConfigMap")["default/a"]["data"] == {"x": "1"})

    await spoke.stop()
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
    await spoke.start()
    await until(lambda: spoke.cluster.objects("ConfigMap")["default/a"]["data"] == {"x": "1"})

    await hub.start(hub.port)
    hub.whole = None
    await until(lambda: hub.status("app").sync is Sync.SYNCED)


async def test_damaged_cache_is_fetched_again(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    digest = hub.render(config_map("a", x="1"))
    hub.assign(section("app", digest))
    await until(lambda: hub.status("app").sync is Sync.SYNCED)
    await spoke.stop()
    for path in (spoke.folder / "blobs").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"X")
    await spoke.start()
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
    await until(lambda: spoke.cluster.objects("ConfigMap")["default/a"]["data"] == {"x": "1"})


async def test_older_assignment_is_refused_also_after_a_restart(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    one, two = hub.render(config_map("a", x="1")), hub.render(config_map("a", x="2"))
    old = hub.assign(section("app", one))
    await until(lambda: hub.status("app").applied == one)
    hub.assign(section("app", two))
    await until(lambda: hub.status("app").applied == two)
    hub.offer(old)
    await refused(spoke, "older")
    await spoke.stop()
    (spoke.folder / "head.json").unlink()
    await spoke.start()
    await refused(spoke, "older")
    assert spoke.cluster.objects("ConfigMap")["default/a"]["data"] == {"x": "2"}


@pytest.mark.parametrize(
    "change",
    [{"cluster": "other"}, {"cluster_uid": "another-control-plane"}, {"hub": "another-hub"}],
    ids=["cluster", "control plane", "hub"],
)
async def test_assignment_for_somebody_else_is_refused(
    hub: Hub, spoke: Spoke, change: dict[str, str]
) -> None:
    await spoke.start()
    hub.assign(section("app", hub.render(config_map("a"))), **change)
    await refused(spoke, "another")
    assert spoke.maps() == []


async def test_assignment_signed_by_a_stranger_is_refused(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    identity = hub.authority.identity(SPOKE)
    assert identity is not None
    head = Head(
        hub=hub.authority.hub_id,
        cluster=SPOKE,
        cluster_uid=identity.cluster_uid,
        epoch=9,
        generation=9,
        sections=(),
    )
    hub.offer(sign_head(head, [SigningKey.generate()]))
    await refused(spoke, "not signed by a trusted key")


async def test_announced_signing_key_is_trusted_after_that(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    digest = hub.render(config_map("a"))
    fresh = SigningKey.generate()
    known = tuple(key.public for key in hub.authority.signing_keys())
    hub.assign(section("app", digest), keys=(*known, fresh.public))
    await until(lambda: hub.status("app").applied == digest)
    web = hub.render(config_map("web"))
    hub.assign(section("web", web))
    await until(lambda: hub.status("web").applied == web)
    assert set(spoke.agent.link.identity.signing_keys) == {*known, fresh.public}


async def test_position_is_on_disk_before_anything_is_applied(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    seen: list[bool] = []
    position = spoke.folder / "records" / "position"
    spoke.cluster.before_write = lambda _write: seen.append(
        position.exists() and f'"generation":{hub.generation}' in position.read_text()
    )
    hub.assign(section("app", hub.render(config_map("a"))))
    await until(lambda: hub.status("app").sync is Sync.SYNCED)
    assert seen
    assert all(seen)


async def test_position_that_cannot_be_written_down_accepts_nothing(
    hub: Hub, spoke: Spoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spoke.start()

    async def full(*_arguments: object) -> None:
        raise Transient("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FileRecords, "write", full)
        digest = hub.render(config_map("a"))
        hub.assign(section("app", digest))
        await refused(spoke, "no space left")
        assert spoke.agent.link.assignment is None
    await until(lambda: hub.status("app").applied == digest)


async def test_disk_that_takes_nothing_costs_only_the_cache(
    hub: Hub, spoke: Spoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spoke.start()

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agents.cache._write", full)
    digest = hub.render(config_map("a"))
    hub.assign(section("app", digest))
    await until(lambda: hub.status("app").applied == digest)
    assert spoke.maps() == ["default/a"]


# identity


async def test_hub_with_another_key_than_the_token_names_gets_nothing(
    hub: Hub, spoke: Spoke, tmp_path: Path
) -> None:
    stranger = await Authority.open(
        tmp_path / "stranger", MemoryStore(), CaSettings(hosts=("127.0.0.1",)), hub.clock
    )
    token = await stranger.create_cluster_token(SPOKE)
    (spoke.folder / "token").write_text(token.text())
    with pytest.raises(Denied, match="join token"):
        await spoke.start()
    assert not (spoke.folder / "identity.json").exists()


async def test_lost_answer_of_a_join_is_had_again(
    hub: Hub, spoke: Spoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(Exception):
        pass

    async def cut(*_arguments: object) -> Identity:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "_certified", cut)
        with pytest.raises(Cut):
            await spoke.start()
    await spoke.start()
    assert spoke.agent.link.identity.cluster == SPOKE


async def test_certificate_is_renewed_in_its_life(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    first = spoke.agent.link.identity
    assert first.not_after is not None
    spoke.clock.shift = (first.not_after - datetime.now(UTC)) * 0.9
    await until(lambda: spoke.agent.link.identity.certificate != first.certificate)
    digest = hub.render(config_map("a"))
    hub.assign(section("app", digest))
    await until(lambda: hub.status("app").applied == digest)
    assert spoke.agent.link.identity.key != first.key


async def test_expired_certificate_is_renewed_by_proof(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    first = spoke.agent.link.identity
    await spoke.stop()
    hub.clock.shift = spoke.clock.shift = timedelta(days=7)
    await spoke.start()
    await until(lambda: spoke.agent.link.identity.certificate != first.certificate)


async def test_identity_of_another_control_plane_is_refused(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    await spoke.stop()
    spoke.cluster = FakeCluster()
    with pytest.raises(Denied, match="another control plane"):
        await spoke.start()


async def refused(spoke: Spoke, words: str) -> None:
    """The link refuses what it is offered, and says why."""
    found: list[str] = []
    deadline = time.monotonic() + 10
    while not found and time.monotonic() < deadline:
        try:
            await spoke.agent.link.poll_once()
        except FleetError as error:
            found.append(str(error))
    assert words in "".join(found)
