"""From a forge over real HTTP to the hub's targets: repositories, branches and paths, and a second page that fails later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from fleet.fetch.http import Http
from fleet.fetch.scm.forges import Forges
from fleet.fetch.scm.settings import Scm, ScmToken
from fleet.fetch.settings import ChartSettings
from fleet.jq.paths import JqPaths
from fleet.testing.clock import FakeClock
from fleet.testing.mirrors import MemoryMirrors
from fleet.testing.store import MemoryStore
from hub.accepted import Accepted
from hub.answers import Answers
from hub.children import Children
from hub.childsyncs import ChildSyncs
from hub.evaluate import Evaluator
from hub.fleetrepo import FleetRepo
from hub.parents import Parents
from hub.records import Records
from hub.settings import FleetRepository
from hub.state import State
from hub.world import Worlds

CONFIG = "https://git.example.com/config.git"
SHA = "0123456789abcdef0123456789abcdef01234567"
DOCUMENTS = """
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {name: staging}
spec: {}
---
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: apps, namespace: argocd}
spec:
  goTemplate: true
  generators:
  - scmProvider:
      github: {organization: acme, api: "SERVER", tokenRef: {secretName: forge, key: token}}
      filters: [{repositoryMatch: '^app-', pathsExist: [deploy]}]
      requeueAfterSeconds: 60
  template:
    metadata: {name: '{{.repository}}-{{.short_sha_7}}'}
    spec:
      project: default
      source: {repoURL: '{{.url}}', path: deploy, targetRevision: '{{.sha}}'}
      destination: {name: staging, namespace: demo}
"""


@dataclass
class GitHub:
    """Two pages of repositories; some have the folder."""

    url: str = ""
    pages: dict[str, list[str]] = field(
        default_factory=lambda: {"1": ["app-a", "docs"], "2": ["app-b", "app-c"]}
    )
    with_folder: frozenset[str] = frozenset({"app-a", "app-b"})
    broken_page: str = ""
    paths: list[str] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Authorization"] == "Bearer secret"
        self.paths.append(request.path)
        parts = request.path.removeprefix("/api/v3/").split("/")
        if parts[0] == "orgs":
            page = request.query.get("page", "1")
            if page == self.broken_page:
                return web.Response(text="<html>maintenance</html>", content_type="text/html")
            following = f'<{self.url}/api/v3/orgs/acme/repos?page=2>; rel="next"'
            headers = {"Link": following} if page == "1" else {}
            rows = [self.repository(name) for name in self.pages[page]]
            return web.Response(text=json.dumps(rows), headers=headers)
        if parts[3] == "branches":
            return web.json_response({"name": parts[4], "commit": {"sha": SHA}})
        found = parts[2] in self.with_folder and request.query["ref"] == SHA
        return web.json_response([], status=200 if found else 404)

    def repository(self, name: str) -> dict[str, object]:
        return {
            "id": 1,
            "name": name,
            "owner": {"login": "acme"},
            "ssh_url": f"git@example.com:acme/{name}.git",
            "clone_url": f"https://example.com/acme/{name}.git",
            "default_branch": "main",
        }


@pytest.fixture
async def github() -> AsyncIterator[GitHub]:
    made = GitHub()
    runner = web.ServerRunner(web.Server(made.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}"
    yield made
    await runner.cleanup()


@dataclass
class Hub:
    """The parts from a document to targets."""

    evaluator: Evaluator
    answers: Answers
    clock: FakeClock
    changed: asyncio.Event

    async def evaluate(self) -> list[str]:
        await self.evaluator.reconcile("fleet")
        return sorted(id_.app for id_ in self.evaluator.state.desired.targets)

    async def later(self) -> list[str]:
        """Let the answers grow old, and evaluate when another one has come."""
        await self.clock.advance(61)
        self.changed.clear()
        await self.evaluate()
        await asyncio.wait_for(self.changed.wait(), 10)
        return await self.evaluate()


@pytest.fixture
async def hub(github: GitHub, tmp_path: Path) -> AsyncIterator[Hub]:
    token = tmp_path / "token"
    token.write_text("secret\n")
    clock, changed = FakeClock(), asyncio.Event()
    row = ScmToken(secret_name="forge", key="token", file=token, url_prefix=github.url)
    limits = ChartSettings(state=tmp_path, allow_http=True, allow_loopback=True, attempts=1)
    http = Http(limits, clock=clock)
    forges = Forges(http, clock, scm=Scm(tokens=(row,)))
    answers = Answers(forges=forges, clock=clock, changed=changed.set)
    mirrors, store = MemoryMirrors(), MemoryStore()
    mirrors.commit(CONFIG, {"fleet.yaml": DOCUMENTS.replace("SERVER", github.url)})
    repo = FleetRepo(FleetRepository(repo_url=CONFIG), mirrors, store)
    records = Records(store)
    accepted = Accepted(store)
    state = State()
    evaluator = Evaluator(
        worlds=Worlds(mirrors, (repo,), clock, answers),
        accepted=accepted,
        state=state,
        clock=clock,
        jq=JqPaths(clock),
        children=Children(
            parents=Parents(
                accepted=accepted,
                state=state,
                syncs=ChildSyncs(store=store, evaluate=lambda: None),
            )
        ),
        held_clusters=records.declared,
        joined_clusters=list,
        approval_used=records.used,
        evaluated=lambda _repositories: None,
    )
    yield Hub(evaluator, answers, clock, changed)
    await answers.close()
    await http.close()


NAMES = [f"app-a-{SHA[:7]}", f"app-b-{SHA[:7]}"]


async def test_repositories_with_the_folder_become_targets(github: GitHub, hub: Hub) -> None:
    assert await hub.evaluate() == NAMES
    assert not any("docs" in path for path in github.paths)  # its name rules it out
    asked = len(github.paths)
    assert await hub.evaluate() == NAMES
    assert len(github.paths) == asked


async def test_a_maintenance_page_for_a_second_page_changes_nothing(
    github: GitHub, hub: Hub
) -> None:
    assert await hub.evaluate() == NAMES
    github.broken_page = "2"
    assert await hub.later() == NAMES
    status = hub.evaluator.state.desired.sets["apps"]
    assert status.last_good
    assert "it is no JSON" in status.errors[0]
    github.broken_page, github.pages["2"] = "", ["app-b", "app-c", "app-d"]
    github.with_folder |= {"app-d"}
    assert await hub.later() == [*NAMES, f"app-d-{SHA[:7]}"]


async def test_a_repository_that_is_gone_is_removed(github: GitHub, hub: Hub) -> None:
    github.with_folder |= {"app-c"}
    assert len(await hub.evaluate()) == 3
    github.pages["2"] = ["app-b"]
    assert await hub.later() == NAMES
    assert not hub.evaluator.state.desired.sets["apps"].last_good
