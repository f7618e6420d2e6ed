"""Every forge over real HTTP: recorded shapes of their answers, page by page, and everything that may go wrong.

The server is ours; the shapes are the forges', cut down to what is read and a little more.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from aiohttp import web

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput, Denied, FleetError, Transient
from fleet.fetch.http import Http
from fleet.fetch.scm.client import NotFound
from fleet.fetch.scm.forges import Forges
from fleet.fetch.scm.settings import Aws, Plugin, Scm, ScmToken
from fleet.fetch.settings import ChartSettings
from fleet.model.answers import (
    BranchesRequest,
    Forge,
    PathRequest,
    PluginRequest,
    PullRequestsRequest,
    RepositoriesRequest,
    Rows,
    SecretRef,
)
from fleet.testing.clock import FakeClock

SHA = "0123456789abcdef0123456789abcdef01234567"
CANARY = "canary-s3cret"
SECRET = SecretRef(name="forge", key="token")


class QuickClock(FakeClock):
    """Time passes at once when somebody sleeps; the waits are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._elapsed += seconds


@dataclass
class Reply:
    """What the server says to one path with its query."""

    body: JsonValue = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


@dataclass
class Server:
    """Answers by path and query, and what it was asked."""

    url: str = ""
    replies: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    asked: list[web.BaseRequest] = field(default_factory=list)
    bodies: list[JsonObject] = field(default_factory=list)

    def says(self, path: str, body: JsonValue = None, **rest: object) -> None:
        self.replies[path] = Reply(body, **rest)  # type: ignore[arg-type]  # fields by name

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        raw, _, query = request.raw_path.partition("?")
        key = f"{raw}?{unquote_plus(query)}"
        if request.method == "POST":
            self.bodies.append(await request.json())
            key = request.headers.get("X-Amz-Target", request.path)
        reply = self.replies.get(key, self.replies.get(key.partition("?")[0]))
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if reply is None:
            return web.json_response({"message": "Not Found"}, status=404)
        if (tag := reply.headers.get("ETag")) and request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        text = reply.text or json.dumps(reply.body).replace("{base}", self.url)
        headers = {name: value.replace("{base}", self.url) for name, value in reply.headers.items()}
        return web.Response(text=text, status=reply.status, headers=headers)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    runner = web.ServerRunner(web.Server(made.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}"
    yield made
    await runner.cleanup()


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()


Ask = Callable[..., Awaitable[Rows]]
Make = Callable[..., Forges]


@pytest.fixture
async def make(server: Server, clock: QuickClock, tmp_path: Path) -> AsyncIterator[Make]:
    token = tmp_path / "token"
    token.write_text(f"{CANARY}\n")
    opened: list[Http] = []

    def build(plugins: tuple[Plugin, ...] = (), **changes: object) -> Forges:
        settings = ChartSettings(state=tmp_path / "charts", allow_http=True, allow_loopback=True)
        opened.append(Http(settings, clock=clock))
        row = ScmToken(secret_name="forge", key="token", file=token, url_prefix=server.url)
        aws = Aws(access_key_id_file=token, secret_access_key_file=token, endpoint=server.url)
        scm = replace(Scm(tokens=(row,), aws=aws), **changes)  # type: ignore[arg-type]  # fields by name
        return Forges(opened[-1], clock, scm=scm, plugins=plugins)

    yield build
    for http in opened:
        await http.close()


@pytest.fixture
def forges(make: Make) -> Forges:
    return make()


def forge(provider: str, server: Server, **rest: str) -> Forge:
    secret = {"secret": SECRET} if rest.pop("token", "") else {}
    return Forge(provider=provider, api=server.url, **{"owner": "acme", **rest}, **secret)  # type: ignore[arg-type]  # fields by name


def branches(of: Forge, branch: str = "", id_: str = "7") -> BranchesRequest:
    return BranchesRequest(forge=of, organization="acme", repository="web", id=id_, branch=branch)


def path(of: Forge, name: str, id_: str = "7") -> PathRequest:
    return PathRequest(forge=of, organization="acme", repository="web", id=id_, sha=SHA, path=name)


def row(name: str = "web", **rest: object) -> JsonObject:
    return {
        "organization": "acme",
        "repository": name,
        "id": "7",
        "ssh": f"git@example.com:acme/{name}.git",
        "https": f"https://example.com/acme/{name}.git",
        "branch": "main",
        "labels": [],
        **rest,
    }


PULL = {
    "number": "3",
    "title": "Add it",
    "branch": "feature/x",
    "target": "main",
    "sha": SHA,
    "author": "ann",
    "labels": ["preview"],
}

# GitHub


def github_repository(name: str = "web", **rest: object) -> JsonObject:
    return {
        "id": 7,
        "name": name,
        "full_name": f"acme/{name}",
        "owner": {"login": "acme", "id": 1},
        "ssh_url": f"git@example.com:acme/{name}.git",
        "clone_url": f"https://example.com/acme/{name}.git",
        "default_branch": "main",
        "topics": [],
        "archived": False,
        **rest,
    }


def github_pages(server: Server, second: Reply) -> RepositoriesRequest:
    link = '<{base}/api/v3/orgs/acme/repos?per_page=100&page=2>; rel="next", <{base}/x>; rel="last"'
    server.says(
        "/api/v3/orgs/acme/repos?per_page=100", [github_repository()], headers={"Link": link}
    )
    server.replies["/api/v3/orgs/acme/repos?per_page=100&page=2"] = second
    return RepositoriesRequest(forge=forge("github", server, token="yes"))


async def test_github_repositories_over_two_pages(server: Server, forges: Forges) -> None:
    second = Reply([github_repository("api", topics=["prod", "eu"])])
    rows = await forges.answer(github_pages(server, second))
    assert rows == (row(), row("api", labels=["prod", "eu"]))
    assert {request.headers["Authorization"] for request in server.asked} == {f"Bearer {CANARY}"}


HTML = "<html><body>We are down for maintenance</body></html>"


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (Reply(status=500, text="oops"), Transient, "answers 500"),
        (Reply(status=502, text=HTML), Transient, "answers 502"),
        (Reply(text=HTML), Transient, "something unexpected: it is no JSON"),
        (Reply({"message": "hm"}), Transient, "it is no list of objects"),
        (Reply([1]), Transient, "it is no list of objects"),
        (Reply([{"id": 1, "owner": {"login": "acme"}}]), Transient, "an answer lacks name"),
        (Reply(text='[{"id": 7'), Transient, "it is no JSON"),
        (Reply({"message": "Bad credentials"}, 401), Denied, "refused the token, or wants one (status 401)"),
        (Reply({"message": "Forbidden"}, 403), Denied, "(status 403)"),
        (Reply({"message": "no"}, 404), BadInput, "was not found"),
        (Reply([], 203), Denied, "(status 203)"),
        (Reply([], 302, {"Location": "https://elsewhere.example.com/"}), Denied, "redirects to another host"),
        (Reply([], headers={"Link": '<https://elsewhere.example.com/x>; rel="next"'}), Denied, "names another host for its next page"),
        (Reply([], headers={"X-Total-Count": "3"}), Transient, "gave 1 of 3 items"),
    ],
)  # fmt: skip
async def test_a_bad_second_page_fails_the_whole_answer(
    server: Server, forges: Forges, reply: Reply, error: type[FleetError], message: str
) -> None:
    request = github_pages(server, reply)
    if reply.status == 404:  # only then it might be a user's, who is asked for as well
        server.says("/api/v3/users/acme", {"message": "no"}, status=404)
    with pytest.raises(error) as caught:
        await forges.answer(request)
    assert message in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767225690"}, 90.0),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767229200"}, 3600.0),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": "1767225720"}, 120.0),
        (403, {"Retry-After": "300"}, 300.0),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "5"}, 1.0),
    ],
)
async def test_rate_limits_say_how_long(
    server: Server,
    forges: Forges,
    clock: QuickClock,
    status: int,
    headers: Mapping[str, str],
    wait: float,
) -> None:
    server.says("/api/v3/orgs/acme/repos", {"message": "limit"}, status=status, headers=headers)
    with pytest.raises(Transient, match="has had its limit of requests") as caught:
        await forges.answer(RepositoriesRequest(forge=forge("github", server)))
    # short waits pass within the request's own attempts, so the time that is left may be shorter
    assert caught.value.retry_after == pytest.approx(max(1.0, wait - sum(clock.waits)), abs=1)


