"""What only a database on a disk can show: crashes, full disks, damage, other versions."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fleet.errors import BadInput, Corrupt, Denied, Transient
from fleet.store import schema
from fleet.store.port import Kind, Put
from fleet.store.sql import SqlStore

ROWS = Kind.ROWS

WRITER = textwrap.dedent("""
    import asyncio, sys
    from fleet.store.port import Kind, Put
    from fleet.store.sql import SqlStore

    async def one(store, lane):
        n = 0
        while True:
            await store.commit(
                Put(Kind.ROWS, f"{lane}-{n}", b"a"), Put(Kind.TOKENS, f"{lane}-{n}", b"b")
            )
            sys.stdout.write(f"{lane}-{n}\\n")
            sys.stdout.flush()
            n += 1

    async def main():
        store = await SqlStore.open(sys.argv[1])
        await asyncio.gather(*(one(store, lane) for lane in range(8)))

    asyncio.run(main())
""")


def run_until_killed(url: str, acknowledged: int) -> list[str]:
    """Start the writer, kill it after so many acknowledgements, and return all it ever acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(acknowledged)]
        os.kill(child.pid, signal.SIGKILL)
        lines += child.stdout.readlines()
    return [line.strip() for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("kill_after", [1, 40, 250], ids=lambda n: f"after {n}")
async def test_what_was_acknowledged_survives_sigkill(tmp_path: Path, kill_after: int) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    acknowledged = await asyncio.to_thread(run_until_killed, url, kill_after)
    store = await SqlStore.open(url)
    rows, tokens = await store.load(ROWS), await store.load(Kind.TOKENS)
    await store.close()

    assert len(acknowledged) >= kill_after
    assert set(acknowledged) <= rows.keys()
    assert rows.keys() == tokens.keys(), "a commit is whole or not there"


FULL_DISK = textwrap.dedent("""
    import asyncio, resource, signal, sys
    from fleet.errors import Transient
    from fleet.store.port import Kind, Put
    from fleet.store.sql import SqlStore

    async def main():
        store = await SqlStore.open(sys.argv[1])
        await store.commit(Put(Kind.ROWS, "small", b"1"))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        try:
            await store.commit(
                Put(Kind.ROWS, "partner", b"1"), Put(Kind.ROWS, "big", bytes(1_000_000))
            )
            print("written")
        except Transient:
            print("refused")
        print(sorted(await store.load(Kind.ROWS)))
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        await store.commit(Put(Kind.ROWS, "big", bytes(1_000_000)))
        print(sorted(await store.load(Kind.ROWS)))
        await store.close()

    asyncio.run(main())
""")


def test_a_full_disk_fails_the_write_and_nothing_else(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", FULL_DISK, f"sqlite:///{tmp_path}/hub.db"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    assert child.stdout.splitlines() == ["refused", "['small']", "['big', 'small']"]


async def test_a_write_that_fails_takes_no_other_of_its_batch_along(tmp_path: Path) -> None:
    store = await SqlStore.open(f"sqlite:///{tmp_path}/hub.db")
    outcomes = await asyncio.gather(
        store.commit(Put(ROWS, "one", b"1")),
        store.commit(Put(ROWS, "\udcff", b"1")),  # no database takes a lone surrogate
        store.commit(Put(ROWS, "two", b"1")),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [type(None), BadInput, type(None)]
    assert (await store.load(ROWS)).keys() == {"one", "two"}
    await store.close()


async def test_many_commits_share_transactions(tmp_path: Path) -> None:
    store = await SqlStore.open(f"sqlite:///{tmp_path}/hub.db")
    transactions = 0

    def count(_: object) -> None:
        nonlocal transactions
        transactions += 1

    from sqlalchemy import event

    event.listen(store._engine.sync_engine, "commit", count)
    await asyncio.gather(*(store.commit(Put(ROWS, str(n), b"x")) for n in range(200)))
    await store.close()

    assert transactions <= 3


async def test_closing_writes_what_is_waiting(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    store = await SqlStore.open(url)
    commits = [asyncio.ensure_future(store.commit(Put(ROWS, str(n), b"x"))) for n in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*commits)
    again = await SqlStore.open(url)

    assert len(await again.load(ROWS)) == 20
    await again.close()


async def test_the_file_is_private_and_waits_for_the_disk(tmp_path: Path) -> None:
    store = await SqlStore.open(f"sqlite:///{tmp_path}/state/hub.db")
    await store.commit(Put(ROWS, "a", b"1"))
    for path in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    async with store._engine.connect() as connection:
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar() == 2
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
    await store.close()


async def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"not a database at all, but long enough" * 100)

    with pytest.raises(Corrupt, match="damaged"):
        await SqlStore.open(f"sqlite:///{tmp_path}/hub.db")


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    await (await SqlStore.open(url)).close()
    with sqlite3.connect(tmp_path / "hub.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(Denied, match="9999"):
        await SqlStore.open(url)


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "mysql://u:hunter2@h/d", "what is this", ""],
)
async def test_other_urls_are_refused_without_repeating_secrets(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        await SqlStore.open(url)
    assert "hunter2" not in str(caught.value)


async def test_a_server_that_is_not_there_is_transient() -> None:
    with pytest.raises(Transient) as caught:
        await SqlStore.open("postgresql://u:hunter2@127.0.0.1:1/d")
    assert "hunter2" not in str(caught.value)


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))

    assert ScriptDirectory.from_config(config).get_current_head() == schema.REVISION


async def test_the_migrated_database_is_the_one_the_code_declares(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    store = await SqlStore.open(f"sqlite:///{tmp_path}/hub.db")
    async with store._engine.connect() as connection:
        difference = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), schema.METADATA)
        )
    await store.close()

    assert difference == []
