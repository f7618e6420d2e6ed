"""Rating: the health of objects by the fleet's own rules, which run in a process of their own and take their time.

The table shows what it knew before until an answer is there, or Progressing where the object is another by then. A process that cannot be asked changes nothing: the
objects wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog

from agents.live import LiveTable
from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError
from fleet.health.result import HealthResult
from fleet.model.healthrules import HealthRules
from fleet.model.identity import ObjectRef
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock

log = structlog.get_logger(__name__)

_AGAIN = 2.0
_AT_ONCE = 50


class Judge(Protocol):
    """Rates objects by rules (`fleet.judge.custom.CustomHealth`)."""

    async def judge(
        self, rules: HealthRules, objects: Sequence[JsonObject]
    ) -> list[HealthResult | None]:
        """Rate objects, in their order."""
        ...


class Ratings:
    """Answers what the table wants rated."""

    def __init__(self, judge: Judge, table: LiveTable, clock: Clock) -> None:
        self._judge = judge
        self._table = table
        self._clock = clock

    async def run(self) -> None:
        """Rate until cancelled."""
        while True:
            await self._table.something_unrated.wait()
            waiting = list(self._table.take_unrated().items())
            for start in range(0, len(waiting), _AT_ONCE):
                batch = waiting[start : start + _AT_ONCE]
                while not await self._rate(batch):
                    await self._clock.sleep(_AGAIN)

    async def _rate(self, batch: list[tuple[ObjectRef, JsonObject]]) -> bool:
        rules = self._table.rules
        try:
            results = await self._judge.judge(rules, [obj for _, obj in batch])
        except FleetError as error:
            log.warning("objects not rated", **{fields.ERROR: str(error)})
            return False
        for (ref, obj), health in zip(batch, results, strict=True):
            self._table.rated(ref, obj, health, rules)
        return True