async def test_a_passing_failure_is_tried_again(server: Server, forges: Forges) -> None:
    server.replies["/api/v3/orgs/acme/repos"] = [
        Reply(status=503, text=HTML),
        Reply([github_repository()]),
    ]
    assert await forges.answer(RepositoriesRequest(forge=forge("github", server))) == (row(),)


async def test_an_empty_list_is_an_answer(server: Server, forges: Forges) -> None:
    server.says("/api/v3/orgs/acme/repos", [])
    assert await forges.answer(RepositoriesRequest(forge=forge("github", server))) == ()


async def test_entity_tags_spare_the_content_and_belong_to_one_token(
    server: Server, forges: Forges
) -> None:
    server.says("/api/v3/orgs/acme/repos", [github_repository()], headers={"ETag": '"1"'})
    request = RepositoriesRequest(forge=forge("github", server))
    assert await forges.answer(request) == await forges.answer(request) == (row(),)
    tags = [item.headers.get("If-None-Match", "") for item in server.asked]
    assert tags == ["", '"1"']
    await forges.answer(RepositoriesRequest(forge=forge("github", server, token="yes")))
    assert "If-None-Match" not in server.asked[-1].headers


async def test_github_users_archived_branches_paths_and_pulls(
    server: Server, forges: Forges
) -> None:
    of = forge("github", server)
    server.says("/api/v3/users/acme", {"login": "acme"})
    listed = [github_repository(), github_repository("old", archived=True)]
    server.says("/api/v3/users/acme/repos", listed)
    request = RepositoriesRequest(forge=of, options=(("unarchived", "true"),))
    assert await forges.answer(request) == (row(),)

    repo = "/api/v3/repos/acme/web"
    found = {"name": "release/1", "commit": {"sha": SHA, "url": "x"}, "protected": False}
    server.says(f"{repo}/branches", [found])
    server.says(f"{repo}/branches/release%2F1", found)
    expected = ({"name": "release/1", "sha": SHA},)
    assert await forges.answer(branches(of)) == expected
    assert await forges.answer(branches(of, "release/1")) == expected
    assert await forges.answer(branches(of, "gone")) == ()

    server.says(f"{repo}/contents/kube/app?ref={SHA}", [{"name": "a.yaml", "type": "file"}])
    assert await forges.answer(path(of, "kube/app")) == ({"exists": True},)
    assert await forges.answer(path(of, "kube")) == ({"exists": False},)

    pull = {
        "number": 3,
        "title": "Add it",
        "head": {"ref": "feature/x", "sha": SHA},
        "base": {"ref": "main"},
        "user": {"login": "ann"},
        "labels": [{"name": "preview"}],
    }
    server.says(f"{repo}/pulls?state=open&per_page=100", [pull, {**pull, "labels": []}])
    asked = PullRequestsRequest(forge=of, repository="web", options=(("labels", "preview"),))
    assert await forges.answer(asked) == (PULL,)


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_a_path_that_cannot_be_asked_is_not_absent(
    server: Server, forges: Forges, status: int
) -> None:
    of = forge("github", server)
    server.says(f"/api/v3/repos/acme/web/contents/x?ref={SHA}", {}, status=status)
    with pytest.raises((Denied, Transient)):
        await forges.answer(path(of, "x"))


