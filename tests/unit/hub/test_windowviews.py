"""Sync windows as people are shown them: which one denies or allows, until when, and what passes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fleet.argo.projects import read_project
from fleet.cli.reading import window_lines
from fleet.codec import yamldoc
from fleet.errors import Where
from fleet.model.application import Application, Destination
from fleet.model.identity import AppName
from hub import windowviews

NOW = datetime(2026, 3, 4, 10, 30, tzinfo=UTC)  # a Wednesday; 11:30 in Berlin
WEB = Application(
    name=AppName("web"), namespace="argocd", project="shop", sources=(),
    destination=Destination(name="east"),
)  # fmt: skip
WORK = "{kind: deny, schedule: '0 9 * * 1-5', duration: 8h, timeZone: Europe/Berlin, applications: ['*']"
NIGHT = "{kind: allow, schedule: '0 22 * * *', duration: 2h, applications: [web]"
OTHER = "{kind: deny, schedule: '* * * * *', duration: 1h, applications: [api]}"


def lines(*windows: str, now: datetime = NOW) -> list[str]:
    text = f"""
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {{name: shop, namespace: argocd}}
spec: {{syncWindows: [{", ".join(windows)}]}}
"""
    project = read_project(yamldoc.load_one(text), where=Where())
    return [line for _, line in window_lines(windowviews.shown(WEB, project, now))]


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        ([OTHER], []),
        (
            [WORK + "}", OTHER],
            [
                (
                    'blocked by sync window "deny 0 9 * * 1-5 Europe/Berlin for 8h" until 2026-03-04T16:00:00Z '
                    "(2026-03-04 17:00 Europe/Berlin); fleet app sync is blocked too, until the window has "
                    "manualSync: true in AppProject 'shop'"
                ),
                "deny 0 9 * * 1-5 Europe/Berlin for 8h: open until 2026-03-04T17:00:00+01:00",
            ],
        ),
        (
            [NIGHT + ", manualSync: true, description: at night}"],
            [
                (
                    'waits for sync window "allow 0 22 * * * for 2h": blocked until 2026-03-04T22:00:00Z; '
                    "fleet app sync passes"
                ),
                (
                    "allow 0 22 * * * for 2h: closed until 2026-03-04T22:00:00+00:00, fleet app sync passes "
                    "(at night)"
                ),
            ],
        ),
    ],
    ids=["of others", "a deny", "no allow"],
)
def test_a_block_is_shown_with_its_end_and_the_way_past(
    windows: list[str], said: list[str]
) -> None:
    assert lines(*windows) == said


def test_what_is_allowed_is_shown_with_its_end() -> None:
    evening = datetime(2026, 3, 4, 23, 0, tzinfo=UTC)
    first, *rows = lines(NIGHT + "}", WORK + "}", now=evening)
    assert first == "syncs are allowed until 2026-03-05 01:00 Europe/Berlin"
    assert rows == [
        "allow 0 22 * * * for 2h: open until 2026-03-05T00:00:00+00:00",
        "deny 0 9 * * 1-5 Europe/Berlin for 8h: closed until 2026-03-05T09:00:00+01:00",
    ]


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ("{kind: allow, schedule: '* * * * *', duration: 1h, applications: ['*']}", "open"),
        ("{kind: deny, schedule: '0 0 30 2 *', duration: 1h, applications: ['*']}", "closed"),
    ],
    ids=["always", "never"],
)
def test_a_window_that_never_turns_says_no_end(window: str, said: str) -> None:
    first, row = lines(window)
    assert first == "syncs are allowed"
    assert row.endswith(f"for 1h: {said}")


def test_a_project_without_windows_says_nothing() -> None:
    assert windowviews.shown(WEB, None, NOW) is None
    assert list(window_lines(None)) == []
