"""Who an agent is after a start: what it kept, or somebody new by another token; and when it must keep still."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents import app, enrolment, identity
from agents.identity import Identity
from agents.settings import AgentSettings, StateSettings
from agents.transport import Transport
from fleet.errors import BadInput, Denied, FleetError, Transient
from fleet.wire.enrolment import AgentHints
from fleet.wire.token import JoinToken

TOKENS = {name: JoinToken.create("0" * 64) for name in ("first", "second")}
KEPT = Identity(
    hub_url="https://hub:8443", cluster_uid="uid", token_id=TOKENS["first"].id, cluster="one",
    certificate="old", key="old key",
)  # fmt: skip
NEW = msgspec.structs.replace(KEPT, certificate="new", token_id=TOKENS["second"].id)


class Kept:
    """The part of `agents.records.Records` that holds the identity."""

    def __init__(self, *kept: Identity) -> None:
        self.saved = list(kept)

    async def load_identity(self) -> bytes | None:
        return identity.encode(self.saved[-1]) if self.saved else None

    async def save_identity(self, data: bytes) -> None:
        self.saved.append(identity.decode(data))


@pytest.fixture
def joins(monkeypatch: pytest.MonkeyPatch) -> list[FleetError | None]:
    """What joining comes to, one for each try; like the real one it keeps its new key first."""
    outcomes: list[FleetError | None] = []

    async def join(
        _transport: Transport,
        _token: JoinToken,
        *,
        started: Identity,
        save: Callable[[Identity], Awaitable[None]],
    ) -> tuple[Identity, AgentHints]:
        key = started.pending_key or "new key"
        await save(msgspec.structs.replace(started, pending_key=key))
        if error := outcomes.pop(0):
            raise error
        joined = msgspec.structs.replace(NEW, key=key)
        await save(joined)
        return joined, AgentHints()

    monkeypatch.setattr(enrolment, "join", join)
    return outcomes


async def identified(
    folder: Path, records: Kept, *, token: str = "first", uid: str = "uid", insist: bool = False
) -> Identity:
    file = folder / "token"
    if token:
        file.write_text(TOKENS[token].text())
    settings = AgentSettings(
        hub="https://hub:8443", kubeconfig=folder, state=StateSettings(path=folder), token_file=file
    )
    transport = app.new_transport(settings, "")
    return await app.identified(settings, records, transport, uid, insist=insist)  # type: ignore[arg-type]


async def test_a_kept_identity_is_used_with_its_token_or_without_any(tmp_path: Path) -> None:
    for token in ("", "first"):
        assert await identified(tmp_path, Kept(KEPT), token=token) == KEPT


async def test_another_token_makes_somebody_new(tmp_path: Path, joins: list[Any]) -> None:
    records = Kept(KEPT)
    joins.append(None)
    found = await identified(tmp_path, records, token="second")
    assert (found.certificate, found.key) == ("new", "new key")
    assert records.saved[-1] == found


@pytest.mark.parametrize("error", [Denied("used"), Transient("no hub")], ids=["denied", "no hub"])
async def test_a_token_that_is_not_taken_costs_nothing(
    tmp_path: Path, joins: list[Any], error: FleetError
) -> None:
    records = Kept(KEPT)
    joins.extend([error, None])
    found = await identified(tmp_path, records, token="second")
    assert found.certificate == "old"
    # The key is kept, for the token may be bound to it by now; the identity is as it was.
    assert records.saved[-1] == msgspec.structs.replace(KEPT, pending_key="new key")
    again = await identified(tmp_path, records, token="second")
    assert (again.certificate, again.key) == ("new", "new key")


async def test_who_asks_to_join_is_told_the_failure(tmp_path: Path, joins: list[Any]) -> None:
    joins.append(Denied("used"))
    with pytest.raises(Denied, match="used"):
        await identified(tmp_path, Kept(KEPT), token="second", insist=True)
    with pytest.raises(BadInput, match="cannot be read"):
        await identified(tmp_path / "nowhere", Kept(KEPT), token="", insist=True)


async def test_an_identity_of_another_control_plane_is_never_used(
    tmp_path: Path, joins: list[Any]
) -> None:
    with pytest.raises(Denied, match="another control plane"):
        await identified(tmp_path, Kept(KEPT), uid="rebuilt")
    joins.append(Denied("used"))
    with pytest.raises(Denied, match="used"):
        await identified(tmp_path, Kept(KEPT), uid="rebuilt", token="second")
    joins.append(None)
    assert (await identified(tmp_path, Kept(KEPT), uid="rebuilt", token="second")).key == "new key"


async def test_a_fenced_agent_changes_nothing_and_then_everything(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.core.engine.fence(True)
    spoke.assign(make.section("app", digest))
    await spoke.idle()
    assert spoke.cluster.writes == []
    spoke.core.engine.fence(False)
    await spoke.until(lambda: spoke.status("app").applied == digest)
    spoke.core.engine.fence(True)
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "changed"}})
    await spoke.idle()
    assert len(spoke.writes()) == 1
    spoke.core.engine.fence(False)
    await spoke.idle()
    assert len(spoke.writes()) == 2
