"""Answers the jq questions of a set's ``ignoreApplicationDifferences`` (`fleet.argo.policy`)."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.argo.policy import Trim
from fleet.errors import FleetError
from fleet.jq.paths import Batch, JqPaths
from fleet.runtime.clock import SystemClock


async def trimmed(jq: JqPaths, trims: Mapping[str, Trim]) -> dict[str, Trim]:
    """Delete from both sides of each comparison what its expressions select; raises what `JqPaths.delete` raises, at the
    set's field."""
    batches = [
        Batch(expressions=item.expressions, documents=(item.live, item.wanted))
        for item in trims.values()
    ]
    try:
        answers = await jq.delete(batches)
    except FleetError as error:
        raise error.at(field="spec.ignoreApplicationDifferences") from error
    return {
        name: Trim(live=live, wanted=wanted)
        for name, (live, wanted) in zip(trims, answers, strict=True)
    }


async def trim_once(trims: Mapping[str, Trim]) -> dict[str, Trim]:
    """Do it with a child of its own, for a command that ends afterwards."""
    jq = JqPaths(SystemClock())
    try:
        return await trimmed(jq, trims)
    finally:
        await jq.close()
