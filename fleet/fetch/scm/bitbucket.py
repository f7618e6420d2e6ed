"""Bitbucket Cloud."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping

from fleet.codec.jsontypes import JsonObject
from fleet.fetch.http import Answer
from fleet.fetch.scm.client import NotFound, maybe, quoted, quoted_path, text
from fleet.fetch.scm.provider import Provider, branch, pull_request, repository
from fleet.model.answers import (
    BranchesRequest,
    PathRequest,
    PullRequestsRequest,
    RepositoriesRequest,
)

PUBLIC = "https://api.bitbucket.org/2.0"
_USER = re.compile(r"^(https?://)[^/@]*@")


def base(api: str) -> str:
    """Return the API's URL."""
    return api or PUBLIC


class Bitbucket(Provider):
    """The REST API, version 2; an owner is a workspace."""

    def _pages(self, path: str, query: Mapping[str, str]) -> AsyncIterator[JsonObject]:
        return self.api.paged(path, query, items="values", more=_more)

    async def repositories(self, request: RepositoriesRequest) -> list[JsonObject]:
        path = quoted("repositories", request.forge.owner)
        found = self._pages(path, {"pagelen": "100", "role": "member"})
        return [
            repository(
                organization=request.forge.owner,
                name=text(item, "slug"),
                id_=text(item, "uuid"),
                ssh=clone_url(item, "ssh"),
                https=clone_url(item, "https"),
                branch=maybe(item, "mainbranch", "name"),
            )
            async for item in found
        ]

    async def branches(self, request: BranchesRequest) -> list[JsonObject]:
        path = quoted("repositories", request.organization, request.repository)
        path += "/refs/branches"
        if not request.branch:
            return [
                branch(text(item, "name"), text(item, "target", "hash"))
                async for item in self._pages(path, {"pagelen": "100"})
            ]
        try:
            found = await self.api.json(f"{path}/{quoted_path(request.branch)}")
        except NotFound:
            return []
        return [branch(text(found, "name"), text(found, "target", "hash"))]

    async def has_path(self, request: PathRequest) -> bool:
        path = quoted("repositories", request.organization, request.repository, "src", request.sha)
        return await self.api.exists(f"{path}/{quoted_path(request.path)}", {"format": "meta"})

    async def pull_requests(self, request: PullRequestsRequest) -> list[JsonObject]:
        path = quoted("repositories", request.forge.owner, request.repository, "pullrequests")
        return [
            pull_request(
                number=text(item, "id"),
                title=text(item, "title"),
                source=text(item, "source", "branch", "name"),
                target=text(item, "destination", "branch", "name"),
                sha=text(item, "source", "commit", "hash"),
                author=maybe(item, "author", "nickname"),
            )
            async for item in self._pages(path, {"pagelen": "50", "state": "OPEN"})
        ]


def _more(page: JsonObject, _answer: Answer) -> str | None:
    following = page.get("next")
    return following if isinstance(following, str) and following else None


def clone_url(item: JsonObject, *protocols: str) -> str:
    """Return the link for a protocol, without a user's name in it; empty where there is none."""
    links = item.get("links")
    clones = links.get("clone") if isinstance(links, dict) else None
    for link in clones if isinstance(clones, list) else ():
        if isinstance(link, dict) and link.get("name") in protocols:
            return _USER.sub(r"\1", text(link, "href"))
    return ""
