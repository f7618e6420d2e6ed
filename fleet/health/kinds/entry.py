"""What stands in the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fleet.codec.jsontypes import JsonObject
from fleet.health.result import HealthResult

Rule: TypeAlias = Callable[[JsonObject], HealthResult | None]
Entry: TypeAlias = "str | Rule | None"
"""A row of `fleet.health.rows`, a function, or None for kinds without health."""

READY = "Degraded Ready=False; Healthy Ready"
"""Controllers that say Ready=False only of what is broken."""
