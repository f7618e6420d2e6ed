"""Fixtures of the end-to-end tests: one fleet on three real control planes that most tests share.

``fleet`` is shared: a test works in a folder, namespaces and application names of its own, and never restarts its hub or
agents unless that is harmless to others. ``new_fleet`` gives a test a fleet on clusters of its own, for what is not.
Tests judge by the API servers and their audit logs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from fleet.testing.controlplane import ClusterSource, ControlPlane, Options
from fleet.testing.fleets import Fleet
from fleet.testing.tools import Tools

LABELS = {
    "management": {"role": "management"},
    "staging": {"role": "workload", "env": "staging"},
    "production": {"role": "workload", "env": "production"},
}
QUICK_LINK = {"link": {"firstRetry": "200ms", "lastRetry": "1s"}}
"""A test that restarts the hub leaves no agent behind that waits long before it dials again."""


@pytest.fixture(scope="session")
def fleet(
    clusters3: tuple[ControlPlane, ...], tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """The shared fleet: management, staging, production, joined; Pods turn Ready, audit logs on."""
    planes = {plane.name: plane for plane in clusters3}
    with Fleet.start(
        tmp_path_factory.mktemp("fleet"),
        planes,
        labels=LABELS,
        management="management",
        agent=QUICK_LINK,
        environment=tools.environment(),
    ) as started:
        yield started


_names = itertools.count(1)


@pytest.fixture
def new_fleet(
    control_planes: ClusterSource, tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Fleet]]:
    """Start a fleet on new control planes with audit logs: ``new_fleet("one", "two", pods=False, labels={...})``.

    More keywords are those of ``Fleet.start``. Fleet and control planes end with the test.
    """
    with ExitStack() as stack:

        def start(*names: str, pods: bool = False, **more: object) -> Fleet:
            number = next(_names)
            unique = [f"{name}-{number}" for name in names]
            started = control_planes.start_all(unique, Options(pods=pods, audit=True))
            for plane in started:
                stack.callback(plane.stop)
            planes = dict(zip(names, started, strict=True))
            folder = tmp_path_factory.mktemp("own-fleet")
            new = Fleet.start(folder, planes, environment=tools.environment(), **more)  # type: ignore[arg-type]
            return stack.enter_context(new)

        yield start
