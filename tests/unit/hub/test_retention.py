"""Retention: unused content goes after a week, and nothing that is named ever does."""

from __future__ import annotations

from datetime import timedelta

from fleet.codec.canonical import Digest
from fleet.model.identity import TargetId
from fleet.moves import Candidate
from fleet.render.ports import StoredClosure
from fleet.store.port import Change, Delete, Kind, Put
from fleet.testing.clock import FakeClock
from fleet.testing.store import MemoryArtifactStore, MemoryStore
from hub.retention import KEEP, TOGETHER, Retention
from hub.state import State

WEEK = KEEP.total_seconds() + 1


async def test_unused_content_goes_after_a_week() -> None:
    store, artifacts, clock, state = MemoryStore(), MemoryArtifactStore(), FakeClock(), State()
    used, named, unused = [await artifacts.put(text) for text in (b"1", b"2", b"3")]
    state.candidates[TargetId.parse("c/a")] = Candidate(digest=used)
    closures = {Digest(f"key-{d}"): StoredClosure(artifact=d) for d in (used, named, unused)}
    sections = {"sha256:named": b"x", "sha256:old": b"y"}
    await store.commit(
        *(Put(Kind.CLOSURES, key, closure.encode()) for key, closure in closures.items()),
        *(Put(Kind.SECTIONS, key, data) for key, data in sections.items()),
    )
    forgotten: list[Digest] = []

    def new() -> Retention:
        return Retention(
            store=store,
            artifacts=artifacts,
            state=state,
            clock=clock,
            named=lambda: {named, "sha256:named"},
            forgotten=forgotten.append,
        )

    assert await new().collect() == 0
    await clock.advance(timedelta(days=3).total_seconds())
    assert await new().collect() == 0
    await clock.advance(WEEK)
    assert await new().collect() == 1, "a restart does not start the week anew"
    assert await artifacts.digests() == {used, named}
    assert forgotten == [Digest(f"key-{unused}")]
    assert set(await store.load(Kind.CLOSURES)) == {f"key-{used}", f"key-{named}"}
    assert set(await store.load(Kind.SECTIONS)) == {"sha256:named"}
    assert await store.load(Kind.UNUSED) == {}


async def test_what_came_back_into_use_starts_anew() -> None:
    store, artifacts, clock, state = MemoryStore(), MemoryArtifactStore(), FakeClock(), State()
    digest = await artifacts.put(b"1")
    retention = Retention(
        store=store,
        artifacts=artifacts,
        state=state,
        clock=clock,
        named=frozenset,
        forgotten=lambda _key: None,
    )
    await retention.collect()
    state.candidates[TargetId.parse("c/a")] = Candidate(digest=digest)
    await clock.advance(WEEK)
    await retention.collect()
    state.candidates.clear()
    await retention.collect()
    assert await artifacts.has(digest)
    await clock.advance(WEEK)
    assert await retention.collect() == 1


async def test_what_comes_back_into_use_while_records_go_keeps_its_artifact() -> None:
    artifacts, clock, state = MemoryArtifactStore(), FakeClock(), State()
    digest = await artifacts.put(b"1")

    class Busy(MemoryStore):
        """A store whose commits let a render end meanwhile."""

        async def commit(self, *changes: Change) -> None:
            await super().commit(*changes)
            if Delete(Kind.UNUSED, digest) in changes:
                state.candidates[TargetId.parse("c/a")] = Candidate(digest=digest)

    retention = Retention(
        store=Busy(),
        artifacts=artifacts,
        state=state,
        clock=clock,
        named=frozenset,
        forgotten=lambda _key: None,
    )
    await retention.collect()
    await clock.advance(WEEK)
    assert await retention.collect() == 0
    assert await artifacts.has(digest)


async def test_many_artifacts_cost_a_few_looks_at_what_is_in_use() -> None:
    store, artifacts, clock = MemoryStore(), MemoryArtifactStore(), FakeClock()
    for number in range(3 * TOGETHER):
        await artifacts.put(str(number).encode())
    looks: list[int] = []

    def named() -> set[str]:
        looks.append(1)
        return set()

    retention = Retention(
        store=store,
        artifacts=artifacts,
        state=State(),
        clock=clock,
        named=named,
        forgotten=lambda _key: None,
    )
    await retention.collect()
    await clock.advance(WEEK)
    looks.clear()
    assert await retention.collect() == 3 * TOGETHER
    assert await artifacts.digests() == frozenset()
    assert len(looks) <= 6
