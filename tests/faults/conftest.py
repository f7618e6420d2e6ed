"""Fixtures of the fault tests: two real control planes for all of them, and a fleet on these for each module.

A module has its fleet to itself and may kill, stop and restart any part of it; what it leaves in the clusters is
taken away before the next one comes. Random moments come from ``seed``, which is printed: run a failed test again with
``FLEET_SEED`` set to it.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator

import pytest

from fleet.testing.controlplane import ClusterSource, ControlPlane, Options
from fleet.testing.fleets import Fleet
from fleet.testing.tools import Tools

QUICK_LINK = {"link": {"firstRetry": "200ms", "lastRetry": "1s"}}
"""Agents dial the hub again within a second, so that no test waits for a backoff."""
STATE = "gitops-fleet"
_KINDS = (
    "apis/apps/v1/{}deployments", "api/v1/{}services", "api/v1/{}configmaps", "api/v1/{}secrets",
    "api/v1/{}serviceaccounts",
)  # fmt: skip


@pytest.fixture(scope="session")
def fault_planes(control_planes: ClusterSource) -> dict[str, ControlPlane]:
    """Two clusters with Pods and audit logs, for the fault tests alone."""
    names = ("north", "south")
    return dict(
        zip(names, control_planes.start_all(names, Options(pods=True, audit=True)), strict=True)
    )


StartFleet = Callable[..., Fleet]


@pytest.fixture(scope="module")
def start_fleet(
    fault_planes: dict[str, ControlPlane], tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartFleet]:
    """Start a fleet on the two clusters: ``start_fleet(hub={...}, agent={...})``; it ends with the module."""
    with contextlib.ExitStack() as stack:

        def start(**more: object) -> Fleet:
            for plane in fault_planes.values():
                stack.callback(scrub, plane)
            agent = {**QUICK_LINK, **more.pop("agent", {})}  # type: ignore[dict-item]
            started = Fleet.start(
                tmp_path_factory.mktemp("faults"),
                fault_planes,
                agent=agent,
                environment=tools.environment(),
                **more,  # type: ignore[arg-type]
            )
            return stack.enter_context(started)

        yield start


@pytest.fixture
def dice() -> random.Random:
    """Random moments; the seed is printed."""
    seed = int(os.environ.get("FLEET_SEED", "") or random.SystemRandom().randrange(2**32))
    print(f"FLEET_SEED={seed}")
    return random.Random(seed)


def scrub(plane: ControlPlane) -> None:
    """Take everything away that a fleet left in a cluster: what it owned, its state, its namespaces."""
    for kind in _KINDS:
        found = plane.get(f"/{kind.format('')}?labelSelector=gitopsfleet.io/owned") or {}
        for namespace in {item["metadata"]["namespace"] for item in found.get("items", ())}:
            place = kind.format(f"namespaces/{namespace}/")
            plane.request("DELETE", f"/{place}?labelSelector=gitopsfleet.io/owned")
    for kind in ("configmaps", "secrets"):
        plane.request(
            "DELETE", f"/api/v1/namespaces/{STATE}/{kind}?labelSelector=gitopsfleet.io/agent-state"
        )
    for item in (plane.get("/api/v1/namespaces") or {})["items"]:
        name = item["metadata"]["name"]
        if name.startswith("t-"):
            plane.request("DELETE", f"/api/v1/namespaces/{name}")
