"""What an agent takes of a spoke: under 60 MiB with 500 objects of its own and watches on all of them, under 150 with
5,000, and next to no time when nothing happens.

One agent grows from the one to the other: what it takes is its own, whatever it was before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.testing.faults import spoil, wait_text
from fleet.testing.fleets import Fleet, application, deployment, documents

SMALL, LARGE, EACH = 10, 100, 10
"""Applications at first and in the end, and of each of them the objects of each kind."""
KINDS = {
    "deployments": "/apis/apps/v1", "services": "/api/v1", "configmaps": "/api/v1",
    "secrets": "/api/v1", "serviceaccounts": "/api/v1",
}  # fmt: skip
SMALL_LIMIT, LARGE_LIMIT = 60.0, 150.0
"""MiB."""
SETTLING = 10.0
IDLE = 15.0
IDLE_SHARE = 0.01
HEALED_WITHIN = 2.0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_agent_is_small_idle_and_quick(new_fleet: Callable[..., Fleet]) -> None:
    fleet = new_fleet("one")
    agent = fleet.estate.members["one"].agent
    names = [f"app-{number}" for number in range(LARGE)]
    few, more = names[:SMALL], names[SMALL:]

    _deploy(fleet, few, text="x" * 4096)
    time.sleep(SETTLING)
    settled = agent.rss_mib()
    slowest = max(_heal(fleet, f"{name}-0", text="x" * 4096) for name in few)
    after = agent.rss_mib()
    print(f"500 objects: {settled:.1f} MiB, {after:.1f} after healing, slowest {slowest:.3f} s")
    assert max(settled, after) < SMALL_LIMIT
    assert slowest < HEALED_WITHIN

    _deploy(fleet, more, text="x" * 512)
    time.sleep(SETTLING)
    before = agent.cpu_seconds()
    time.sleep(IDLE)
    share = (agent.cpu_seconds() - before) / IDLE
    settled = agent.rss_mib()
    slowest = max(_heal(fleet, f"{name}-3", text="x" * 512) for name in more[::7])
    after = agent.rss_mib()
    print(
        f"5,000 objects: {settled:.1f} MiB, {after:.1f} after healing, slowest {slowest:.3f} s; idle {share:.2%}"
    )
    assert max(settled, after) < LARGE_LIMIT
    assert share < IDLE_SHARE
    assert slowest < HEALED_WITHIN


def _deploy(fleet: Fleet, names: Sequence[str], *, text: str) -> None:
    """Add applications, and wait until each of their objects is there and followed."""
    apps = [
        application(name, repo=fleet.repo.url, path=name, cluster="one", namespace="mem")
        for name in names
    ]
    files = {f"{name}/all.yaml": _objects(name, text=text) for name in names}
    fleet.commit({f"fleet/{names[0]}.yaml": documents(*apps), **files})
    fleet.wait_good(*(f"one/{name}" for name in names), timeout=240)
    for plural, root in KINDS.items():
        found = fleet.get(
            "one", f"{root}/namespaces/mem/{plural}?labelSelector=gitopsfleet.io/owned"
        )
        there = {item["metadata"]["name"] for item in (found or {})["items"]}
        assert there >= {f"{name}-{number}" for name in names for number in range(EACH)}


def _heal(fleet: Fleet, name: str, *, text: str) -> float:
    """Change a ConfigMap by hand and wait until it is put right; returns the seconds."""
    path = f"/api/v1/namespaces/mem/configmaps/{name}"
    spoiled = spoil(fleet.planes["one"], path, text="by hand")
    wait_text(fleet.planes["one"], path, text)
    return time.monotonic() - spoiled


def _objects(app: str, *, text: str) -> str:
    """50 objects: ten of each kind, the ConfigMaps with this text."""
    parts = []
    for number in range(EACH):
        name = f"{app}-{number}"
        values: list[JsonObject] = [
            {"apiVersion": "v1", "kind": "ServiceAccount"},
            {"apiVersion": "v1", "kind": "Secret", "stringData": {"password": f"secret-{name}"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"text": text}},
            {
                "apiVersion": "v1",
                "kind": "Service",
                "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
            },
        ]
        parts += [documents({**value, "metadata": {"name": name}}) for value in values]
        parts.append(deployment(name, replicas=0))
    return "---\n".join(parts)
