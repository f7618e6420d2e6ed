"""GitHub, and GitHub Enterprise Server."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.fetch.scm.client import NotFound, maybe, names, quoted, quoted_path, text, texts
from fleet.fetch.scm.provider import Provider, branch, has_labels, pull_request, repository
from fleet.model.answers import (
    BranchesRequest,
    PathRequest,
    PullRequestsRequest,
    RepositoriesRequest,
    option,
)

PUBLIC = "https://api.github.com"


def base(api: str) -> str:
    """Return the API's URL: Enterprise has it below a path, unless the host is made for it."""
    if not api:
        return PUBLIC
    host = api.partition("://")[2].partition("/")[0]
    if api.endswith("/api/v3") or host.startswith("api.") or ".api." in host:
        return api
    return f"{api}/api/v3"


class GitHub(Provider):
    """The REST API, version 3."""

    async def repositories(self, request: RepositoriesRequest) -> list[JsonObject]:
        owner = request.forge.owner
        try:
            return await self._list("orgs", request)
        except NotFound:
            # A user has repositories too, under another address.
            if not await self.api.exists(quoted("users", owner)):
                raise
            return await self._list("users", request)

    async def _list(self, kind: str, request: RepositoriesRequest) -> list[JsonObject]:
        path = quoted(kind, request.forge.owner, "repos")
        skip = option(request.options, "unarchived") == "true"
        return [
            repository(
                organization=text(item, "owner", "login"),
                name=text(item, "name"),
                id_=text(item, "id"),
                ssh=text(item, "ssh_url"),
                https=text(item, "clone_url"),
                branch=maybe(item, "default_branch"),
                labels=texts(item.get("topics")),
            )
            async for item in self.api.linked(path, {"per_page": "100"})
            if not (skip and item.get("archived"))
        ]

    async def branches(self, request: BranchesRequest) -> list[JsonObject]:
        path = quoted("repos", request.organization, request.repository, "branches")
        if not request.branch:
            return [
                branch(text(item, "name"), text(item, "commit", "sha"))
                async for item in self.api.linked(path, {"per_page": "100"})
            ]
        try:
            found = await self.api.json(f"{path}/{quoted(request.branch)}")
        except NotFound:
            return []  # an empty repository has a default branch that is not there
        return [branch(text(found, "name"), text(found, "commit", "sha"))]

    async def has_path(self, request: PathRequest) -> bool:
        path = quoted("repos", request.organization, request.repository, "contents")
        return await self.api.exists(f"{path}/{quoted_path(request.path)}", {"ref": request.sha})

    async def pull_requests(self, request: PullRequestsRequest) -> list[JsonObject]:
        path = quoted("repos", request.forge.owner, request.repository, "pulls")
        rows = [
            pull_request(
                number=text(item, "number"),
                title=text(item, "title"),
                source=text(item, "head", "ref"),
                target=text(item, "base", "ref"),
                sha=text(item, "head", "sha"),
                author=maybe(item, "user", "login"),
                labels=names(item.get("labels")),
            )
            async for item in self.api.linked(path, {"state": "open", "per_page": "100"})
        ]
        wanted = option(request.options, "labels")
        return [row for row in rows if has_labels(row, wanted)]
