"""Bitbucket Server and Data Center."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from fleet.codec.jsontypes import JsonObject
from fleet.fetch.http import Answer
from fleet.fetch.scm.bitbucket import clone_url
from fleet.fetch.scm.client import NotFound, as_object, maybe, parsed, quoted, quoted_path, text
from fleet.fetch.scm.provider import HEAD, Provider, branch, pull_request, repository
from fleet.model.answers import (
    BranchesRequest,
    PathRequest,
    PullRequestsRequest,
    RepositoriesRequest,
)

_PAGE = {"limit": "100"}


def base(api: str) -> str:
    """Return the API's URL; there is no public one."""
    if not api:
        return ""
    return f"{api}/api/1.0" if api.endswith("/rest") else f"{api}/rest/api/1.0"


class BitbucketServer(Provider):
    """The REST API, version 1.0; an owner is a project's key."""

    def _pages(self, path: str, query: Mapping[str, str] = _PAGE) -> AsyncIterator[JsonObject]:
        return self.api.paged(path, query, items="values", more=_more)

    async def repositories(self, request: RepositoriesRequest) -> list[JsonObject]:
        return [
            repository(
                organization=text(item, "project", "key"),
                name=text(item, "slug"),
                id_=text(item, "id"),
                ssh=clone_url(item, "ssh"),
                https=clone_url(item, "http", "https"),
                branch=HEAD,
            )
            async for item in self._pages(quoted("projects", request.forge.owner, "repos"))
        ]

    async def branches(self, request: BranchesRequest) -> list[JsonObject]:
        path = quoted("projects", request.organization, "repos", request.repository, "branches")
        if not request.branch:
            return [_branch(item) async for item in self._pages(path)]
        try:
            answer = await self.api.get(self.api.url(f"{path}/default"))
        except NotFound:
            return []
        if answer.status == 204:
            return []  # the repository is empty
        return [_branch(as_object(parsed(answer), answer.url))]

    async def has_path(self, request: PathRequest) -> bool:
        path = quoted("projects", request.organization, "repos", request.repository, "browse")
        query = {"at": request.sha, "type": "true"}
        return await self.api.exists(f"{path}/{quoted_path(request.path)}", query)

    async def pull_requests(self, request: PullRequestsRequest) -> list[JsonObject]:
        owner, name = request.forge.owner, request.repository
        path = quoted("projects", owner, "repos", name, "pull-requests")
        return [
            pull_request(
                number=text(item, "id"),
                title=text(item, "title"),
                source=text(item, "fromRef", "displayId"),
                target=text(item, "toRef", "displayId"),
                sha=text(item, "fromRef", "latestCommit"),
                author=maybe(item, "author", "user", "name"),
            )
            async for item in self._pages(path, {**_PAGE, "state": "OPEN"})
        ]


def _branch(item: JsonObject) -> JsonObject:
    return branch(text(item, "displayId"), text(item, "latestCommit"))


def _more(page: JsonObject, _answer: Answer) -> Mapping[str, str] | None:
    # A page without the mark is no last page: then the next one's number is missed with an error.
    return None if page.get("isLastPage") is True else {"start": text(page, "nextPageStart")}
