"""Gitea, and Forgejo, which has the same API."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.fetch.scm.client import NotFound, maybe, names, quoted, quoted_path, text
from fleet.fetch.scm.provider import Provider, branch, has_labels, pull_request, repository
from fleet.model.answers import (
    BranchesRequest,
    PathRequest,
    PullRequestsRequest,
    RepositoriesRequest,
    option,
)

_PAGE = {"limit": "50"}


def base(api: str) -> str:
    """Return the API's URL; there is no public one."""
    return api if api.endswith("/api/v1") or not api else f"{api}/api/v1"


class Gitea(Provider):
    """The REST API, version 1. A repository's labels are those that its issues may have, as in Argo CD."""

    async def repositories(self, request: RepositoriesRequest) -> list[JsonObject]:
        try:
            found = await self._list("orgs", request)
        except NotFound:
            found = await self._list("users", request)
        return found

    async def _list(self, kind: str, request: RepositoriesRequest) -> list[JsonObject]:
        skip = option(request.options, "unarchived") == "true"
        path = quoted(kind, request.forge.owner, "repos")
        items = [
            item
            async for item in self.api.linked(path, _PAGE)
            if not item.get("empty") and not (skip and item.get("archived"))
        ]
        return [await self._row(item) for item in items]

    async def _row(self, item: JsonObject) -> JsonObject:
        owner, name = text(item, "owner", "login"), text(item, "name")
        labels = self.api.linked(quoted("repos", owner, name, "labels"), _PAGE)
        return repository(
            organization=owner,
            name=name,
            id_=text(item, "id"),
            ssh=text(item, "ssh_url"),
            https=text(item, "clone_url"),
            branch=maybe(item, "default_branch"),
            labels=[text(label, "name") async for label in labels],
        )

    async def branches(self, request: BranchesRequest) -> list[JsonObject]:
        path = quoted("repos", request.organization, request.repository, "branches")
        if not request.branch:
            return [
                branch(text(item, "name"), text(item, "commit", "id"))
                async for item in self.api.linked(path, _PAGE)
            ]
        try:
            found = await self.api.json(f"{path}/{quoted(request.branch)}")
        except NotFound:
            return []
        return [branch(text(found, "name"), text(found, "commit", "id"))]

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
            async for item in self.api.linked(path, {"state": "open", **_PAGE})
        ]
        wanted = option(request.options, "labels")
        return [row for row in rows if has_labels(row, wanted)]
