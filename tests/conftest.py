"""Fixtures that every test may ask for: real clusters, helm and kubectl, the reference cases.

What this machine cannot give skips the test with the reason in one line; with ``CI=true`` it fails it instead, so that
nothing is left out unseen.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

from fleet.errors import FleetError
from fleet.testing import fleets
from fleet.testing import tools as program_tools
from fleet.testing.controlplane import (
    ClusterSource,
    ControlPlane,
    Lacking,
    Missing,
    Options,
    open_source,
)
from fleet.testing.tools import Tools

IS_CI = os.environ.get("CI", "").lower() in {"true", "1"}

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile(
    "thorough",
    deadline=None,
    max_examples=20_000,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
hypothesis.settings.load_profile(
    os.environ.get("FLEET_HYPOTHESIS", "") or ("ci" if IS_CI else "local")
)


_GROUP = pytest.StashKey[str]()


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where nothing may be skipped."""
    if IS_CI:
        pytest.fail(f"not available, and CI=true: {reason}", pytrace=False)
    pytest.skip(reason)


SHARED = {"clusters3": "three", "fault_planes": "faults", "cluster": "plain"}
"""Control planes that many modules share: the fixture, and the name for xdist of the tests that want it."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what asks for a cluster, so that ``-m 'not controlplane'`` is always right; share tests out to processes.

    Tests that share control planes stay together, so that these are started once; else a module does. What waits for
    control planes comes first: it takes longest.
    """
    waiting: dict[str, int] = {}
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        group = item.nodeid.partition("::")[0]
        if "control_planes" in fixtures:
            item.add_marker(pytest.mark.controlplane)
            group = next((SHARED[name] for name in SHARED if name in fixtures), group)
            waiting[group] = waiting.get(group, 0) + 1
        item.add_marker(pytest.mark.xdist_group(group))
        item.stash[_GROUP] = group
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: -waiting.get(item.stash[_GROUP], 0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test of a fleet that failed shows the ends of the daemons' logs, which go with their folder."""
    report = yield
    if report.failed and item.get_closest_marker("controlplane"):
        asked = list(getattr(item, "funcargs", {}).values())
        own = [fleet for fleet in fleets.running if any(fleet is other for other in asked)]
        for fleet in own or fleets.running:
            report.sections += fleet.logs()
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need before the first of them runs: building takes longer than a test may."""
    if session.config.option.collectonly:
        return
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        if "control_planes" in wanted:
            open_source(build=True)  # what is missing is said by the fixture
        if "tools" in wanted:
            _find_tools()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Fixtures may start clusters, too."""
    yield from _skipping()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """A test that asked for a kind of cluster which cannot be started here is skipped, not failed."""
    yield from _skipping()


def _skipping() -> Iterator[None]:
    try:
        yield
    except Lacking as error:
        unavailable(str(error))


@pytest.fixture(scope="session")
def control_planes() -> Iterator[ClusterSource]:
    """Starts clusters: ``control_planes.start(name, pods=True, audit=True, ready_delay=3.0)``.

    Who starts one stops it, or takes names that nobody else takes; all end with the session.
    """
    source = open_source(build=True)
    if isinstance(source, Missing):
        unavailable(source.reason)
    with source:
        yield source


@pytest.fixture(scope="session")
def cluster(control_planes: ClusterSource) -> ControlPlane:
    """One cluster with controllers but no Pods, shared by all tests: work in ``namespace``."""
    return control_planes.start("plain")


@pytest.fixture(scope="session")
def clusters3(control_planes: ClusterSource) -> tuple[ControlPlane, ...]:
    """Three clusters with Pods that turn Ready and audit logs, shared by all tests that clean up after themselves."""
    return control_planes.start_all(
        ("management", "staging", "production"), Options(pods=True, audit=True)
    )


@pytest.fixture
def namespace(cluster: ControlPlane) -> Iterator[str]:
    """A namespace of ``cluster`` for one test."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    cluster.apply(f"/api/v1/namespaces/{name}", manifest)
    yield name
    cluster.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def tools() -> Tools:
    """helm and kubectl; ``tools.environment()`` puts them on a child's PATH."""
    found = _find_tools()
    if isinstance(found, Missing):
        unavailable(found.reason)
    return found


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with the reference cases: ``FLEET_SHARED``, else ``shared`` beside the checkout."""
    folder = Path(
        os.environ.get("FLEET_SHARED", "") or Path(__file__).resolve().parents[2] / "shared"
    )
    if not folder.is_dir():
        unavailable(f"no reference cases: {folder} is not there (set FLEET_SHARED)")
    return folder


def _find_tools() -> Tools | Missing:
    try:
        return program_tools.find_tools(build=True)
    except FleetError as error:
        return Missing(reason=str(error))
