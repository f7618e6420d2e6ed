"""AWS CodeCommit, with the tagging service where repositories are chosen by tags."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from fleet.codec.canonical import canonical_bytes
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import Denied, Transient
from fleet.fetch.scm.client import (
    MAX_PAGES,
    Api,
    NotFound,
    as_list,
    as_object,
    maybe,
    parsed,
    strange,
    text,
    too_long,
)
from fleet.fetch.scm.provider import Provider, branch, repository
from fleet.fetch.scm.sigv4 import Credentials, signed_headers
from fleet.fetch.urls import FetchUrl
from fleet.model.answers import BranchesRequest, PathRequest, RepositoriesRequest

_TARGETS = {
    "codecommit": "CodeCommit_20150413",
    "tagging": "ResourceGroupsTaggingAPI_20170126",
}
_BATCH = 25
_ABSENT = ("DoesNotExistException", "NotFoundException")
_BUSY = ("ThrottlingException", "TooManyRequestsException", "LimitExceededException")
_DENIED = ("AccessDenied", "UnrecognizedClient", "InvalidSignature", "ExpiredToken", "MissingAuth")


def base(service: str, region: str, endpoint: str) -> str:
    """Return a service's URL in a region."""
    return endpoint or f"https://{service}.{region}.amazonaws.com"


class CodeCommit(Provider):
    """The JSON API; an owner is a region, an organization the account."""

    def __init__(self, api: Api, tagging: Api, region: str, credentials: Credentials) -> None:
        super().__init__(api)
        self._tagging = tagging
        self._region = region
        self._credentials = credentials

    async def repositories(self, request: RepositoriesRequest) -> list[JsonObject]:
        found = await self._names(request)
        rows: list[JsonObject] = []
        for start in range(0, len(found), _BATCH):
            batch = found[start : start + _BATCH]
            answer = await self._call("BatchGetRepositories", {"repositoryNames": batch})
            items = as_list(answer.get("repositories"), self.api.base)
            if len(items) != len(batch):
                raise Transient(f"CodeCommit gave {len(items)} of {len(batch)} repositories")
            rows += [_row(item) for item in items]
        return rows

    async def _names(self, request: RepositoriesRequest) -> list[str]:
        if not request.options:
            items = await self._all("ListRepositories", {}, "repositories")
            return [text(item, "repositoryName") for item in items]
        tags = [(name.removeprefix("tag:"), value) for name, value in request.options]
        filters = [
            {"Key": key, **({} if value == "*" else {"Values": [value]})} for key, value in tags
        ]
        body: JsonObject = {"ResourceTypeFilters": ["codecommit"], "TagFilters": filters}
        found: list[str] = []
        for _ in range(MAX_PAGES):
            page = await self._call("GetResources", body, service="tagging")
            items = as_list(page.get("ResourceTagMappingList"), self._tagging.base)
            found += [text(item, "ResourceARN").rpartition(":")[2] for item in items]
            token = page.get("PaginationToken")
            if not token:
                return found
            body = {**body, "PaginationToken": token}
        raise too_long(self._tagging.base)

    async def branches(self, request: BranchesRequest) -> list[JsonObject]:
        wanted: Iterable[JsonValue] = [request.branch]
        name = request.repository
        if not request.branch:
            wanted = await self._all("ListBranches", {"repositoryName": name}, "branches")
        return [await self._branch(name, item) for item in wanted if isinstance(item, str)]

    async def _branch(self, repository_name: str, name: str) -> JsonObject:
        body = {"repositoryName": repository_name, "branchName": name}
        found = await self._call("GetBranch", body)
        return branch(text(found, "branch", "branchName"), text(found, "branch", "commitId"))

    async def has_path(self, request: PathRequest) -> bool:
        """Look into the folder above, which finds files and folders alike."""
        body = {
            "repositoryName": request.repository,
            "commitSpecifier": request.sha,
            "folderPath": posixpath.dirname(request.path) or "/",
        }
        try:
            folder = await self._call("GetFolder", body)
        except NotFound as error:
            if "Folder" in error.message or "Path" in error.message:
                return False
            raise
        kinds = ("files", "subFolders", "symbolicLinks", "subModules")
        return any(
            text(item, "absolutePath").strip("/") == request.path
            for kind in kinds
            for item in as_list(folder.get(kind) or [], self.api.base)
        )

    async def _all(self, action: str, body: JsonObject, key: str) -> list[JsonValue]:
        found: list[JsonValue] = []
        for _ in range(MAX_PAGES):
            page = await self._call(action, body)
            items = page.get(key)
            if not isinstance(items, list):
                raise strange(self.api.base, f"it has no {key!r}")
            found += items
            token = page.get("nextToken")
            if not token:
                return found
            body = {**body, "nextToken": token}
        raise too_long(self.api.base)

    async def _call(
        self, action: str, body: JsonObject, *, service: str = "codecommit"
    ) -> JsonObject:
        api = self.api if service == "codecommit" else self._tagging
        url = api.url("")
        data = canonical_bytes(body)
        headers = signed_headers(
            host=_host(url),
            headers={
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": f"{_TARGETS[service]}.{action}",
            },
            body=data,
            now=api.clock.now(),
            region=self._region,
            service=service,
            credentials=self._credentials,
        )
        answer = await api.post(url, data, headers)
        value = as_object(parsed(answer), url)
        if answer.status == 400:
            _refuse(action, value, answer.url)
        return value


def _row(item: JsonObject) -> JsonObject:
    return repository(
        organization=text(item, "accountId"),
        name=text(item, "repositoryName"),
        id_=text(item, "repositoryId"),
        ssh=text(item, "cloneUrlSsh"),
        https=text(item, "cloneUrlHttp"),
        branch=maybe(item, "defaultBranch"),
    )


def _host(url: FetchUrl) -> str:
    return url.origin.partition("://")[2]


def _refuse(action: str, value: JsonObject, url: FetchUrl) -> None:
    """Raise what an error of AWS means: all of them come with one status."""
    kind = text(value, "__type").rpartition("#")[2]
    if kind.endswith(_ABSENT):
        raise NotFound(f"{url.origin!r} says to {action}: {kind[:80]}")
    if kind in _BUSY:
        raise Transient(f"{url.origin!r} says to {action}: {kind[:80]}")
    if kind.startswith(_DENIED):
        raise Denied(
            f"{url.origin!r} refused the credentials: {kind[:80]}",
            hint="check the files under scm.aws in the hub's settings",
        )
    raise strange(url, f"{action} failed with {kind[:80]}")