async def test_a_maintenance_page_is_no_path(server: Server, forges: Forges) -> None:
    server.says(f"/api/v3/repos/acme/web/contents/x?ref={SHA}", text=HTML)
    with pytest.raises(Transient, match="no JSON"):
        await forges.answer(path(forge("github", server), "x"))


# GitLab


async def test_gitlab(server: Server, forges: Forges) -> None:
    of = forge("gitlab", server, token="yes", owner="acme/sub")
    project = {
        "id": 7,
        "path": "web",
        "name": "The Web",
        "namespace": {"full_path": "acme"},
        "ssh_url_to_repo": "git@example.com:acme/web.git",
        "http_url_to_repo": "https://example.com/acme/web.git",
        "default_branch": "main",
        "topics": ["eu"],
    }
    query = "per_page=100&include_subgroups=true&with_shared=true&topic=t&archived=false"
    server.says(f"/api/v4/groups/acme%2Fsub/projects?{query}", [project])
    options = (("subgroups", "true"), ("topic", "t"))
    request = RepositoriesRequest(forge=of, options=options)
    assert await forges.answer(request) == (row(labels=["eu"]),)
    assert server.asked[0].headers["PRIVATE-TOKEN"] == CANARY

    found = {"name": "main", "commit": {"id": SHA}}
    server.says("/api/v4/projects/7/repository/branches", [found])
    server.says("/api/v4/projects/7/repository/branches/main", found)
    assert await forges.answer(branches(of)) == ({"name": "main", "sha": SHA},)
    assert await forges.answer(branches(of, "main")) == ({"name": "main", "sha": SHA},)
    assert await forges.answer(branches(of, "gone")) == ()

    tree = f"/api/v4/projects/7/repository/tree?ref={SHA}&per_page=100"
    server.says(f"{tree}&path=kube", [{"path": "kube/app", "type": "tree"}])
    server.says(tree, [{"path": "README.md", "type": "blob"}])
    exists = {
        name: (await forges.answer(path(of, name)))[0]["exists"]
        for name in ("kube/app", "kube/other", "README.md", "gone/x")
    }
    assert exists == {"kube/app": True, "kube/other": False, "README.md": True, "gone/x": False}

    merge = {
        "iid": 3,
        "title": "Add it",
        "source_branch": "feature/x",
        "target_branch": "main",
        "sha": SHA,
        "author": {"username": "ann"},
        "labels": ["preview"],
    }
    base = "/api/v4/projects/acme%2Fweb/merge_requests"
    server.says(f"{base}?per_page=100&labels=a,b&state=opened", [merge])
    chosen = (("labels", "a\nb"), ("state", "opened"))
    asked = PullRequestsRequest(forge=of, repository="acme/web", options=chosen)
    assert await forges.answer(asked) == (PULL,)


