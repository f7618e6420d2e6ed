"""Failpoints: places around every durable step where a test may kill the agent, as SIGKILL or a power cut would.

``FLEET_FAILPOINT=NAME[:COUNT]`` in the environment kills the process at the COUNT-th passing (default: the first) of
one place of `FAILPOINTS`. Unset, which is always so outside of tests, a passing costs one comparison. The names are
stable: of a pair, the step is done between ``before`` and ``after``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from fleet.errors import BadInput

VARIABLE = "FLEET_FAILPOINT"

FAILPOINTS: tuple[str, ...] = (
    "state.before-write",
    "state.after-write",
    "inventory.before-store",
    "inventory.after-store",
    "inventory.before-drop",
    "inventory.after-drop",
    "operation.before-accept",
    "operation.after-accept",
    "operation.before-record",
    "operation.after-record",
    "operation.before-result",
    "operation.after-result",
    "hook.before-create",
    "hook.after-create",
    "hook.before-delete",
    "hook.after-delete",
    "apply.before-batch",
    "apply.after-batch",
    "prune.before-batch",
    "prune.after-batch",
)
"""Every place, by room: ``state`` is any batch of records, ``inventory`` one that is waited for, ``operation`` a step
of an operation's record (it was accepted; hooks start; how one ended)."""


class Failpoints:
    """Counts passings of one chosen place, and kills there."""

    def __init__(self) -> None:
        self._name = ""
        self._left = 0
        self._kill: Callable[[], None] = _kill

    def arm(self, text: str, kill: Callable[[], None] | None = None) -> None:
        """Choose the place by ``NAME[:COUNT]`` and how to die; the empty text chooses none."""
        name, _, count = text.partition(":")
        if name and name not in FAILPOINTS:
            raise BadInput(
                f"{VARIABLE} names no failpoint: {name!r}", hint=f"one of {', '.join(FAILPOINTS)}"
            )
        if count and not (count.isascii() and count.isdigit() and int(count) > 0):
            raise BadInput(f"{VARIABLE} counts from 1: {count!r} is no such number")
        self._name, self._left, self._kill = name, int(count or "1"), kill or _kill

    def arm_from_environment(self) -> None:
        """Choose the place that the environment names; raises BadInput for one that does not exist."""
        self.arm(os.environ.get(VARIABLE, ""))

    def reach(self, name: str) -> None:
        """Pass a place."""
        if self._name != name:
            return
        self._left -= 1
        if self._left == 0:
            self._kill()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


PROCESS = Failpoints()
"""Those of this process: where it dies is the process's own affair, so there is one."""
reach = PROCESS.reach
