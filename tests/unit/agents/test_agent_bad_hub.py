"""A hub that misbehaves costs nothing but its own answers: no storm, no loss of what is trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents import enrolment
from agents.assignment import Assignment
from agents.board import Board
from agents.cache import Cache
from agents.identity import Identity
from agents.link import Link
from agents.records import Journal
from agents.renewal import Renewal
from agents.transport import Reply
from fleet.codec.canonical import Digest, digest_bytes
from fleet.errors import Transient
from fleet.model.assignment import Head, SectionRef
from fleet.model.report import ReportAnswer, TargetStatus
from fleet.pki.keys import SigningKey
from fleet.runtime.backoff import Backoff
from fleet.testing.clock import FakeClock
from fleet.wire import codec, routes
from fleet.wire.enrolment import AgentHints
from fleet.wire.frames import encode_frame
from fleet.wire.heads import sign_head

KEY = SigningKey.generate()
ME = Identity(
    hub_url="https://hub:8443", cluster_uid="uid", hub="hub", cluster="spoke", certificate="old",
    signing_keys=(KEY.public,),
)  # fmt: skip


class Kept:
    """State that forgets everything but the identity; a write may be held up."""

    def __init__(self) -> None:
        self.identity = b""
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self) -> dict[str, str]:
        return {}

    async def write(self, _changes: Any) -> None:
        return

    async def load_identity(self) -> bytes | None:
        return self.identity or None

    async def save_identity(self, data: bytes) -> None:
        await self.gate.wait()
        self.identity = data


class Hub:
    """Answers as a test says."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, Callable[[], Reply]] = {}

    async def get(self, path: str, **_more: Any) -> Reply:
        return await self._answer(path)

    async def post(self, path: str, _message: Any, **_more: Any) -> Reply:
        return await self._answer(path)

    async def use(self, _identity: Any) -> None:
        return

    async def _answer(self, path: str) -> Reply:
        await asyncio.sleep(0)
        self.calls.append(path)
        return self.answers[path]()


class Spoken:
    """A link to such a hub."""

    def __init__(self, folder: Path) -> None:
        self.hub, self.clock, self.kept, self.board = Hub(), FakeClock(), Kept(), Board()
        self.accepted: list[Assignment] = []
        self.announcements = 0
        self.backoff = Backoff(initial=1.0, maximum=60.0)
        self.renewal = Renewal(
            self.hub, ME, fresh=lambda: self.hub, records=self.kept, clock=self.clock,  # type: ignore[arg-type,return-value]  # a fake
            backoff=self.backoff,
        )  # fmt: skip
        self.journal = Journal(self.kept, self.clock)
        cache = Cache(folder)
        cache.open()
        self.link = Link(
            self.hub, self.renewal, journal=self.journal, cache=cache, board=self.board,  # type: ignore[arg-type]  # a fake
            clock=self.clock, accept=self.accepted.append, arrived=lambda _names: None, applied=tuple,
            fence=lambda _is_fenced: None, requested=self.announced,
            poll=timedelta(seconds=30), backoff=self.backoff,
        )  # fmt: skip

    def announced(self) -> None:
        self.announcements += 1

    def serve_head(self, *, etag: str = "", keys: tuple[SigningKey, ...] = (KEY,)) -> None:
        head = Head(
            hub="hub", cluster="spoke", cluster_uid="uid", epoch=1, generation=1, sections=(),
            keys=tuple(key.public for key in keys),
        )  # fmt: skip
        body = codec.encode(sign_head(head, keys))
        self.hub.answers[routes.ASSIGNMENT] = lambda: Reply(200, body, etag)

    async def run(self, task: Any, seconds: float) -> None:
        """Let a loop run for so long."""
        journal = asyncio.create_task(self.journal.run())
        running = asyncio.create_task(task)
        for _ in range(int(seconds)):
            for _ in range(30):
                await asyncio.sleep(0)
            await self.clock.advance(1)
        for one in (running, journal):
            one.cancel()
        await asyncio.wait({running, journal})


@pytest.fixture
async def spoken(tmp_path: Path) -> Spoken:
    return Spoken(tmp_path)


async def test_the_same_assignment_over_and_over_is_no_news(spoken: Spoken) -> None:
    spoken.serve_head()
    journal = asyncio.create_task(spoken.journal.run())
    await spoken.link.poll_once()
    journal.cancel()
    await spoken.run(spoken.link.run_polls(), 10)
    assert len(spoken.accepted) == 1
    assert len(spoken.hub.calls) < 60


