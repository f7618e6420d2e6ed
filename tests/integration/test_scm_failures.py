"""Whatever goes wrong on any page of any forge fails the whole answer, says what to do, and shows no token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonValue
from fleet.errors import BadInput, Denied, FleetError, Transient
from fleet.fetch.scm import client
from fleet.fetch.scm.forges import Forges
from fleet.model.answers import AnswerRequest, PullRequestsRequest, RepositoriesRequest
from tests.integration.test_scm_providers import (
    CANARY,
    COMMIT,
    HTML,
    PLUGIN,
    Make,
    Reply,
    Server,
    clock,
    commit_forge,
    forge,
    forges,
    github_repository,
    make,
    plugin,
    server,
)

__all__ = ["clock", "forges", "make", "server"]


@dataclass(frozen=True)
class Listing:
    """One kind of list of one forge: where it is, and its pages without anything in them."""

    provider: str
    path: str
    empty: JsonValue
    more: JsonValue
    pulls: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.provider} {'pulls' if self.pulls else 'repositories'}"

    def request(self, server: Server) -> AnswerRequest:
        if self.provider == "awsCodeCommit":
            return RepositoriesRequest(forge=commit_forge(server))
        of = forge(self.provider, server, token="yes", project="p")
        return (
            PullRequestsRequest(forge=of, repository="web")
            if self.pulls
            else RepositoriesRequest(forge=of)
        )

    def first(self) -> Reply:
        """A page after which another one comes."""
        return Reply(self.more, headers=dict(self.headers))


def linked(provider: str, path: str, *, pulls: bool = False) -> Listing:
    link = (("Link", f'<{{base}}{path}?page=2>; rel="next"'),)
    return Listing(provider, path, [], [], pulls, link)


def cloud(path: str, *, pulls: bool = False) -> Listing:
    more = {"values": [], "next": f"{{base}}{path}?page=2"}
    return Listing("bitbucket", path, {"values": []}, more, pulls)


def data_center(path: str, *, pulls: bool = False) -> Listing:
    more = {"values": [], "isLastPage": False, "nextPageStart": 9}
    return Listing("bitbucketServer", path, {"values": [], "isLastPage": True}, more, pulls)


AZURE = "/acme/p/_apis/git/repositories"
AZURE_PULL = {
    "pullRequestId": 3,
    "title": "t",
    "sourceRefName": "refs/heads/x",
    "targetRefName": "refs/heads/main",
    "lastMergeSourceCommit": {"commitId": "0" * 40},
}
LISTINGS = [
    linked("github", "/api/v3/orgs/acme/repos"),
    linked("github", "/api/v3/repos/acme/web/pulls", pulls=True),
    linked("gitlab", "/api/v4/groups/acme/projects"),
    linked("gitlab", "/api/v4/projects/web/merge_requests", pulls=True),
    linked("gitea", "/api/v1/orgs/acme/repos"),
    linked("gitea", "/api/v1/repos/acme/web/pulls", pulls=True),
    cloud("/repositories/acme"),
    cloud("/repositories/acme/web/pullrequests", pulls=True),
    data_center("/rest/api/1.0/projects/acme/repos"),
    data_center("/rest/api/1.0/projects/acme/repos/web/pull-requests", pulls=True),
    Listing(
        "azureDevOps",
        AZURE,
        {"value": []},
        {"value": []},
        False,
        (("x-ms-continuationtoken", "t"),),
    ),
    Listing(
        "azuredevops", f"{AZURE}/web/pullrequests", {"value": []}, {"value": [AZURE_PULL]}, True
    ),
    Listing(
        "awsCodeCommit",
        f"{COMMIT}.ListRepositories",
        {"repositories": []},
        {"repositories": [], "nextToken": "t"},
    ),
]
SAID = f'{{"message": "token {CANARY} is bad"}}'
LIMIT = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767229200"}
FAILURES = {
    "401": (Reply(status=401, text=SAID), Denied),
    "403": (Reply(status=403, text=SAID), Denied),
    "403 limit": (Reply(status=403, text=SAID, headers=LIMIT), Transient),
    "429": (Reply(status=429, text=SAID), Transient),
    "500": (Reply(status=500, text=SAID), Transient),
    "html": (Reply(text=HTML + CANARY), Transient),
    "cut": (Reply(text="[{"), Transient),
    "another shape": (Reply({"message": CANARY}), Transient),
    "null": (Reply(text="null"), Transient),
    "NaN": (Reply(text='[{"id": NaN}]'), Transient),
    "redirect": (
        Reply(status=302, headers={"Location": f"https://x.example.com/{CANARY}"}),
        Denied,
    ),
}


@pytest.mark.parametrize(
    ("failure", "page"), [*((name, 2) for name in FAILURES), ("401", 1), ("500", 1), ("html", 1)]
)
@pytest.mark.parametrize("listing", LISTINGS, ids=str)
async def test_a_page_that_fails_fails_the_answer(
    server: Server, forges: Forges, listing: Listing, failure: str, page: int
) -> None:
    reply, error = FAILURES[failure]
    server.replies[listing.path] = [listing.first(), reply] if page == 2 else reply
    with pytest.raises(error) as caught:
        await forges.answer(listing.request(server))
    assert isinstance(caught.value, FleetError)
    assert CANARY not in str(caught.value)
    assert len(server.asked) >= page


@pytest.mark.parametrize("listing", LISTINGS, ids=str)
async def test_an_empty_list_is_an_answer_of_every_forge(
    server: Server, forges: Forges, listing: Listing
) -> None:
    server.replies[listing.path] = Reply(listing.empty)
    assert await forges.answer(listing.request(server)) == ()


PULL = {
    "number": 3,
    "title": "Add it",
    "head": {"ref": "x", "sha": "0" * 40},
    "base": {"ref": "main"},
    "labels": [{"name": "preview"}, {"name": 5}, {"name": {}}, {}, "x"],
}


@pytest.mark.parametrize("number", ["abc", "-1", "9" * 5000, "\u0663", True, None, 1.5, {}])
async def test_a_number_of_a_pull_request_is_one(
    server: Server, forges: Forges, number: JsonValue
) -> None:
    server.says("/api/v3/repos/acme/web/pulls", [{**PULL, "number": number}])
    with pytest.raises(Transient, match="an answer"):
        await forges.answer(PullRequestsRequest(forge=forge("github", server), repository="web"))


async def test_labels_are_texts(server: Server, forges: Forges) -> None:
    server.says("/api/v3/repos/acme/web/pulls", [PULL])
    (row,) = await forges.answer(
        PullRequestsRequest(forge=forge("github", server), repository="web")
    )
    assert row["labels"] == ["preview"]


async def test_half_a_character_is_no_text(server: Server, forges: Forges) -> None:
    text = '[{"number": 3, "title": "\\ud800", "head": {"ref": "x", "sha": "0"}, "base": {"ref": "m"}}]'
    server.says("/api/v3/repos/acme/web/pulls", text=text)
    with pytest.raises(Transient, match="no JSON"):
        await forges.answer(PullRequestsRequest(forge=forge("github", server), repository="web"))


async def test_pages_together_have_a_limit(
    server: Server, forges: Forges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_BYTES", 10_000)
    link = {"Link": '<{base}/api/v3/orgs/acme/repos?page=2>; rel="next"'}
    server.says("/api/v3/orgs/acme/repos", [github_repository()], headers=link)
    with pytest.raises(BadInput, match="more than 10000 bytes"):
        await forges.answer(RepositoriesRequest(forge=forge("github", server)))
    assert len(server.asked) < 100


async def test_a_plugin_whose_rows_are_too_deep(server: Server, make: Make, tmp_path: Path) -> None:
    deep: JsonValue = 1
    for _ in range(300):
        deep = [deep]
    server.says("/base/api/v1/getparams.execute", {"output": {"parameters": [{"a": deep}]}})
    with pytest.raises(Transient, match="nested more than"):
        await make(plugins=(plugin(server, tmp_path),)).answer(PLUGIN)
