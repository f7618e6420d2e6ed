"""Evaluates ``gitopsfleet.io/ready-when`` in a child process that exists only while it is needed.

An expression may take as long as its author likes, and the library behind it costs memory: so the child has a
deadline for each question and is ended after a quiet while (`fleet.runtime.child`). An answer is kept as long as what it was asked about
stays the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from fleet.codec.canonical import Digest, digest_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.health.readyworker import MEMORY
from fleet.model.report import Ready, TargetStatus
from fleet.runtime.child import Child, ChildEnded
from fleet.runtime.clock import Clock
from fleet.sync.masking import masked

_DEADLINE = 10.0


class _Answer(msgspec.Struct, frozen=True):
    id: int
    ready: bool
    message: str = ""


class Readiness:
    """Asks the child, one question at a time."""

    def __init__(self, clock: Clock) -> None:
        self._child = Child(clock, "fleet.health.readyworker", deadline=_DEADLINE)
        self._kept: dict[str, tuple[Digest, Ready]] = {}
        """The last answer about each target, and the digest of its question: that holds whole objects."""

    async def judge(
        self, expression: str, objects: Sequence[JsonObject], status: TargetStatus
    ) -> Ready:
        """Say whether dependents may go on."""
        question = msgspec.json.encode(
            {
                "id": 0,
                "expression": expression,
                "objects": [masked(item) for item in objects],  # its errors quote them
                "app": {
                    "sync": status.sync.value,
                    "health": status.health.value,
                    "digest": status.applied,
                },
            }
        )
        known = self._kept.get(status.target)
        asked = digest_bytes(question)
        if known is not None and known[0] == asked:
            return known[1]
        answer = await self._ask(question)
        self._kept[status.target] = (asked, answer)
        return answer

    def keep_only(self, present: Collection[str]) -> None:
        """Forget the answers about all other targets."""
        for target in self._kept.keys() - set(present):
            del self._kept[target]

    async def run(self) -> None:
        """End the child when nobody asks, until cancelled."""
        await self._child.run()

    async def _ask(self, question: bytes) -> Ready:
        try:
            answer = msgspec.json.decode(await self._child.ask(question), type=_Answer)
        except TimeoutError:
            return Ready(ready=False, message=f"ready-when took longer than {_DEADLINE:.0f} s")
        except ChildEnded:
            limit = f"{MEMORY >> 20} MiB of memory"
            return Ready(ready=False, message=f"ready-when ended its process (it has {limit})")
        except OSError:
            return Ready(ready=False, message="ready-when could not be evaluated")
        return Ready(ready=answer.ready, message=answer.message)
