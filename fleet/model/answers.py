"""What generators ask of servers that are no git repositories: forges and plugins.

A request names everything that selects its answer, so that equal requests share one. Answers are rows of plain
JSON, whose keys each request says. Credentials are only named, as the user did; who answers knows their files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from fleet.codec.jsontypes import JsonObject

NOT_CONFIGURED = "NotConfigured"
"""Reason of an answer that nobody was ever asked for: the hub's settings do not name the plugin or the token."""
NOT_FOUND = "NotFound"
"""Reason of an answer: the server is there and does not know the repository or project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """A key of a Secret, which stands for a file in the hub's settings; nothing reads the Secret."""

    name: str
    key: str

    def __str__(self) -> str:
        return f"{self.name}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """A hosting service, and whose repositories there."""

    provider: str
    """Argo CD's name of it, as in ``scmProvider``."""
    api: str = ""
    """Base URL of the API as written; empty: the provider's public one."""
    owner: str = ""
    """Organization, group, user, workspace or project key."""
    project: str = ""
    """Azure DevOps' project."""
    user: str = ""
    """User name of basic authentication; empty: the secret is a token."""
    secret: SecretRef | None = None
    every: int = 1800
    """Seconds after which the answer is asked for again."""


Options: TypeAlias = tuple[tuple[str, str], ...]
"""What only some providers know, sorted by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoriesRequest:
    """All repositories of an owner: ``organization, repository, id, ssh, https, branch, labels``."""

    forge: Forge
    options: Options = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchesRequest:
    """Branches of a repository: ``name, sha``; all where ``branch`` is empty, else the one, HEAD the default."""

    forge: Forge
    organization: str
    repository: str
    id: str
    branch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRequest:
    """Whether a file or folder is in a commit: one row, ``exists``."""

    forge: Forge
    organization: str
    repository: str
    id: str
    sha: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestsRequest:
    """Open pull requests of a repository: ``number, title, branch, target, sha, author, labels``."""

    forge: Forge
    repository: str
    """GitLab: the project, by number or by path."""
    options: Options = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRequest:
    """Rows of a generator plugin."""

    config: str
    """The name that ``configMapRef`` has, and the plugin in the hub's settings."""
    appset: str
    parameters: bytes
    """Canonical JSON of ``input.parameters``."""
    every: int = 1800


AnswerRequest: TypeAlias = (
    RepositoriesRequest | BranchesRequest | PathRequest | PullRequestsRequest | PluginRequest
)
Rows: TypeAlias = tuple[JsonObject, ...]


def seconds_between(request: AnswerRequest) -> int:
    """Return after how many seconds an answer is asked for again."""
    return request.every if isinstance(request, PluginRequest) else request.forge.every


def describe(request: AnswerRequest) -> str:
    """Say in words what is asked for."""
    match request:
        case PluginRequest():
            return f"plugin {request.config!r}"
        case RepositoriesRequest():
            return f"repositories of {_owner(request.forge)}"
        case PullRequestsRequest():
            return f"pull requests of {_owner(request.forge)}/{request.repository}"
        case BranchesRequest():
            return f"branches of {_owner(request.forge)}/{request.repository}"
        case PathRequest():
            return f"path {request.path!r} in {_owner(request.forge)}/{request.repository}"


def _owner(forge: Forge) -> str:
    return f"{forge.provider} {'/'.join(part for part in (forge.owner, forge.project) if part)}"


def option(options: Options, name: str) -> str:
    """Return an option's value; empty where it is not given."""
    return next((value for key, value in options if key == name), "")


def options_of(values: Mapping[str, str]) -> Options:
    """Sort options and leave out those that say nothing."""
    return tuple(sorted((key, value) for key, value in values.items() if value))
