"""Sync windows and other rules of an AppProject: reading, and which Applications a window matches."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fleet.argo.projects import read_project
from fleet.argo.windows import matches, windows_for
from fleet.codec.yamldoc import load_documents
from fleet.errors import BadInput, Where
from fleet.model.application import Application, Destination, Source
from fleet.model.assignment import Window
from fleet.model.identity import AppName
from fleet.model.project import AppProject, KindRule, OrphanedResources, SyncWindow, WindowKind

WINDOW = "{kind: deny, schedule: '0 22 * * *', duration: 1h, applications: ['*']}"


def read(spec: str) -> AppProject:
    text = (
        f"apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {{name: p}}\nspec: {spec}\n"
    )
    (document,) = load_documents(text, source="p.yaml")
    return read_project(document.value, where=Where(file="p.yaml"))


def test_everything_is_read() -> None:
    project = read(
        "{sourceNamespaces: [team-*], orphanedResources: {ignore: [{kind: ConfigMap, name: x-*}]}, "
        "syncWindows: [{kind: allow, schedule: '0 22 * * *', duration: 1h30m, timeZone: Asia/Tokyo, "
        "applications: [a], namespaces: [b], clusters: [c], andOperator: true, manualSync: true, "
        "syncOverrun: true, description: nights}]}"
    )
    assert project.windows == (
        SyncWindow(
            kind=WindowKind.ALLOW,
            schedule="0 22 * * *",
            duration=timedelta(minutes=90),
            time_zone="Asia/Tokyo",
            applications=("a",),
            namespaces=("b",),
            clusters=("c",),
            all_of=True,
            manual_sync=True,
            sync_overrun=True,
            description="nights",
        ),
    )
    assert project.source_namespaces == ("team-*",)
    assert project.orphaned == OrphanedResources(
        ignore=(KindRule(group="", kind="ConfigMap", name="x-*"),)
    )


def test_orphans_are_warned_of_only_where_the_project_says_so() -> None:
    assert read("{}").orphaned is None
    assert read("{orphanedResources: {}}").orphaned == OrphanedResources(warn=True)
    assert read("{orphanedResources: {warn: false}}").orphaned == OrphanedResources(warn=False)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        (("deny", "block"), "[0].kind", 'must be "allow" or "deny", not "block"'),
        (("kind: deny, ", ""), "[0].kind", "must be"),
        (("0 22 * * *", "0 22 * *"), "[0].schedule", "has 4 fields"),
        (("0 22 * * *", "0 25 * * *"), "[0].schedule", "not within 0-23"),
        (("1h", "1 hour"), "[0].duration", "not a duration"),
        (("duration: 1h, ", ""), "[0].duration", "not a duration: ''"),
        (("1h", "1h, timeZone: Mars/Olympus"), "[0].timeZone", "no such time zone"),
        (("1h", "1h, timeZone: ../../etc/passwd"), "[0].timeZone", "no such time zone"),
        (("['*']", "[]"), "[0]", "needs at least one of applications, namespaces and clusters"),
        (("1h", f"1h, description: {'x' * 256}"), "[0].description", "no more than 255"),
        ((WINDOW, f"{WINDOW}, {WINDOW}"), "[1]", "is there already"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_windows_that_argo_refuses_are_refused(
    change: tuple[str, str], field: str, message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(f"{{syncWindows: [{WINDOW}]}}".replace(*change))
    assert caught.value.where.field == f"spec.syncWindows{field}"
    assert message in caught.value.message


APPLICATION = Application(
    name=AppName("shop-web"),
    namespace="argocd",
    project="p",
    sources=(Source(repo_url="https://git.example.com/a.git"),),
    destination=Destination(name="eu-1", namespace="shop"),
)
BY_SERVER = replace(
    APPLICATION, destination=Destination(server="https://eu-1.example.com", namespace="shop")
)
NO_NAMESPACE = replace(APPLICATION, destination=Destination(name="eu-1"))

MATCHES = {
    "application": ({"applications": ("shop-*",)}, APPLICATION, True),
    "another application": ({"applications": ("blog-*",)}, APPLICATION, False),
    "cluster name": ({"clusters": ("eu-*",)}, APPLICATION, True),
    "server is not looked up by name": ({"clusters": ("eu-1",)}, BY_SERVER, False),
    "server": ({"clusters": ("https://eu-*",)}, BY_SERVER, True),
    "namespace": ({"namespaces": ("shop",)}, APPLICATION, True),
    "no namespace matches nothing": ({"namespaces": ("*",)}, NO_NAMESPACE, False),
    "any of the lists": ({"applications": ("x",), "clusters": ("eu-1",)}, APPLICATION, True),
    "all of the lists": (
        {"applications": ("shop-*",), "clusters": ("eu-1",), "all_of": True},
        APPLICATION,
        True,
    ),
    "not all of the lists": (
        {"applications": ("x",), "clusters": ("eu-1",), "all_of": True},
        APPLICATION,
        False,
    ),
    "nothing named": ({"all_of": True}, APPLICATION, False),
}


@pytest.mark.parametrize(("lists", "application", "expected"), MATCHES.values(), ids=MATCHES.keys())
def test_which_applications_a_window_matches(
    lists: dict[str, tuple[str, ...]], application: Application, expected: bool
) -> None:
    window = replace(
        SyncWindow(kind=WindowKind.DENY, schedule="0 22 * * *", duration=timedelta(hours=1)),
        **lists,  # type: ignore[arg-type]  # a table of fields of several types
    )
    assert matches(window, application) is expected


def test_agents_get_the_windows_that_match() -> None:
    project = read(f"{{syncWindows: [{WINDOW}]}}")
    mine, other = project.windows[0], replace(project.windows[0], applications=("blog",))
    assert windows_for([mine, other], APPLICATION) == (
        Window(kind="deny", schedule="0 22 * * *", duration=3600.0),
    )