# Gitea


async def test_gitea(server: Server, forges: Forges) -> None:
    of = forge("gitea", server, token="yes")
    found = {**github_repository(), "empty": False}
    link = '<{base}/api/v1/orgs/acme/repos?limit=50&page=2>; rel="next"'
    server.says("/api/v1/orgs/acme/repos?limit=50", [found], headers={"Link": link})
    empty = {**github_repository("new"), "empty": True}
    server.says("/api/v1/orgs/acme/repos?limit=50&page=2", [empty])
    server.says("/api/v1/repos/acme/web/labels?limit=50", [{"id": 1, "name": "kind/bug"}])
    rows = await forges.answer(RepositoriesRequest(forge=of))
    assert rows == (row(labels=["kind/bug"]),)
    assert server.asked[0].headers["Authorization"] == f"token {CANARY}"

    item = {"name": "main", "commit": {"id": SHA}}
    server.says("/api/v1/repos/acme/web/branches", [item])
    server.says("/api/v1/repos/acme/web/branches/main", item)
    assert await forges.answer(branches(of)) == ({"name": "main", "sha": SHA},)
    assert await forges.answer(branches(of, "main")) == ({"name": "main", "sha": SHA},)
    server.says(f"/api/v1/repos/acme/web/contents/a%20b/c?ref={SHA}", {"type": "file"})
    assert await forges.answer(path(of, "a b/c")) == ({"exists": True},)
    assert await forges.answer(path(of, "c")) == ({"exists": False},)

    pull = {
        "number": 3,
        "title": "Add it",
        "head": {"ref": "feature/x", "sha": SHA},
        "base": {"ref": "main"},
        "user": {"login": "ann"},
        "labels": [{"name": "preview"}],
    }
    server.says("/api/v1/repos/acme/web/pulls?state=open&limit=50", [pull])
    assert await forges.answer(PullRequestsRequest(forge=of, repository="web")) == (PULL,)


