"""One suite for every Store: the fake, SQLite, and PostgreSQL where its server can be started."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fleet.errors import Transient
from fleet.store.port import Conflict, Delete, Kind, Put, Store
from fleet.store.sql import SqlStore
from fleet.testing.store import MemoryStore

ROWS, TOKENS = Kind.ROWS, Kind.TOKENS


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store
    match request.param:
        case "memory":
            opened = MemoryStore()
        case "sqlite":
            opened = await SqlStore.open(f"sqlite:///{tmp_path}/state/hub.db")
        case _:
            url = request.getfixturevalue("postgresql_url")
            opened = await SqlStore.open(url)
            for kind in Kind:
                for key in await opened.load(kind):
                    await opened.commit(Delete(kind, key))
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    folder = _server_programs()
    if folder is None:
        pytest.skip("no PostgreSQL server here (initdb and postgres not found)")
    if os.getuid() == 0 and not _user_exists("postgres"):
        pytest.skip("PostgreSQL does not run as root and there is no user postgres")
    with tempfile.TemporaryDirectory(prefix="fleet-pg-") as data:
        user = "postgres" if os.getuid() == 0 else None
        if user:
            shutil.chown(data, user)
        port = _free_port()
        subprocess.run(
            [folder / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"],
            check=True,
            capture_output=True,
            user=user,
            cwd="/",
        )
        server = subprocess.Popen(
            [folder / "postgres", "-D", data, "-p", str(port), "-k", data, "-h", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            cwd="/",
        )
        try:
            _await_ready(data)
            yield _url(port)
        finally:
            server.terminate()
            server.wait(timeout=20)


def _server_programs() -> Path | None:
    on_path = shutil.which("initdb")
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    candidates += [Path(on_path).resolve().parent] if on_path else []
    for folder in candidates:
        if all((folder / name).exists() for name in ("initdb", "postgres")):
            return folder
    return None


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_ready(data: str) -> None:
    """The server writes its own state into the eighth line of its pid file."""
    state = Path(data) / "postmaster.pid"
    for _ in range(600):
        if state.exists() and "\nready" in state.read_text():
            return
        time.sleep(0.05)
    pytest.fail("PostgreSQL did not come up")


def _url(port: int) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


async def test_what_was_put_is_read(store: Store) -> None:
    await store.commit(Put(ROWS, "a", b"1"), Put(ROWS, "b", b"\x00\xff"), Put(TOKENS, "a", b""))

    assert await store.load(ROWS) == {"a": b"1", "b": b"\x00\xff"}
    assert await store.get(TOKENS, "a") == b""
    assert await store.get(ROWS, "missing") is None
    assert await store.load(Kind.HOLDS) == {}


async def test_put_replaces_and_delete_removes(store: Store) -> None:
    await store.commit(Put(ROWS, "a", b"1"), Put(ROWS, "b", b"1"))
    await store.commit(Put(ROWS, "a", b"2"), Delete(ROWS, "b"), Delete(ROWS, "never"))

    assert await store.load(ROWS) == {"a": b"2"}


async def test_later_changes_of_a_commit_see_the_earlier(store: Store) -> None:
    await store.commit(
        Put(ROWS, "a", b"1"),
        Put(ROWS, "a", b"2", expect=b"1"),
        Delete(ROWS, "a"),
        Put(ROWS, "a", b"3", expect=None),
    )

    assert await store.get(ROWS, "a") == b"3"


@pytest.mark.parametrize(
    ("before", "expect"),
    [
        pytest.param(None, b"1", id="expected bytes, none there"),
        pytest.param(b"2", b"1", id="expected other bytes"),
        pytest.param(b"2", None, id="expected nothing, one there"),
    ],
)
async def test_a_failed_expectation_writes_nothing(
    store: Store, before: bytes | None, expect: bytes | None
) -> None:
    if before is not None:
        await store.commit(Put(ROWS, "a", before))

    with pytest.raises(Conflict, match="rows/a"):
        await store.commit(
            Put(ROWS, "first", b"x"),
            Put(ROWS, "a", b"new", expect=expect),
            Put(ROWS, "last", b"x"),
        )

    assert await store.get(ROWS, "a") == before
    assert await store.get(ROWS, "first") is None
    assert await store.get(ROWS, "last") is None


async def test_a_met_expectation_writes(store: Store) -> None:
    await store.commit(Put(ROWS, "a", b"1", expect=None))
    await store.commit(Put(ROWS, "a", b"2", expect=b"1"))

    assert await store.get(ROWS, "a") == b"2"


async def test_of_many_at_once_exactly_one_meets_the_expectation(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(store.commit(Put(ROWS, "a", str(n).encode(), expect=None)) for n in range(50)),
        return_exceptions=True,
    )

    winners = [n for n, outcome in enumerate(outcomes) if outcome is None]
    assert len(winners) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 49
    assert await store.get(ROWS, "a") == str(winners[0]).encode()


async def test_a_conflict_does_not_touch_its_neighbours_in_the_batch(store: Store) -> None:
    await store.commit(Put(ROWS, "taken", b"x"))
    outcomes = await asyncio.gather(
        store.commit(Put(ROWS, "before", b"1")),
        store.commit(Put(ROWS, "lost", b"1"), Put(ROWS, "taken", b"2", expect=None)),
        store.commit(Put(ROWS, "after", b"1", expect=None)),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [type(None), Conflict, type(None)]
    assert await store.load(ROWS) == {"taken": b"x", "before": b"1", "after": b"1"}


async def test_an_empty_commit_is_nothing(store: Store) -> None:
    await store.commit()


async def test_a_closed_store_refuses_commits(store: Store) -> None:
    await store.commit(Put(ROWS, "a", b"1"))
    await store.close()

    with pytest.raises(Transient, match="closed"):
        await store.commit(Put(ROWS, "a", b"2"))


async def test_two_stores_on_one_postgresql_do_not_overwrite_each_other(
    postgresql_url: str,
) -> None:
    first, second = await asyncio.gather(
        SqlStore.open(postgresql_url), SqlStore.open(postgresql_url)
    )
    try:
        await first.commit(Put(ROWS, "shared", b"0"))
        outcomes = await asyncio.gather(
            *(
                store.commit(Put(ROWS, "shared", name, expect=b"0"))
                for store, name in ((first, b"1"), (second, b"2"))
            ),
            return_exceptions=True,
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "NoneType"]
    finally:
        await first.close()
        await second.close()