async def test_hints_that_make_no_sense_make_no_storm(spoken: Spoken) -> None:
    spoken.renewal.hints = AgentHints(poll_seconds=0, renew_after=-5)
    spoken.hub.answers[routes.ASSIGNMENT] = lambda: Reply(304, b"", "")
    await spoken.run(spoken.link.run_polls(), 10)
    assert len(spoken.hub.calls) < 60


async def test_a_hub_that_announces_reads_without_end_is_not_polled_without_pause(
    spoken: Spoken,
) -> None:
    spoken.hub.answers[routes.ASSIGNMENT] = lambda: Reply(304, b"", "", 1)
    await spoken.run(spoken.link.run_polls(), 60)
    assert spoken.announcements == len(spoken.hub.calls)
    assert len(spoken.hub.calls) < 60 / 0.02


async def test_an_announced_read_is_no_news_of_the_assignment(spoken: Spoken) -> None:
    replies = [Reply(204, b"", "", 2)]
    spoken.hub.answers[routes.ASSIGNMENT] = lambda: (
        replies.pop() if replies else Reply(204, b"", "")
    )
    await spoken.run(spoken.link.run_polls(), 5)
    assert (spoken.announcements, spoken.accepted) == (1, [])
    assert len(spoken.hub.calls) > 1


async def test_content_that_was_not_asked_for_is_no_answer(spoken: Spoken) -> None:
    data = b"something else"
    frame = encode_frame(digest_bytes(data), data)
    spoken.hub.answers[routes.FETCH] = lambda: Reply(200, frame, "")
    with pytest.raises(Transient, match="none of it"):
        async with asyncio.timeout(5):
            await spoken.link._contents.fetch([Digest("sha256:" + "0" * 64)])


async def test_a_hub_that_always_wants_everything_is_told_ever_more_rarely(spoken: Spoken) -> None:
    answer = codec.encode(ReportAnswer(send_all=True))
    spoken.hub.answers[routes.REPORT] = lambda: Reply(200, answer, "")
    spoken.board.put(TargetStatus(target="app"))
    await spoken.run(spoken.link.run_reports(), 60)
    assert 3 <= len(spoken.hub.calls) < 30


async def test_a_missing_artifact_is_asked_for_ever_more_rarely(spoken: Spoken, make: Any) -> None:
    missing = Digest("sha256:" + "0" * 64)
    section = make.section("app", missing)
    head = Head(
        hub="hub", cluster="spoke", cluster_uid="uid", epoch=1, generation=1,
        sections=(SectionRef(target="app", digest="sha256:" + "1" * 64),),
    )  # fmt: skip
    spoken.link._assignment = Assignment(head=head, sections={"app": section})
    nothing = encode_frame(missing, None)
    spoken.hub.answers[routes.FETCH] = lambda: Reply(200, nothing, "")
    spoken.link.check_artifacts()
    await spoken.run(spoken.link.run_fetches(), 240)
    assert 5 <= len(spoken.hub.calls) < 60


async def test_new_signing_keys_and_a_new_certificate_do_not_undo_each_other(
    spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = SigningKey.generate()
    spoken.serve_head(keys=(KEY, second))
    renewal = spoken.renewal

    async def renew(
        _transport: Any, identity: Identity, *, save: Any, by_proof: bool
    ) -> tuple[Identity, AgentHints]:
        assert not by_proof
        journal = asyncio.create_task(spoken.journal.run())
        spoken.kept.gate.clear()
        poll = asyncio.create_task(spoken.link.poll_once())
        for _ in range(50):
            await asyncio.sleep(0)
        renewed = msgspec.structs.replace(identity, certificate="new")
        saving = asyncio.create_task(save(renewed))
        await asyncio.sleep(0)
        spoken.kept.gate.set()
        await saving
        await poll
        journal.cancel()
        return renewed, AgentHints()

    monkeypatch.setattr(enrolment, "renew", renew)
    await renewal._renew(by_proof=False)
    for found in (renewal.identity, msgspec.json.decode(spoken.kept.identity, type=Identity)):
        assert found.certificate == "new"
        assert set(found.signing_keys) == {KEY.public, second.public}


async def test_a_wait_that_the_hub_asks_for_is_kept_and_bounded(spoken: Spoken) -> None:
    def busy() -> Reply:
        raise Transient("busy", retry_after=1e9)

    spoken.hub.answers[routes.ASSIGNMENT] = busy
    await spoken.run(spoken.link.run_polls(), 300)
    assert 2 <= len(spoken.hub.calls) <= 6
