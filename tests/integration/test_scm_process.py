"""A hub process that asks a plugin and a forge as its settings say: applications come, change after a webhook, and stay."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonValue
from fleet.testing.estate import Estate, wait_until
from fleet.testing.repos import RepoBuilder

DOCUMENTS = """
apiVersion: gitopsfleet.io/v1alpha1
kind: Cluster
metadata: {name: staging}
spec: {}
---
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: rows, namespace: argocd}
spec:
  goTemplate: true
  generators:
  - plugin: {configMapRef: {name: rows}, input: {parameters: {team: shop}}}
  template:
    metadata: {name: '{{ .name }}'}
    spec:
      project: default
      source: {repoURL: "MY_REPO", targetRevision: main, path: app}
      destination: {name: staging, namespace: shop}
---
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: pulls, namespace: argocd}
spec:
  goTemplate: true
  generators:
  - pullRequest:
      gitea: {owner: acme, repo: web, api: "SERVER", tokenRef: {secretName: forge, key: token}}
      values: {name: 'pr-{{ .number }}'}
  template:
    metadata: {name: '{{ .values.name }}'}
    spec:
      project: default
      source: {repoURL: "MY_REPO", targetRevision: main, path: app}
      destination: {name: staging, namespace: shop}
"""


@dataclass
class Services:
    """A plugin and a Gitea in one server, and whether they work."""

    rows: list[JsonValue] = field(default_factory=lambda: [{"name": "a"}, {"name": "b"}])
    pulls: list[int] = field(default_factory=lambda: [1, 2])
    are_down: bool = False
    url: str = ""

    def reply(self, path: str, authorization: str | None) -> tuple[int, JsonValue]:
        if self.are_down:
            return 503, {}
        if path == "/api/v1/getparams.execute":
            wanted, body = "Bearer plugin-token", {"output": {"parameters": self.rows}}
            return (200, body) if authorization == wanted else (401, {})
        if authorization != "token forge-token":
            return 401, {}
        return 200, [self.pull(number) for number in self.pulls]

    def pull(self, number: int) -> JsonValue:
        head = {"ref": f"f-{number}", "sha": "0" * 40}
        return {"number": number, "title": "t", "head": head, "base": {"ref": "main"}}


@pytest.fixture
def services() -> Iterator[Services]:
    made = Services()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = made.reply(
                self.path.partition("?")[0], self.headers.get("Authorization")
            )
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def estate(services: Services, tmp_path: Path) -> Iterator[Estate]:
    repo = RepoBuilder(tmp_path / "config")
    documents = DOCUMENTS.replace("MY_REPO", repo.url).replace("SERVER", services.url)
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
    repo.commit({"fleet/all.yaml": documents, "app/cm.yaml": manifest})
    for name in ("forge", "plugin"):
        (tmp_path / name).write_text(f"{name}-token\n")
    forge = {"secretName": "forge", "key": "token", "urlPrefix": services.url}
    plugin = {"name": "rows", "baseURL": services.url, "tokenFile": str(tmp_path / "plugin")}
    settings = {
        "charts": {"allowLoopback": True},
        "render": {"requireSandbox": False},
        "scm": {"tokens": [{**forge, "file": str(tmp_path / "forge")}]},
        "plugins": [plugin],
    }
    place = {"repoURL": repo.url, "path": "fleet"}
    with Estate(folder=tmp_path / "estate", repositories=[place], hub_settings=settings) as made:
        made.start_hub()
        yield made


def wait_for(estate: Estate, *names: str) -> None:
    wanted = {f"staging/{name}" for name in names}
    wait_until(lambda: set(estate.apps()) == wanted, what=f"{wanted} in the list")


def announce(estate: Estate) -> None:
    """As a forge does when a pull request was opened."""
    body = {"repository": {"clone_url": "https://gitea.example.com/acme/web.git"}}
    headers = {"X-Gitea-Event": "pull_request", "Content-Type": "application/json"}
    request = urllib.request.Request(
        f"{estate.url}/webhook", json.dumps(body).encode(), headers, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202


def test_a_hub_asks_and_keeps_what_it_was_told(estate: Estate, services: Services) -> None:
    wait_for(estate, "a", "b", "pr-1", "pr-2")
    services.rows.append({"name": "c"})
    services.pulls.append(3)
    announce(estate)
    wait_for(estate, "a", "b", "c", "pr-1", "pr-2", "pr-3")
    services.are_down = True
    estate.hub.stop()
    estate.start_hub()
    wait_for(estate, "a", "b", "c", "pr-1", "pr-2", "pr-3")
    log = estate.hub.tail(400)
    assert "answers 503" in log
    assert "forge-token" not in log
    assert "plugin-token" not in log
