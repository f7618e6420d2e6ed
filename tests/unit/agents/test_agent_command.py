"""The agent's command line: one line for a user's mistake, no traceback, exit status 1; 2 for wrong usage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """\
hub: https://hub.example.com:8443
kubeconfig: kubeconfig
state: {path: state, backend: file}
tokenFile: token
"""


def agent(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agents", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("tokenFile: token", "tokenfile: token"), ["agent.yaml:4", "tokenfile", "tokenFile"]),
        (("https://", "http://"), ["agent.yaml", "https://HOST"]),
        (("tokenFile: token\n", ""), ["tokenFile", "required"]),
        (("backend: file", "backend: cloud"), ["state.backend", "kubernetes, file"]),
    ],
    ids=["unknown key", "no https", "missing key", "unknown backend"],
)
def test_wrong_settings_are_said_in_one_line(
    tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    config = tmp_path / "agent.yaml"
    config.write_text(GOOD.replace(*change))
    done = agent("join", "--config", str(config))
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in words), done.stderr


def test_missing_kubeconfig_is_said_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "agent.yaml"
    config.write_text(GOOD)
    done = agent("join", "--config", str(config))
    assert done.returncode == 1
    assert "kubeconfig" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_is_2() -> None:
    assert agent("run").returncode == 2
