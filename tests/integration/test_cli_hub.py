"""The ``fleet`` command against a running hub: what it prints, its schemas, and its exit statuses.

One hub process over a repository on this machine; no cluster has an agent, so everything is OutOfSync and Missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonValue
from fleet.testing.estate import Estate, wait_until
from fleet.testing.repos import RepoBuilder

FLEET = Path(sys.executable).with_name("fleet")
SCHEMAS = Path(__file__).resolve().parents[2] / "config" / "schemas"

DOCUMENTS = """
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {name: staging, labels: {env: staging}}
spec: {}
---
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: apps, namespace: argocd}
spec:
  generators:
  - git: {repoURL: MY_REPO, revision: main, directories: [{path: 'apps/*'}]}
  template:
    metadata: {name: '{{path.basename}}'}
    spec:
      project: default
      source: {repoURL: MY_REPO, targetRevision: main, path: '{{path}}'}
      destination: {name: staging, namespace: shop}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: late
  namespace: argocd
  annotations: {gitopsfleet.io/depends-on: 'set/apps, ghost'}
spec:
  project: default
  source: {repoURL: MY_REPO, targetRevision: main, path: apps/a0}
  destination: {name: staging, namespace: shop}
"""
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"


@dataclass(frozen=True)
class Run:
    """A finished command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> JsonValue:
        return json.loads(self.out)


@dataclass(frozen=True)
class Hub:
    """A running hub, its repository, and the command pointed at it."""

    estate: Estate
    repo: RepoBuilder

    def fleet(self, *arguments: str, **environment: str) -> Run:
        return run(
            *arguments,
            FLEET_HUB=self.estate.url,
            FLEET_TOKEN_FILE=str(self.estate.token_file),
            **environment,
        )


