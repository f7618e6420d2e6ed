"""JSON schemas of every ``-o json``: made from the wire types, kept in ``config/schemas``, checked in tests.

``python -m fleet.cli.schemas DIR`` writes them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from fleet.cli.health import HealthRow
from fleet.codec.jsontypes import JsonObject
from fleet.wire import api, appdiff, difference, requests, rollouts

OUTPUTS: dict[str, type] = {
    "app-list": api.AppList,
    "app-get": api.AppDetail,
    "app-diff": appdiff.AppDiff,
    "app-events": requests.EventList,
    "app-manifests": list[JsonObject],
    "app-resources": requests.ResourceList,
    "appset-diff": api.AppSetDiff,
    "appset-list": api.AppSetList,
    "appset-get": api.AppSetRow,
    "appset-generate": list[JsonObject],
    "approve": api.HoldList,
    "cluster-add": api.JoinInstructions,
    "cluster-get": api.ClusterRow,
    "cluster-list": api.ClusterList,
    "diff": difference.FleetDiff,
    "explain": api.Explanation,
    "graph": api.Graph,
    "health": list[HealthRow],
    "problems": api.ProblemList,
    "repositories": api.RepositoryList,
    "rollout-list": rollouts.RolloutList,
    "rollout-status": rollouts.RolloutDetail,
    "validate": api.ProblemList,
}
"""File name in ``config/schemas`` (the command's words) to the type that it prints."""


def schema(name: str) -> bytes:
    """Return the schema of a command's output."""
    value = msgspec.json.schema(OUTPUTS[name])
    value["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    value["title"] = f"fleet {name.replace('-', ' ')} -o json"
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def write(folder: Path) -> None:
    """Write all schemas."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in OUTPUTS:
        (folder / f"{name}.json").write_bytes(schema(name))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