# Bitbucket Cloud


async def test_bitbucket_cloud(server: Server, forges: Forges) -> None:
    of = forge("bitbucket", server, token="yes", user="ann")
    item = {
        "uuid": "7",
        "slug": "web",
        "mainbranch": {"name": "main"},
        "links": {
            "clone": [
                {"name": "https", "href": "https://ann@example.com/acme/web.git"},
                {"name": "ssh", "href": "git@example.com:acme/web.git"},
            ]
        },
    }
    server.says(
        "/repositories/acme?pagelen=100&role=member",
        {"values": [item], "next": "{base}/repositories/acme?page=2"},
    )
    server.says("/repositories/acme?page=2", {"values": []})
    assert await forges.answer(RepositoriesRequest(forge=of)) == (row(),)
    expected = "Basic " + base64.b64encode(f"ann:{CANARY}".encode()).decode()
    assert {request.headers["Authorization"] for request in server.asked} == {expected}

    found = {"name": "main", "target": {"hash": SHA}}
    server.says("/repositories/acme/web/refs/branches", {"values": [found]})
    server.says("/repositories/acme/web/refs/branches/main", found)
    assert await forges.answer(branches(of)) == ({"name": "main", "sha": SHA},)
    assert await forges.answer(branches(of, "main")) == ({"name": "main", "sha": SHA},)
    server.says(f"/repositories/acme/web/src/{SHA}/a?format=meta", {"type": "commit_file"})
    assert await forges.answer(path(of, "a")) == ({"exists": True},)
    pull = {
        "id": 3,
        "title": "Add it",
        "source": {"branch": {"name": "feature/x"}, "commit": {"hash": SHA}},
        "destination": {"branch": {"name": "main"}},
        "author": {"nickname": "ann"},
    }
    server.says("/repositories/acme/web/pullrequests?pagelen=50&state=OPEN", {"values": [pull]})
    rows = await forges.answer(PullRequestsRequest(forge=of, repository="web"))
    assert rows == ({**PULL, "labels": []},)


async def test_bitbucket_cloud_next_page_elsewhere(server: Server, forges: Forges) -> None:
    server.says("/repositories/acme", {"values": [], "next": "https://elsewhere.example.com/2"})
    with pytest.raises(Denied, match="names another host"):
        await forges.answer(RepositoriesRequest(forge=forge("bitbucket", server, token="yes")))


# Bitbucket Server