def run(*arguments: str, **environment: str) -> Run:
    done = subprocess.run(
        [str(FLEET), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "FLEET_CONFIG": "", "COLUMNS": "200", **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def check_schema(name: str, value: JsonValue) -> None:
    jsonschema.validate(value, json.loads((SCHEMAS / f"{name}.json").read_text()))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    repo = RepoBuilder(folder / "repo.git")
    apps = {f"apps/a{n}/cm.yaml": CONFIG_MAP for n in range(5)}
    repo.commit({"fleet/fleet.yaml": DOCUMENTS.replace("MY_REPO", repo.url), **apps})
    estate = Estate(
        folder=folder,
        repositories=[{"repoURL": repo.url, "revision": "main", "path": "fleet"}],
        hub_settings={"render": {"requireSandbox": False}},
    )
    with estate:
        estate.start_hub()
        wait_until(lambda: len(estate.apps()) == 6, what="six applications")
        yield Hub(estate, repo)


@pytest.mark.parametrize(
    ("arguments", "schema"),
    [
        pytest.param(["app", "list"], "app-list", id="app-list"),
        pytest.param(["app", "get", "late"], "app-get", id="app-get"),
        pytest.param(["appset", "list"], "appset-list", id="appset-list"),
        pytest.param(["appset", "get", "apps"], "appset-get", id="appset-get"),
        pytest.param(["cluster", "list"], "cluster-list", id="cluster-list"),
        pytest.param(["cluster", "get", "staging"], "cluster-get", id="cluster-get"),
        pytest.param(["explain", "staging/late"], "explain", id="explain"),
        pytest.param(["graph"], "graph", id="graph"),
        pytest.param(["problems"], "problems", id="problems"),
        pytest.param(["repositories"], "repositories", id="repositories"),
        pytest.param(["approve"], "approve", id="approve"),
    ],
)
def test_json_fits_its_schema(hub: Hub, arguments: list[str], schema: str) -> None:
    done = hub.fleet(*arguments, "-o", "json")
    check_schema(schema, done.json)
    if arguments != ["graph"]:
        assert yamldoc.load_one(hub.fleet(*arguments, "-o", "yaml").out) == done.json


def test_app_list_has_the_promised_keys(hub: Hub) -> None:
    rows = hub.fleet("app", "list", "-o", "json").json["items"]
    assert [row["name"] for row in rows] == ["a0", "a1", "a2", "a3", "a4", "late"]
    keys = "name cluster set project sync health revision digest waitingFor message ageSeconds"
    assert set(keys.split()) <= set(rows[0])
    assert rows[0]["sync"] == "OutOfSync"
    assert rows[0]["ageSeconds"] is None


def test_tables_are_aligned_and_whole_in_a_pipe(hub: Hub) -> None:
    lines = hub.fleet("app", "list", COLUMNS="40").out.splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("NAME")
    assert hub.repo.head()[:12] in lines[1]


def test_filters(hub: Hub) -> None:
    assert len(hub.fleet("app", "list", "--set", "apps", "-o", "json").json["items"]) == 5
    nothing = hub.fleet("app", "list", "--cluster", "ghost")
    assert nothing.out == ""
    assert "nothing to show" in nothing.err


def test_explain_says_row_edges_and_users(hub: Hub) -> None:
    text = hub.fleet("explain", "staging/late").out
    assert "written by hand" in text
    assert "fleet.yaml:" in text
    assert "set/apps: waits" in text
    assert "ghost: waits: unknown application 'ghost'" in text
    text = hub.fleet("explain", "staging/a0").out
    assert "ApplicationSet apps made it from generators[0].git[apps/a0]" in text
    assert "needed by     staging/late" in text


def test_explain_says_why_not(hub: Hub) -> None:
    done = hub.fleet("explain", "staging/ghost")
    assert done.status == 1
    assert "no document and no ApplicationSet makes an application 'ghost'" in done.out
    assert hub.fleet("explain", "nonsense").status == 1


def test_graph_forms(hub: Hub) -> None:
    assert '"staging/late" -> "staging/a0"' in hub.fleet("graph", "-o", "dot").out
    assert "staging/late" in hub.fleet("graph", "--cluster", "staging").out


def test_a_removal_over_the_budget_is_held_and_approved(hub: Hub) -> None:
    gone: dict[str, str | None] = {f"apps/a{n}/cm.yaml": None for n in range(5)}
    hub.repo.commit({**gone, "apps/README.md": "empty"})
    hub.estate.push(hub.repo.url)
    held = wait_until(lambda: hub.fleet("approve", "-o", "json").json["items"], what="a hold")
    assert [row["subject"] for row in held] == ["appset/apps"]
    assert len(held[0]["removed"]) == 5
    assert hub.fleet("approve").status == 4
    assert "held until it is approved" in hub.fleet("appset", "get", "apps").out
    shown = hub.fleet("appset", "diff", "apps")
    assert shown.status == 4
    assert "  - a0\n" in shown.out
    assert "fleet approve appset/apps --digest sha256:" in shown.out
    form = hub.fleet("appset", "diff", "apps", "-o", "json")
    check_schema("appset-diff", form.json)
    assert form.json["holds"][0]["removed"] == held[0]["removed"]
    assert "no ApplicationSet 'ghost'" in hub.fleet("appset", "diff", "ghost").err
    refused = hub.fleet("approve", "appset/ghost")
    assert refused.status == 1
    assert "held right now: appset/apps" in refused.err
    assert "has changed" in hub.fleet("approve", "appset/apps", "--digest", "sha256:0").err
    assert hub.fleet("approve", "appset/apps", "--reason", "test").status == 0
    wait_until(lambda: len(hub.estate.apps()) == 1, what="the removal")
    assert hub.fleet("approve").status == 0
    assert hub.fleet("appset", "diff", "apps").status == 0
    hub.repo.commit(dict.fromkeys(gone, CONFIG_MAP))
    hub.estate.push(hub.repo.url)
    wait_until(lambda: len(hub.estate.apps()) == 6, what="everything back")


def test_metrics_count_clusters_and_holds(hub: Hub) -> None:
    token = hub.estate.token_file.read_text().strip()
    request = urllib.request.Request(
        f"{hub.estate.url}/metrics", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    assert 'fleet_hub_clusters{state="NotJoined"} 1.0' in lines
    assert 'fleet_hub_clusters{state="Connected"} 0.0' in lines
    assert "fleet_hub_holds 0.0" in lines


def test_cluster_life(hub: Hub, tmp_path: Path) -> None:
    added = hub.fleet("cluster", "add", "edge", "--label", "env=edge", "-o", "json")
    check_schema("cluster-add", added.json)
    assert added.json["token"].startswith("fleetjoin.")
    assert added.json["hub"] == hub.estate.agents_url
    rows = {row["name"]: row for row in hub.fleet("cluster", "list", "-o", "json").json["items"]}
    assert rows["edge"]["source"] == "hub"
    assert rows["edge"]["labels"] == {"env": "edge"}
    assert rows["edge"]["state"] == "NotJoined"
    token = tmp_path / "token"
    token.touch(mode=0o644)
    again = hub.fleet("cluster", "add", "edge", "--token-out", str(token))
    assert again.out.startswith("fleet agent join --hub https://127.0.0.1:")
    assert token.stat().st_mode & 0o777 == 0o600
    assert hub.fleet("cluster", "remove", "edge", "--yes").status == 0
    assert hub.fleet("cluster", "get", "edge").status == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["cluster", "add", "staging", "--label", "a=b"], "declared in", id="git-decides"
        ),
        pytest.param(["cluster", "add", "Bad_Name"], "not a cluster name", id="name"),
        pytest.param(["cluster", "add", "x", "--label", "nonsense"], "KEY=VALUE", id="label"),
        pytest.param(["cluster", "remove", "staging", "--yes"], "take it out of git", id="remove"),
        pytest.param(["app", "get", "ghost"], "there is no application 'ghost'", id="app"),
        pytest.param(["app", "sync", "ghost"], "there is no application 'ghost'", id="sync"),
        pytest.param(["appset", "get", "ghost"], "no ApplicationSet 'ghost'", id="set"),
    ],
)
def test_mistakes_are_one_line(hub: Hub, arguments: list[str], message: str) -> None:
    done = hub.fleet(*arguments)
    assert done.status == 1
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_wait_gives_up_with_the_reason(hub: Hub) -> None:
    done = hub.fleet("app", "wait", "late", "--timeout", "0.1")
    assert done.status == 1
    assert "staging/late: OutOfSync" in done.err


