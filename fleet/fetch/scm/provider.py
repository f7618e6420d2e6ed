"""What every provider can say, and the rows in which it says it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from fleet.codec.jsontypes import JsonObject
from fleet.errors import Transient, Unsupported
from fleet.fetch.scm.client import Api
from fleet.model.answers import (
    BranchesRequest,
    PathRequest,
    PullRequestsRequest,
    RepositoriesRequest,
)

_LONGEST_NUMBER = 20
HEAD = "HEAD"
"""As a branch: the default one, where a list of repositories does not tell its name."""


class Provider(ABC):
    """One API of a kind of forge."""

    def __init__(self, api: Api) -> None:
        self.api = api

    @abstractmethod
    async def repositories(self, request: RepositoriesRequest) -> list[JsonObject]:
        """List repositories."""

    @abstractmethod
    async def branches(self, request: BranchesRequest) -> list[JsonObject]:
        """List branches; none of a repository that is empty."""

    @abstractmethod
    async def has_path(self, request: PathRequest) -> bool:
        """Tell whether a file or folder is there."""

    async def pull_requests(self, request: PullRequestsRequest) -> list[JsonObject]:
        """List open pull requests."""
        raise Unsupported(f"{request.forge.provider} has no pull requests here")


def repository(
    *,
    organization: str,
    name: str,
    id_: str,
    ssh: str,
    https: str,
    branch: str,
    labels: list[str] | None = None,
) -> JsonObject:
    """Return the row of a repository."""
    return {
        "organization": organization,
        "repository": name,
        "id": id_,
        "ssh": ssh,
        "https": https,
        "branch": branch,
        "labels": labels or [],
    }


def branch(name: str, sha: str) -> JsonObject:
    """Return the row of a branch."""
    return {"name": name, "sha": sha}


def pull_request(
    *,
    number: str,
    title: str,
    source: str,
    target: str,
    sha: str,
    author: str,
    labels: list[str] | None = None,
) -> JsonObject:
    """Return the row of a pull request; raises Transient for a number that is none."""
    if not (number.isascii() and number.isdecimal() and len(number) < _LONGEST_NUMBER):
        raise Transient(f"an answer has a pull request with the number {number[:20]!r}")
    return {
        "number": number,
        "title": title,
        "branch": source,
        "target": target,
        "sha": sha,
        "author": author,
        "labels": labels or [],
    }


def has_labels(row: JsonObject, wanted: str) -> bool:
    """Tell whether a pull request has all labels of a list, one a line."""
    return set(wanted.split("\n") if wanted else ()) <= set(row["labels"])
