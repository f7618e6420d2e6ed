"""The demo, as a newcomer runs it: on clusters in process, to its summary and exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fleet.demo.facts import Facts
from fleet.testing.tools import Tools

ROOT = Path(__file__).resolve().parents[2]
FLEET = Path(sys.executable).with_name("fleet")


def test_every_fact_is_true(tools: Tools) -> None:
    done = subprocess.run(
        [str(FLEET), "demo"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env={**os.environ, **tools.environment()},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "12 facts read from the clusters: all facts are true"
    assert "WRONG" not in done.stdout


def test_kept_clusters_answer_kubectl(tools: Tools) -> None:
    demo = subprocess.Popen(
        [str(FLEET), "demo", "--keep"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **tools.environment()},
    )
    assert demo.stdout is not None
    try:
        deadline, commands = time.monotonic() + 200, list[str]()
        for line in demo.stdout:
            commands += [line] if "kubectl --kubeconfig" in line else []
            if "stays up" in line or time.monotonic() > deadline:
                break
        assert len(commands) == 3
        kubeconfig = commands[2].split("--kubeconfig ")[1].split()[0]
        found = subprocess.run(
            [
                str(tools.kubectl),
                "--kubeconfig",
                kubeconfig,
                "get",
                "deployments",
                "-A",
                "-o",
                "name",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "deployment.apps/storefront" in found.stdout
    finally:
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    assert demo.returncode == 0


@pytest.mark.parametrize(
    ("claims", "are_true"), [([], False), ([True], True), ([True, False], False)]
)
def test_one_wrong_fact_or_none_at_all_fails(claims: list[bool], are_true: bool) -> None:
    facts = Facts()
    for number, claim in enumerate(claims):
        facts.check(f"claim {number}", is_true=claim)
    assert facts.are_true is are_true


def test_the_script_is_the_command(tmp_path: Path) -> None:
    """``./demo`` says what is missing instead of failing somewhere inside."""
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = subprocess.run(
        [str(ROOT / "demo")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHON": str(python)},
    )
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
