"""GitLab."""

from __future__ import annotations

import posixpath

from fleet.codec.jsontypes import JsonObject
from fleet.fetch.scm.client import NotFound, maybe, quoted, text, texts
from fleet.fetch.scm.provider import Provider, branch, pull_request, repository
from fleet.model.answers import (
    BranchesRequest,
    PathRequest,
    PullRequestsRequest,
    RepositoriesRequest,
    option,
)

PUBLIC = "https://gitlab.com"


def base(api: str) -> str:
    """Return the API's URL."""
    root = api or PUBLIC
    return root if root.endswith("/api/v4") else f"{root}/api/v4"


class GitLab(Provider):
    """The REST API, version 4; a repository is a project, its owner the full path of its group."""

    async def repositories(self, request: RepositoriesRequest) -> list[JsonObject]:
        chosen = request.options
        query = {
            "per_page": "100",
            "include_subgroups": option(chosen, "subgroups") or "false",
            "with_shared": "false" if option(chosen, "unshared") else "true",
        }
        if topic := option(chosen, "topic"):
            query["topic"] = topic
        if not option(chosen, "archived"):
            query["archived"] = "false"
        path = f"groups/{quoted(request.forge.owner)}/projects"
        return [
            repository(
                organization=text(item, "namespace", "full_path"),
                name=text(item, "path"),
                id_=text(item, "id"),
                ssh=text(item, "ssh_url_to_repo"),
                https=text(item, "http_url_to_repo"),
                branch=maybe(item, "default_branch"),
                labels=texts(item.get("topics") or item.get("tag_list")),
            )
            async for item in self.api.linked(path, query)
        ]

    async def branches(self, request: BranchesRequest) -> list[JsonObject]:
        path = f"projects/{quoted(request.id)}/repository/branches"
        if not request.branch:
            return [
                branch(text(item, "name"), text(item, "commit", "id"))
                async for item in self.api.linked(path, {"per_page": "100"})
            ]
        try:
            found = await self.api.json(f"{path}/{quoted(request.branch)}")
        except NotFound:
            return []
        return [branch(text(found, "name"), text(found, "commit", "id"))]

    async def has_path(self, request: PathRequest) -> bool:
        """Look into the folder above, which finds files and folders alike."""
        query = {"ref": request.sha, "per_page": "100"}
        if parent := posixpath.dirname(request.path):
            query["path"] = parent
        path = f"projects/{quoted(request.id)}/repository/tree"
        try:
            async for item in self.api.linked(path, query):
                if item.get("path") == request.path:
                    return True
        except NotFound:
            return False
        return False

    async def pull_requests(self, request: PullRequestsRequest) -> list[JsonObject]:
        query = {"per_page": "100"}
        if labels := option(request.options, "labels"):
            query["labels"] = labels.replace("\n", ",")
        if state := option(request.options, "state"):
            query["state"] = state
        path = f"projects/{quoted(request.repository)}/merge_requests"
        return [
            pull_request(
                number=text(item, "iid"),
                title=text(item, "title"),
                source=text(item, "source_branch"),
                target=text(item, "target_branch"),
                sha=text(item, "sha"),
                author=maybe(item, "author", "username"),
                labels=texts(item.get("labels")),
            )
            async for item in self.api.linked(path, query)
            if item.get("sha")
        ]