async def test_bitbucket_server(server: Server, forges: Forges) -> None:
    of = forge("bitbucketServer", server, token="yes")
    base = "/rest/api/1.0/projects/acme/repos"
    item = {
        "id": 7,
        "slug": "web",
        "project": {"key": "acme"},
        "links": {
            "clone": [
                {"name": "http", "href": "https://example.com/acme/web.git"},
                {"name": "ssh", "href": "git@example.com:acme/web.git"},
            ]
        },
    }
    more = {"isLastPage": False, "nextPageStart": 100}
    server.says(f"{base}?limit=100", {"values": [item], **more})
    server.says(f"{base}?limit=100&start=100", {"values": [], "isLastPage": True})
    rows = await forges.answer(RepositoriesRequest(forge=of))
    assert rows == (row(branch="HEAD"),)
    assert server.asked[0].headers["Authorization"] == f"Bearer {CANARY}"

    found = {"displayId": "main", "latestCommit": SHA, "isDefault": True}
    server.says(f"{base}/web/branches?limit=100", {"values": [found], "isLastPage": True})
    server.says(f"{base}/web/branches/default", found)
    assert await forges.answer(branches(of)) == ({"name": "main", "sha": SHA},)
    assert await forges.answer(branches(of, "HEAD")) == ({"name": "main", "sha": SHA},)
    server.says(f"{base}/web/branches/default", status=204, text=" ")
    assert await forges.answer(branches(of, "HEAD")) == ()
    server.says(f"{base}/web/browse/a?at={SHA}&type=true", {"type": "FILE"})
    assert await forges.answer(path(of, "a")) == ({"exists": True},)
    pull = {
        "id": 3,
        "title": "Add it",
        "fromRef": {"displayId": "feature/x", "latestCommit": SHA},
        "toRef": {"displayId": "main"},
        "author": {"user": {"name": "ann"}},
    }
    server.says(f"{base}/web/pull-requests", {"values": [pull], "isLastPage": True})
    rows = await forges.answer(PullRequestsRequest(forge=of, repository="web"))
    assert rows == ({**PULL, "labels": []},)


async def test_bitbucket_server_without_an_end_mark_is_no_whole(
    server: Server, forges: Forges
) -> None:
    server.says("/rest/api/1.0/projects/acme/repos", {"values": []})
    with pytest.raises(Transient, match="lacks nextPageStart"):
        await forges.answer(RepositoriesRequest(forge=forge("bitbucketServer", server)))


# Azure DevOps


async def test_azure_devops(server: Server, forges: Forges) -> None:
    of = forge("azureDevOps", server, token="yes", project="my project")
    base = "/acme/my%20project/_apis/git/repositories"
    item = {
        "id": "7",
        "name": "web",
        "remoteUrl": "https://example.com/acme/web.git",
        "sshUrl": "git@example.com:acme/web.git",
        "defaultBranch": "refs/heads/main",
    }
    off = {**item, "name": "off", "isDisabled": True}
    server.says(f"{base}?api-version=7.0", {"value": [item, off], "count": 2})
    assert await forges.answer(RepositoriesRequest(forge=of)) == (row(),)
    expected = "Basic " + base64.b64encode(f":{CANARY}".encode()).decode()
    assert server.asked[0].headers["Authorization"] == expected

    refs = [{"name": f"refs/heads/{name}", "objectId": SHA} for name in ("main", "main-2")]
    first = f"{base}/7/refs?filter=heads/main&$top=1000&api-version=7.0"
    server.says(first, {"value": refs[:1]}, headers={"x-ms-continuationtoken": "t"})
    server.says(f"{first}&continuationToken=t", {"value": refs[1:]})
    assert await forges.answer(branches(of, "main")) == ({"name": "main", "sha": SHA},)
    server.says(f"{base}/7/refs", {"value": refs})
    assert [found["name"] for found in await forges.answer(branches(of))] == ["main", "main-2"]

    server.says(f"{base}/7/items", {"path": "/a"})
    assert await forges.answer(path(of, "a")) == ({"exists": True},)
    pull = {
        "pullRequestId": 3,
        "title": "Add it",
        "sourceRefName": "refs/heads/feature/x",
        "targetRefName": "refs/heads/main",
        "lastMergeSourceCommit": {"commitId": SHA},
        "createdBy": {"uniqueName": "ann@example.com"},
        "labels": [{"name": "preview"}],
    }
    server.replies[f"{base}/web/pullrequests"] = [Reply({"value": [pull]}), Reply({"value": []})]
    asked = PullRequestsRequest(
        forge=replace(of, provider="azuredevops"),
        repository="web",
        options=(("labels", "preview"),),
    )
    assert await forges.answer(asked) == (PULL,)


