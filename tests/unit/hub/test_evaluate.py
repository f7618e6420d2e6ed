"""Evaluation of a whole fleet: last good rows, the shrink budget, detached clusters, broken documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from fleet.errors import NotReady, Transient
from fleet.generators.evaluate import evaluate_set
from fleet.generators.kept import Kept
from fleet.generators.result import Failed, Generated, Missing
from fleet.model.appset import ApplicationSet
from fleet.model.world import TreeRequest, World
from fleet.store.port import Kind, Put
from hub.state import Hold
from tests.unit.hub.evaluate_bench import APP, APPS, CLUSTER, CONFIG, SET, Fleet, directories


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    made = Fleet()
    made.mirrors.commit(CONFIG, {"clusters.yaml": CLUSTER.format("staging"), "set.yaml": SET})
    made.mirrors.commit(APPS, directories(4))
    yield made
    await made.jq.close()


async def test_rows_become_targets(fleet: Fleet) -> None:
    assert await fleet.evaluate() == [f"staging/a0{n}" for n in range(4)]


async def test_a_failing_source_keeps_the_last_good_rows_through_a_restart(fleet: Fleet) -> None:
    before = await fleet.evaluate()
    fleet.mirrors.failing[APPS] = Transient("down")
    assert await fleet.evaluate() == before
    status = fleet.state.desired.sets["apps"]
    assert status.last_good
    assert "down" in status.errors[0]
    await fleet.restart()
    assert await fleet.evaluate() == before


async def test_a_deleted_branch_is_an_error_and_not_empty(fleet: Fleet) -> None:
    before = await fleet.evaluate()
    fleet.mirrors.delete_branch(APPS, "main")
    assert await fleet.evaluate() == before
    assert fleet.state.desired.sets["apps"].last_good


async def test_an_emptied_generator_is_held_and_approved(fleet: Fleet) -> None:
    before = await fleet.evaluate()
    fleet.mirrors.commit(APPS, {"README.md": "nothing"})
    assert await fleet.evaluate() == before
    hold = fleet.state.holds["appset/apps"]
    assert len(hold.removed) == 4
    await fleet.restart()
    assert await fleet.evaluate() == before, "a restart does not let a held removal through"
    await fleet.records.approve("appset/apps", fleet.state.holds["appset/apps"].digest)
    assert await fleet.evaluate() == []
    assert fleet.state.holds == {}
    assert fleet.records.approvals == {}, "an approval serves once"


def ignoring(expression: str) -> str:
    """The set at another revision, which it may not write into one application."""
    return (
        SET.replace("targetRevision: main", "targetRevision: v2")
        + f"""
  ignoreApplicationDifferences:
  - jqPathExpressions: ['.spec.source | select(.path == "a01") | .targetRevision', '{expression}']
