"""Azure DevOps, its service and its server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from fleet.codec.jsontypes import JsonObject
from fleet.fetch.http import Answer
from fleet.fetch.scm.client import MAX_PAGES, as_list, maybe, names, quoted, text, too_long
from fleet.fetch.scm.provider import Provider, branch, has_labels, pull_request, repository
from fleet.model.answers import (
    BranchesRequest,
    Forge,
    PathRequest,
    PullRequestsRequest,
    RepositoriesRequest,
    option,
)

PUBLIC = "https://dev.azure.com"
_VERSION = {"api-version": "7.0"}
_HEADS = "refs/heads/"
_PAGE = 100


def base(api: str) -> str:
    """Return the API's URL, without organization and project."""
    return api or PUBLIC


class AzureDevOps(Provider):
    """The REST API, version 7.0."""

    async def repositories(self, request: RepositoriesRequest) -> list[JsonObject]:
        found = self._pages(_git(request.forge), {})
        return [
            repository(
                organization=request.forge.owner,
                name=text(item, "name"),
                id_=text(item, "id"),
                ssh=maybe(item, "sshUrl"),
                https=text(item, "remoteUrl"),
                branch=maybe(item, "defaultBranch").removeprefix(_HEADS),
            )
            async for item in found
            if not item.get("isDisabled")
        ]

    async def branches(self, request: BranchesRequest) -> list[JsonObject]:
        path = f"{_git(request.forge)}/{quoted(request.id)}/refs"
        # The filter is a prefix, so others than the one that is wanted may come.
        query = {"filter": f"heads/{request.branch}", "$top": "1000"}
        rows = [
            branch(text(item, "name").removeprefix(_HEADS), text(item, "objectId"))
            async for item in self._pages(path, query)
        ]
        return [row for row in rows if request.branch in ("", row["name"])]

    async def has_path(self, request: PathRequest) -> bool:
        query = {
            "path": f"/{request.path}",
            "versionDescriptor.version": request.sha,
            "versionDescriptor.versionType": "commit",
            "$format": "json",
        }
        path = f"{_git(request.forge)}/{quoted(request.id)}/items"
        return await self.api.exists(path, {**query, **_VERSION})

    async def pull_requests(self, request: PullRequestsRequest) -> list[JsonObject]:
        path = f"{_git(request.forge)}/{quoted(request.repository)}/pullrequests"
        rows: list[JsonObject] = []
        for _ in range(MAX_PAGES):
            query = {"searchCriteria.status": "active", "$top": str(_PAGE), "$skip": str(len(rows))}
            url = self.api.url(path, {**query, **_VERSION})
            page = await self.api.json(path, {**query, **_VERSION})
            items = as_list(page.get("value"), url)
            if not items:  # a page that is short may still not be the last
                wanted = option(request.options, "labels")
                return [row for row in rows if has_labels(row, wanted)]
            rows += [_pull_request(item) for item in items]
        raise too_long(self.api.base)

    def _pages(self, path: str, query: Mapping[str, str]) -> AsyncIterator[JsonObject]:
        return self.api.paged(path, {**query, **_VERSION}, items="value", more=_more)


def _git(forge: Forge) -> str:
    return f"{quoted(forge.owner, forge.project)}/_apis/git/repositories"


def _more(_page: JsonObject, answer: Answer) -> Mapping[str, str] | None:
    token = answer.headers.get("x-ms-continuationtoken", "")
    return {"continuationToken": token} if token else None


def _pull_request(item: JsonObject) -> JsonObject:
    return pull_request(
        number=text(item, "pullRequestId"),
        title=text(item, "title"),
        source=text(item, "sourceRefName").removeprefix(_HEADS),
        target=text(item, "targetRefName").removeprefix(_HEADS),
        sha=text(item, "lastMergeSourceCommit", "commitId"),
        author=maybe(item, "createdBy", "uniqueName").partition("@")[0],
        labels=names(item.get("labels")),
    )