# AWS CodeCommit

COMMIT = "CodeCommit_20150413"


def commit_repository(server: Server) -> None:
    found = {
        "accountId": "acme",
        "repositoryId": "7",
        "repositoryName": "web",
        "cloneUrlSsh": "git@example.com:acme/web.git",
        "cloneUrlHttp": "https://example.com/acme/web.git",
        "defaultBranch": "main",
    }
    server.says(f"{COMMIT}.BatchGetRepositories", {"repositories": [found]})


def commit_forge(server: Server) -> Forge:
    return replace(forge("awsCodeCommit", server), api="", owner="eu-west-1")


async def test_codecommit(server: Server, forges: Forges) -> None:
    of = commit_forge(server)
    commit_repository(server)
    server.replies[f"{COMMIT}.ListRepositories"] = [
        Reply({"repositories": [], "nextToken": "t"}),
        Reply({"repositories": [{"repositoryName": "web"}]}),
    ]
    assert await forges.answer(RepositoriesRequest(forge=of)) == (row(),)
    assert [body.get("nextToken") for body in server.bodies[:2]] == [None, "t"]
    signed = server.asked[0].headers["Authorization"]
    assert signed.startswith(
        f"AWS4-HMAC-SHA256 Credential={CANARY}/20260101/eu-west-1/codecommit/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
    )

    server.says(f"{COMMIT}.ListBranches", {"branches": ["main"]})
    server.says(f"{COMMIT}.GetBranch", {"branch": {"branchName": "main", "commitId": SHA}})
    assert await forges.answer(branches(of)) == ({"name": "main", "sha": SHA},)
    assert await forges.answer(branches(of, "main")) == ({"name": "main", "sha": SHA},)
    folder = {"files": [{"absolutePath": "kube/app"}], "subFolders": []}
    server.says(f"{COMMIT}.GetFolder", folder)
    assert await forges.answer(path(of, "kube/app")) == ({"exists": True},)
    assert await forges.answer(path(of, "kube/no")) == ({"exists": False},)
    server.says(f"{COMMIT}.GetFolder", {"__type": "FolderDoesNotExistException"}, status=400)
    assert await forges.answer(path(of, "gone/no")) == ({"exists": False},)


async def test_codecommit_by_tags(server: Server, forges: Forges) -> None:
    commit_repository(server)
    arn = {"ResourceARN": "arn:aws:codecommit:eu-west-1:1:web"}
    target = "ResourceGroupsTaggingAPI_20170126.GetResources"
    server.says(target, {"ResourceTagMappingList": [arn], "PaginationToken": ""})
    options = (("tag:a", "b"), ("tag:c", "*"))
    request = RepositoriesRequest(forge=commit_forge(server), options=options)
    assert await forges.answer(request) == (row(),)
    filters = [{"Key": "a", "Values": ["b"]}, {"Key": "c"}]
    assert server.bodies[0]["TagFilters"] == filters


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("com.amazonaws#ThrottlingException", Transient),
        ("UnrecognizedClientException", Denied),
        ("AccessDeniedException", Denied),
        ("RepositoryDoesNotExistException", NotFound),
        ("SomethingElse", Transient),
    ],
)
async def test_codecommit_errors(
    server: Server, forges: Forges, kind: str, error: type[FleetError]
) -> None:
    server.says(f"{COMMIT}.ListRepositories", {"__type": kind}, status=400)
    with pytest.raises(error):
        await forges.answer(RepositoriesRequest(forge=commit_forge(server)))


async def test_codecommit_that_lost_a_repository_is_no_whole(
    server: Server, forges: Forges
) -> None:
    names = [{"repositoryName": name} for name in ("web", "api")]
    server.says(f"{COMMIT}.ListRepositories", {"repositories": names})
    commit_repository(server)
    with pytest.raises(Transient, match="gave 1 of 2 repositories"):
        await forges.answer(RepositoriesRequest(forge=commit_forge(server)))