"""
    )


async def test_what_jq_expressions_select_stays_as_it_was(fleet: Fleet) -> None:
    await fleet.evaluate()
    documents = {"clusters.yaml": CLUSTER.format("staging"), "set.yaml": ignoring(".spec.none[]")}
    fleet.mirrors.commit(CONFIG, documents)
    await fleet.evaluate()
    revisions = {
        name: item.sources[0].target_revision
        for name, item in fleet.state.desired.applications.items()
    }
    assert revisions == {"a00": "v2", "a01": "main", "a02": "v2", "a03": "v2"}


async def test_a_jq_expression_that_is_none_fails_its_set_only(fleet: Fleet) -> None:
    before = await fleet.evaluate()
    other = SET.replace("name: apps", "name: other").replace("name: '{{", "name: 'o-{{")
    documents = {"clusters.yaml": CLUSTER.format("staging"), "other.yaml": other}
    fleet.mirrors.commit(CONFIG, {**documents, "set.yaml": ignoring(".spec[")})
    assert len(await fleet.evaluate()) == 2 * len(before)
    status = fleet.state.desired.sets["apps"]
    assert status.last_good
    assert "spec.ignoreApplicationDifferences" in status.errors[0]
    assert "'.spec['" in status.errors[0]
    assert not fleet.state.desired.sets["other"].errors


async def test_an_approval_that_had_served_before_a_kill_serves_no_more(fleet: Fleet) -> None:
    fleet.mirrors.commit(APPS, directories(10))
    await fleet.evaluate()
    fleet.mirrors.commit(APPS, directories(5))
    await fleet.evaluate()
    subject, digest = "appset/apps", fleet.state.holds["appset/apps"].digest
    await fleet.records.approve(subject, digest)
    assert len(await fleet.evaluate()) == 5
    await fleet.store.commit(Put(Kind.APPROVALS, subject, digest.encode()))
    await fleet.restart()
    fleet.mirrors.commit(APPS, directories(10))
    assert len(await fleet.evaluate()) == 10
    fleet.mirrors.commit(APPS, directories(5))
    assert len(await fleet.evaluate()) == 10


async def test_a_hold_goes_with_its_application(fleet: Fleet) -> None:
    await fleet.evaluate()
    for name in ("a00", "a03"):
        subject = f"app/staging/{name}"
        fleet.state.holds[subject] = Hold(subject=subject, message="", removed=(), digest="d")
    fleet.mirrors.commit(APPS, directories(3))
    assert len(await fleet.evaluate()) == 3
    assert set(fleet.state.holds) == {"app/staging/a00"}


async def test_an_approval_covers_only_what_was_looked_at(fleet: Fleet) -> None:
    fleet.mirrors.commit(APPS, directories(10))
    await fleet.evaluate()
    fleet.mirrors.commit(APPS, directories(5))
    await fleet.evaluate()
    await fleet.records.approve("appset/apps", fleet.state.holds["appset/apps"].digest)
    fleet.mirrors.commit(APPS, directories(2))
    assert len(await fleet.evaluate()) == 10


async def test_a_slow_drip_adds_up_and_is_forgotten_after_a_day(fleet: Fleet) -> None:
    fleet.mirrors.commit(APPS, directories(10))
    await fleet.evaluate()
    fleet.mirrors.commit(APPS, directories(8))
    assert len(await fleet.evaluate()) == 8
    fleet.mirrors.commit(APPS, directories(6))
    assert len(await fleet.evaluate()) == 8
    await fleet.clock.advance(timedelta(hours=25).total_seconds())
    assert len(await fleet.evaluate()) == 6


async def test_the_fleet_as_a_whole_has_a_budget(fleet: Fleet) -> None:
    by_hand = {f"app{n}.yaml": APP.format(f"hand{n}", "staging") for n in range(6)}
    config = {"clusters.yaml": CLUSTER.format("staging")}
    fleet.mirrors.commit(CONFIG, {**config, **by_hand})
    before = await fleet.evaluate()
    fleet.mirrors.commit(CONFIG, {**config, "app0.yaml": by_hand["app0.yaml"]})
    assert await fleet.evaluate() == before
    assert "would remove 5 of 6" in fleet.state.holds["fleet"].message
    await fleet.records.approve("fleet", fleet.state.holds["fleet"].digest)
    assert await fleet.evaluate() == ["staging/hand0"]


async def test_a_cluster_that_leaves_git_is_detached_and_counts_as_no_removal(fleet: Fleet) -> None:
    two = CLUSTER.format("staging") + CLUSTER.format("production")
    apps = {f"{n}.yaml": APP.format(f"p{n}", "production") for n in range(5)}
    fleet.mirrors.commit(CONFIG, {"clusters.yaml": two, **apps})
    fleet.joined = {"staging", "production"}
    assert len(await fleet.evaluate()) == 5
    fleet.mirrors.commit(CONFIG, {"clusters.yaml": CLUSTER.format("staging")})
    assert await fleet.evaluate() == []
    assert fleet.state.holds == {}
    assert fleet.state.desired.detached == {"production"}


async def test_what_left_with_a_cluster_is_no_drip(fleet: Fleet) -> None:
    clusters = CLUSTER.format("staging") + CLUSTER.format("production")
    matrix = SET.replace(
        "  - git:\n      repoURL: https://git.example.com/apps.git\n      revision: main\n"
        '      directories: [{path: "*"}]\n',
        "  - matrix:\n      generators:\n      - clusters: {}\n"
        "      - git: {repoURL: 'https://git.example.com/apps.git', revision: main, "
        'directories: [{path: "*"}]}\n',
    )
    matrix = matrix.replace("{{.path.basename}}", "{{.path.basename}}-{{.name}}")
    matrix = matrix.replace("name: staging,", "name: '{{.name}}',")
    fleet.mirrors.commit(APPS, directories(8))
    fleet.mirrors.commit(CONFIG, {"clusters.yaml": clusters, "set.yaml": matrix})
    fleet.joined = {"staging", "production"}
    assert len(await fleet.evaluate()) == 16
    fleet.mirrors.commit(CONFIG, {"clusters.yaml": CLUSTER.format("staging"), "set.yaml": matrix})
    assert len(await fleet.evaluate()) == 8
    await fleet.restart()
    fleet.mirrors.commit(APPS, directories(7))
    assert len(await fleet.evaluate()) == 7
    assert fleet.state.holds == {}


async def test_a_file_that_does_not_parse_keeps_its_last_good_version(fleet: Fleet) -> None:
    before = await fleet.evaluate()
    clusters = CLUSTER.format("staging")
    fleet.mirrors.commit(CONFIG, {"clusters.yaml": clusters, "set.yaml": SET + "\n  bad: [1"})
    assert await fleet.evaluate() == before
    (problem,) = fleet.state.desired.problems
    assert problem.where.file.endswith("set.yaml")
    assert problem.where.line > 1
    await fleet.restart()
    assert await fleet.evaluate() == before


async def test_a_restart_that_cannot_read_at_once_keeps_last_good_versions(fleet: Fleet) -> None:
    config = {"clusters.yaml": CLUSTER.format("staging"), "app.yaml": APP.format("a", "staging")}
    fleet.mirrors.commit(CONFIG, config)
    before = await fleet.evaluate()
    fleet.mirrors.commit(CONFIG, {**config, "app.yaml": "a: [1"})
    assert await fleet.evaluate() == before
    fleet.mirrors.failing[CONFIG] = Transient("down")
    await fleet.restart()
    del fleet.mirrors.failing[CONFIG]
    assert await fleet.evaluate() == before


async def test_what_could_not_be_written_is_written_at_the_next_look(fleet: Fleet) -> None:
    await fleet.evaluate()
    repo = fleet.worlds.repos[0]
    before = await fleet.store.get(Kind.FLEET_REPOS, repo.key)
    fleet.mirrors.commit(CONFIG, {"clusters.yaml": CLUSTER.format("staging")})
    fleet.store.fail_next()
    with pytest.raises(Transient):
        await fleet.evaluate()
    await fleet.evaluate()
    assert await fleet.store.get(Kind.FLEET_REPOS, repo.key) != before


async def test_one_bad_document_does_not_stop_its_neighbours(fleet: Fleet) -> None:
    clusters = CLUSTER.format("staging")
    bad = APP.format("bad", "staging").replace("project: default", "project: 7")
    text = f"{APP.format('good', 'staging')}\n---\n{bad}"
    fleet.mirrors.commit(CONFIG, {"clusters.yaml": clusters, "apps.yaml": text})
    assert await fleet.evaluate() == ["staging/good"]
    assert any(problem.fatal for problem in fleet.state.desired.problems)


async def test_nothing_is_concluded_while_the_fleet_repository_was_never_read(fleet: Fleet) -> None:
    fleet.mirrors.failing[CONFIG] = Transient("down")
    with pytest.raises(NotReady, match="down"):
        await fleet.evaluate()
    assert not fleet.state.desired.evaluated


async def test_clusters_of_an_unread_repository_are_not_missing(fleet: Fleet) -> None:
    other = "https://git.example.com/other.git"
    fleet.configs = (CONFIG, other)
    per_cluster = SET.replace(
        "  - git:\n      repoURL: https://git.example.com/apps.git\n      revision: main\n"
        '      directories: [{path: "*"}]\n',
        "  - clusters: {}\n",
    )
    per_cluster = per_cluster.replace("{{.path.basename}}", "watch-{{.name}}")
    per_cluster = per_cluster.replace("{{.path.path}}", "watch")
    fleet.mirrors.commit(
        CONFIG, {"clusters.yaml": CLUSTER.format("staging"), "set.yaml": per_cluster}
    )
    fleet.mirrors.commit(other, {"clusters.yaml": CLUSTER.format("production")})
    await fleet.restart()
    before = await fleet.evaluate()
    assert before == ["staging/watch-production", "staging/watch-staging"]
    fleet.mirrors.failing[other] = Transient("down")
    await fleet.restart()
    assert await fleet.evaluate() == before
    del fleet.mirrors.failing[other]
    assert await fleet.evaluate() == before


async def test_an_unknown_destination_refuses_the_application(fleet: Fleet) -> None:
    fleet.mirrors.commit(
        CONFIG, {"c.yaml": CLUSTER.format("staging"), "a.yaml": APP.format("lost", "ghost")}
    )
    assert await fleet.evaluate() == []
    assert "ghost" in fleet.state.desired.refused["lost"]  # type: ignore[index]  # a plain text


async def test_unchanged_inputs_are_not_evaluated_or_written_again(fleet: Fleet) -> None:
    await fleet.evaluate()
    rows = await fleet.store.load(Kind.ROWS)
    first = fleet.state.desired.applications["a00"]  # type: ignore[index]  # a plain text
    fleet.mirrors.commit(
        CONFIG, {"clusters.yaml": CLUSTER.format("staging"), "set.yaml": SET, "x.yaml": ""}
    )
    await fleet.evaluate()
    assert fleet.state.desired.applications["a00"] is first  # type: ignore[index]  # a plain text
    assert await fleet.store.load(Kind.ROWS) == rows


async def test_a_bug_in_one_set_stops_no_other(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SET.replace("name: apps,", "name: poison,").replace(
        "'{{.path.basename}}'", "'p-{{.path.basename}}'"
    )
    files = {"clusters.yaml": CLUSTER.format("staging"), "set.yaml": SET, "poison.yaml": other}
    fleet.mirrors.commit(CONFIG, files)
    before = await fleet.evaluate()
    real = evaluate_set

    def broken(appset: ApplicationSet, world: World, kept: Kept) -> Generated | Missing | Failed:
        if appset.name == "poison":
            raise ZeroDivisionError
        return real(appset, world, kept)

    monkeypatch.setattr("hub.setresults.evaluate_set", broken)
    fleet.mirrors.commit(APPS, directories(5))
    after = await fleet.evaluate()
    assert set(after) - set(before) == {"staging/a04"}
    assert fleet.state.desired.sets["poison"].last_good
    assert "ZeroDivisionError" in fleet.state.desired.sets["poison"].errors[0]


async def test_a_set_that_never_stops_asking_stops_no_other(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SET.replace("name: apps,", "name: endless,")
    files = {"clusters.yaml": CLUSTER.format("staging"), "set.yaml": SET, "endless.yaml": other}
    real, asked = evaluate_set, iter(range(100))

    def endless(appset: ApplicationSet, world: World, kept: Kept) -> Generated | Missing | Failed:
        if appset.name == "endless":
            return Missing(
                requests=frozenset({TreeRequest(repo_url=APPS, revision=f"r{next(asked)}")})
            )
        return real(appset, world, kept)

    monkeypatch.setattr("hub.setresults.evaluate_set", endless)
    fleet.mirrors.commit(CONFIG, files)
    assert len(await fleet.evaluate()) == 4
    assert "endless" in fleet.state.desired.sets
    assert fleet.state.desired.sets["endless"].last_good


async def test_a_hub_that_never_had_a_sets_rows_is_not_certain(fleet: Fleet) -> None:
    found = []
    for is_down in (True, False, True):
        fleet.mirrors.failing = {APPS: Transient("down")} if is_down else {}
        await fleet.evaluate()
        found.append(fleet.state.desired.certain)
    assert found == [False, True, True], "the second time its last good rows are in force"
