"""A hub whose state came from a backup counts in a new epoch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fleet.errors import BadInput
from fleet.store.sql import SqlStore
from hub import adapters, app
from hub.restore import raise_epoch
from hub.settings import HubSettings

SETTINGS = """\
state: state
externalURL: https://127.0.0.1:8443
agents: {listen: 127.0.0.1:8443}
api: {listen: 127.0.0.1:8080}
repositories: [{repoURL: https://git.example.com/fleet.git}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "hub.yaml"
    file.write_text(SETTINGS)
    return file


async def epoch(settings: HubSettings) -> int:
    store = await SqlStore.open(f"sqlite+aiosqlite:///{settings.state / 'hub.db'}")
    try:
        return await adapters.read_epoch(store)
    finally:
        await store.close()


async def test_each_restore_has_an_epoch_of_its_own(config: Path) -> None:
    settings = app.load(config)
    settings.state.mkdir()
    assert await epoch(settings) == 1
    assert await raise_epoch(settings) == 2
    assert await raise_epoch(settings) == 3
    assert await epoch(settings) == 3


async def test_without_a_state_nothing_was_restored(config: Path) -> None:
    with pytest.raises(BadInput, match=r"hub\.db is not there"):
        await raise_epoch(app.load(config))
    assert not (config.parent / "state").exists()


def test_the_command(config: Path) -> None:
    def restored() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hub", "restored", "--config", str(config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    refused = restored()
    assert refused.returncode == 1
    assert "hub.db is not there (put the state folder back first" in refused.stderr
    (config.parent / "state").mkdir()
    (config.parent / "state" / "hub.db").touch()
    done = restored()
    assert (done.returncode, done.stdout) == (0, "epoch 2: start the hub now\n"), done.stderr
