"""Failpoints: a process dies at the place and the passing that were chosen, and nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from agents.failpoints import FAILPOINTS, VARIABLE, Failpoints
from fleet.errors import BadInput


def test_the_chosen_passing_of_the_chosen_place_kills() -> None:
    died: list[str] = []
    points = Failpoints()
    points.arm("hook.after-create:2", kill=lambda: died.append("here"))
    points.reach("hook.before-create")
    points.reach("hook.after-create")
    assert not died
    points.reach("hook.after-create")
    points.reach("hook.after-create")
    assert died == ["here"]


def test_nothing_chosen_kills_nowhere() -> None:
    points = Failpoints()
    points.arm("", kill=lambda: pytest.fail("killed"))
    for name in FAILPOINTS:
        points.reach(name)


@pytest.mark.parametrize("text", ["no.such-place", "hook.after-create:0", "hook.after-create:x"])
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=VARIABLE):
        Failpoints().arm(text)


def test_a_process_dies_by_sigkill() -> None:
    code = (
        "from agents.failpoints import PROCESS, reach\n"
        "PROCESS.arm_from_environment()\n"
        "reach('apply.before-batch'); print('one', flush=True)\n"
        "reach('apply.before-batch'); print('two', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, VARIABLE: "apply.before-batch:2"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "one\n")
