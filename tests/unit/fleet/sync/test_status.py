"""Status of a target: never more than was done."""

from dataclasses import replace

import pytest

from fleet.errors import NotReady
from fleet.health.result import HEALTHY, HealthResult
from fleet.model.assignment import ProjectRules, Section
from fleet.model.identity import ObjectRef
from fleet.model.report import Health, ObjectStatus, Phase, Ready, Sync
from fleet.sync.desired import Desired, Problem
from fleet.sync.manifest import Manifest
from fleet.sync.order import key_of
from fleet.sync.status import MAX_PROBLEMS, HealthIndex, Progress, target_status

A = "sha256:a"


def ref(name: str) -> ObjectRef:
    return ObjectRef("apps", "Deployment", "n", name)


def desired(
    *names: str, problems: tuple[Problem, ...] = (), ignored: tuple[str, ...] = ()
) -> Desired:
    note = {"annotations": {"argocd.argoproj.io/ignore-healthcheck": "true"}}
    return Desired(
        target="app",
        artifact=A,
        manifests=tuple(
            Manifest(
                ref=ref(name),
                api_version="apps/v1",
                body={"metadata": note if name in ignored else {}},
                wave=0,
                key=key_of(ref(name), 0),
                tracked=name != "untracked",
            )
            for name in names
        ),
        problems=problems,
    )


SECTION = Section(target="app", project=ProjectRules(name="p"), artifact=A)
SICK = HealthResult(Health.DEGRADED, "crash")
SLOW = HealthResult(Health.PROGRESSING, "1 of 2")


@pytest.mark.parametrize(
    ("health", "out_of_sync", "applied", "expected"),
    [
        ({ref("a"): HEALTHY, ref("b"): None}, {}, A, (Sync.SYNCED, Health.HEALTHY, True)),
        (
            {ref("a"): HEALTHY, ref("b"): HEALTHY},
            {},
            "sha256:old",
            (Sync.OUT_OF_SYNC, Health.HEALTHY, False),
        ),
        ({ref("a"): HEALTHY, ref("b"): HEALTHY}, {}, "", (Sync.OUT_OF_SYNC, Health.HEALTHY, False)),
        ({ref("a"): HEALTHY, ref("b"): SLOW}, {}, A, (Sync.SYNCED, Health.PROGRESSING, False)),
        ({ref("a"): SICK, ref("b"): SLOW}, {}, A, (Sync.SYNCED, Health.DEGRADED, False)),
        (
            {ref("a"): HEALTHY},
            {ref("b"): "was deleted"},
            A,
            (Sync.OUT_OF_SYNC, Health.HEALTHY, False),
        ),
        ({}, {ref("a"): "x", ref("b"): "x"}, "", (Sync.OUT_OF_SYNC, Health.MISSING, False)),
    ],
    ids=["fine", "older applied", "nothing applied", "slow", "worst", "one missing", "all missing"],
)
def test_sync_health_and_ready(
    health: HealthIndex,
    out_of_sync: dict[ObjectRef, str],
    applied: str,
    expected: tuple[Sync, Health, bool],
) -> None:
    found = target_status(
        SECTION, desired("a", "b", "untracked"), out_of_sync, health, Progress(applied=applied)
    )
    assert (found.sync, found.health, found.ready.ready) == expected
    assert (found.assigned, found.applied, found.objects) == (A, applied, 2)


def test_nothing_rendered_is_unknown_and_missing() -> None:
    section = Section(target="app", project=ProjectRules(name="p"))
    empty = Desired(target="app", artifact="")
    found = target_status(section, empty, {}, {}, Progress())
    assert (found.sync, found.health, found.ready.ready) == (Sync.UNKNOWN, Health.MISSING, False)


def test_what_cannot_be_judged_makes_it_unknown_and_is_named() -> None:
    problem = Problem(ref("w"), NotReady("no such kind"))
    found = target_status(
        SECTION,
        desired("a", problems=(problem,)),
        {},
        {ref("a"): HEALTHY},
        Progress(applied=A, error=problem.error, phase=Phase.FAILED),
    )
    assert (found.sync, found.reason, found.message) == (Sync.UNKNOWN, "NotReady", "no such kind")
    assert found.problems == (
        ObjectStatus(ref="apps/Deployment:n/w", sync=Sync.UNKNOWN, message="no such kind"),
    )


def test_nothing_that_can_be_judged_is_missing_and_not_healthy() -> None:
    problem = Problem(ref("w"), NotReady("no such kind"))
    found = target_status(
        SECTION, desired(problems=(problem,)), {}, {}, Progress(error=problem.error)
    )
    assert (found.sync, found.health) == (Sync.UNKNOWN, Health.MISSING)


def test_problems_list_the_sickest_first_and_are_bounded() -> None:
    names = [f"d{number:02}" for number in range(30)]
    health = {ref(name): SLOW for name in names} | {ref("d07"): SICK}
    found = target_status(
        SECTION, desired(*names), {ref("d03"): "drift"}, health, Progress(applied=A)
    )
    assert len(found.problems) == MAX_PROBLEMS
    assert found.problems[0] == ObjectStatus(
        ref="apps/Deployment:n/d07", health=Health.DEGRADED, message="crash"
    )
    assert (
        ObjectStatus(
            ref="apps/Deployment:n/d03",
            sync=Sync.OUT_OF_SYNC,
            health=Health.PROGRESSING,
            message="drift",
        )
        in found.problems
    )


def test_ready_when_overrides_and_ignored_health_does_not_count() -> None:
    ready = Ready(ready=True, message="2 replicas")
    found = target_status(
        SECTION,
        desired("a", "b", ignored=("a",)),
        {},
        {ref("a"): SICK, ref("b"): HEALTHY},
        Progress(applied=A, ready=ready),
    )
    assert found.ready == ready
    assert found.health is Health.HEALTHY


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        pytest.param(None, Health.HEALTHY, id="missing"),
        pytest.param(HealthResult(Health.UNKNOWN), Health.HEALTHY, id="unknown"),
        pytest.param(SICK, Health.DEGRADED, id="sick-by-a-rule-of-the-user-s"),
    ],
)
def test_an_application_of_applications_is_not_sick_of_children_that_nobody_knows_yet(
    child: HealthResult | None, expected: Health
) -> None:
    application = ObjectRef("argoproj.io", "Application", "argocd", "child")
    manifest = Manifest(
        ref=application,
        api_version="argoproj.io/v1alpha1",
        body={"metadata": {}},
        wave=0,
        key=key_of(application, 0),
        tracked=True,
    )
    both = replace(desired("a"), manifests=(*desired("a").manifests, manifest))
    health = {ref("a"): HEALTHY} | ({application: child} if child else {})
    found = target_status(SECTION, both, {}, health, Progress(applied=A))
    assert found.health is expected
