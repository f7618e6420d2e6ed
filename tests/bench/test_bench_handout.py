"""The benchmark of handing out runs to its end on a small fleet: a commit to one folder reaches every cluster."""

from __future__ import annotations

from tests.bench import handout


async def test_a_commit_reaches_every_cluster() -> None:
    first, second = await handout.measure("directories", 4, 3, 1)
    assert first["looks"] == second["looks"] == 12
    assert first["assignments"] >= second["assignments"] == 4
    assert 0 < second["evaluated"] <= second["first_assigned"] <= second["last_assigned"]
