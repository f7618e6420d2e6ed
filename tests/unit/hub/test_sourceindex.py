"""Who reads what: remembered from one evaluation to the next it is what it is from nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.application import Application, Destination, Source
from fleet.model.identity import AppName
from fleet.model.world import EntryKind, Tree, TreeEntry, TreeRequest, Unavailable
from fleet.testing.clock import FakeClock
from hub.sourceindex import CHARTS, Place, Seen, SourceIndex

URL = "https://git.example.com/team/apps.git"
OTHER = "https://git.example.com/team/other.git"
OCI = "oci://registry.example.com/charts/web"
SPELLED = "https://git.example.com:443/team/apps"

sources = st.builds(
    Source,
    repo_url=st.sampled_from((URL, OTHER, SPELLED, "not a URL", OCI)),
    path=st.sampled_from(("a", "b")),
    chart=st.sampled_from(("", "", "web")),
)
fleets = st.dictionaries(st.sampled_from("abcd"), st.lists(sources, min_size=1, max_size=2))


def application(name: str, *read: Source) -> Application:
    return Application(
        name=AppName(name),
        namespace="argocd",
        project="default",
        sources=read,
        destination=Destination(name="one"),
    )


def git(url: str, path: str) -> Source:
    return Source(repo_url=url, path=path)


@given(st.lists(fleets, max_size=6))
def test_what_is_remembered_is_what_is_made_from_nothing(
    steps: list[dict[str, list[Source]]],
) -> None:
    index = SourceIndex()
    before: dict[AppName, Application] = {}
    for step in steps:
        fleet = {AppName(name): application(name, *read) for name, read in step.items()}
        fleet |= {name: old for name, old in before.items() if fleet.get(name) == old}
        changed = index.follow(fleet)
        assert set(changed) == {
            name for name, item in fleet.items() if before.get(name) is not item
        }
        anew = SourceIndex()
        anew.follow(fleet)
        assert index == anew
        assert index.repositories() == {
            source.repo_url
            for item in fleet.values()
            for source in item.sources
            if not source.chart and source.repo_url != OCI
        }
        before = fleet


def test_a_chart_in_a_registry_is_no_repository_that_anybody_fetches() -> None:
    index = SourceIndex()
    index.follow({AppName("web"): application("web", Source(repo_url=OCI))})
    assert index.repositories() == set()
    assert [*index.readers((CHARTS,), lambda _place: True)] == ["web"]


def test_readers_are_found_however_they_write_the_url() -> None:
    index = SourceIndex()
    index.follow(
        {
            item.name: item
            for item in (
                application("web", git(URL, "web")),
                application("db", git(SPELLED, "db")),
                application("other", git(OTHER, "web")),
                application("chart", Source(repo_url=URL, chart="web")),
                application("values", Source(repo_url=OTHER, chart="web"), git(URL, "values")),
            )
        }
    )
    found = index.readers([URL], lambda place: place.path == "values")
    assert next(iter(found)) == "values"
    assert set(found) == {"web", "db", "values"}
    assert set(index.readers([CHARTS], lambda _place: True)) == {"chart", "values"}


def tree(root: str, **objects: str) -> Tree:
    entries = tuple(TreeEntry(path, EntryKind.DIRECTORY, name) for path, name in objects.items())
    return Tree(commit=root, root=root, entries=entries)


REQUEST = TreeRequest(repo_url=URL, revision="main")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("web", False),
        ("./web/", False),
        ("db", True),
        ("new", True),
        ("", True),
        ("nowhere", False),
    ],
)
def test_a_folder_is_touched_when_its_tree_is_another(path: str, expected: bool) -> None:
    seen = Seen().followed_by({REQUEST: tree("1", web="w", db="d")})
    assert seen.touched(Place(URL, "main", path))
    seen = seen.followed_by({REQUEST: tree("2", web="w", db="e", new="n")})
    assert seen.touched(Place(URL, "main", path)) is expected
    assert seen.touched(Place(URL, "dev", path))
    assert seen.touched(Place(OTHER, "main", path))
    gone = Unavailable(since=FakeClock().now(), reason="Transient", message="down")
    assert seen.followed_by({REQUEST: gone}).touched(Place(URL, "main", path))