# Settings


async def test_what_settings_do_not_allow(server: Server, make: Make) -> None:
    request = RepositoriesRequest(forge=forge("github", server, token="yes"))
    with pytest.raises(Denied, match="scm providers are disabled"):
        await make(enabled=False).answer(request)
    with pytest.raises(Denied, match="not allowed, must use one of the following"):
        await make(allowed=("https://api.github.com",)).answer(request)
    with pytest.raises(BadInput, match=r"secret 'forge/token' has no file .*scm.tokens"):
        await make(tokens=()).answer(request)
    assert server.asked == []


async def test_a_token_goes_to_its_own_api_only(server: Server, make: Make, tmp_path: Path) -> None:
    token = ScmToken(
        secret_name="forge",
        key="token",
        file=tmp_path / "token",
        url_prefix="https://api.github.com",
    )
    with pytest.raises(Denied, match=r"secret 'forge/token' is not for"):
        await make(tokens=(token,)).answer(
            RepositoriesRequest(forge=forge("github", server, token="yes"))
        )
    assert server.asked == []


@pytest.mark.parametrize("text", [None, "", "\n"])
async def test_a_token_file_that_is_no_token(
    server: Server, forges: Forges, tmp_path: Path, text: str | None
) -> None:
    (tmp_path / "token").unlink()
    if text is not None:
        (tmp_path / "token").write_text(text)
    with pytest.raises(Denied, match="token file"):
        await forges.answer(RepositoriesRequest(forge=forge("github", server, token="yes")))


async def test_an_answer_that_takes_too_long(server: Server, make: Make) -> None:
    link = {"Link": '<{base}/api/v3/orgs/acme/repos?again>; rel="next"'}
    server.says("/api/v3/orgs/acme/repos", [], headers=link)
    forges = make(timeout=timedelta(seconds=0.1))
    with pytest.raises(Transient, match="repositories of github acme took longer than"):
        await forges.answer(RepositoriesRequest(forge=forge("github", server)))


# Plugins


def plugin(server: Server, tmp_path: Path) -> Plugin:
    return Plugin(name="rows", base_url=f"{server.url}/base/", token_file=tmp_path / "token")


PLUGIN = PluginRequest(config="rows", appset="set", parameters=b'{"a":1}')


async def test_a_plugin(server: Server, make: Make, tmp_path: Path) -> None:
    forges = make(plugins=(plugin(server, tmp_path),))
    server.says(
        "/base/api/v1/getparams.execute", {"output": {"parameters": [{"name": "x"}, {"n": 1}]}}
    )
    assert await forges.answer(PLUGIN) == ({"name": "x"}, {"n": 1})
    assert server.asked[0].headers["Authorization"] == f"Bearer {CANARY}"
    assert server.bodies == [{"applicationSetName": "set", "input": {"parameters": {"a": 1}}}]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(text=HTML), Transient),
        (Reply({}), Transient),
        (Reply({"output": {}}), Transient),
        (Reply({"output": {"parameters": None}}), Transient),
        (Reply({"output": {"parameters": ["x"]}}), Transient),
        (Reply({}, 400), BadInput),
        (Reply({}, 401), Denied),
        (Reply({}, 404), BadInput),
        (Reply({}, 500), Transient),
        (Reply({}, 307, {"Location": "/elsewhere"}), Denied),
    ],
)
async def test_a_plugin_that_fails(
    server: Server, make: Make, tmp_path: Path, reply: Reply, error: type[FleetError]
) -> None:
    server.replies["/base/api/v1/getparams.execute"] = reply
    with pytest.raises(error):
        await make(plugins=(plugin(server, tmp_path),)).answer(PLUGIN)


async def test_a_plugin_that_nobody_configured(forges: Forges) -> None:
    with pytest.raises(BadInput, match=r'ConfigMap "rows" not found .*under plugins') as caught:
        await forges.answer(PLUGIN)
    assert caught.value.reason == "NotConfigured"