def test_sync_and_refresh_are_asked_for(hub: Hub) -> None:
    assert "asked staging/a0 to sync" in hub.fleet("app", "sync", "a0", "--prune").err
    assert hub.fleet("app", "refresh", "a0", "--hard").status == 0


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        pytest.param({"FLEET_HUB": "http://127.0.0.1:1"}, "cannot be reached", id="no-hub"),
        pytest.param({"FLEET_TOKEN_FILE": "/nonexistent"}, "No such file", id="no-token-file"),
    ],
)
def test_a_connection_that_fails(hub: Hub, environment: dict[str, str], message: str) -> None:
    known = {"FLEET_HUB": hub.estate.url, "FLEET_TOKEN_FILE": str(hub.estate.token_file)}
    done = run("app", "list", **{**known, **environment})
    assert done.status == 1
    assert message in done.err


def test_a_wrong_token_is_refused_and_named(hub: Hub, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    done = run("app", "list", FLEET_HUB=hub.estate.url, FLEET_TOKEN_FILE=str(wrong))
    assert done.status == 1
    assert "a valid token is needed" in done.err


def test_the_configuration_file(hub: Hub, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"hub: {hub.estate.url}\ntokenFile: {hub.estate.token_file}\n")
    assert run("app", "list", FLEET_CONFIG=str(config)).status == 0
    config.write_text("hubb: x\n")
    done = run("app", "list", FLEET_CONFIG=str(config))
    assert done.status == 1
    assert "config.yaml:1" in done.err
    assert "did you mean hub?" in done.err


@pytest.mark.parametrize(
    "arguments",
    [["app", "list", "--bogus"], ["nonsense"], ["app", "list", "-o", "xml"], ["app", "wait"]],
)
def test_usage_errors_have_status_2(arguments: list[str]) -> None:
    assert run(*arguments).status == 2


def test_completion_asks_the_hub(hub: Hub) -> None:
    done = hub.fleet(_FLEET_COMPLETE="complete_bash", COMP_WORDS="fleet app get a", COMP_CWORD="3")
    assert done.out.split() == ["a0", "a1", "a2", "a3", "a4"]


def test_an_open_route_is_a_decision(hub: Hub, http_status: Callable[[str], int]) -> None:
    open_paths = {"/healthz", "/readyz"}
    for path in ("/healthz", "/readyz", "/metrics", "/api/v1/apps", "/api/v1/clusters", "/x", "/"):
        assert (http_status(f"{hub.estate.url}{path}") == 200) is (path in open_paths), path


@pytest.fixture
def http_status() -> Callable[[str], int]:
    def ask(url: str) -> int:
        import urllib.error
        import urllib.request

        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    return ask
