"""The scmProvider generator: one row per repository and branch of an owner that some filter lets through.

It asks in three steps, so that only what may be in the result costs requests: repositories, the branches of those
whose name and labels pass, and paths in the branches whose name passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject
from fleet.generators.context import Context, Pending
from fleet.generators.forges import Names, Pattern, any_matches, forge_of, pattern, provider_of
from fleet.generators.params import GeneratorError, ParamSet, sanitize
from fleet.model.answers import (
    BranchesRequest,
    Forge,
    PathRequest,
    RepositoriesRequest,
    options_of,
)

PROVIDERS: Mapping[str, Names] = {
    "github": Names("organization"),
    "gitlab": Names("group"),
    "gitea": Names("owner"),
    "bitbucketServer": Names("project"),
    "azureDevOps": Names("organization", "accessTokenRef", "teamProject"),
    "bitbucket": Names("owner", "appPasswordRef"),
    "awsCodeCommit": Names("region"),
}
_HTTPS_ONLY = frozenset({"azureDevOps"})


@dataclass(frozen=True, slots=True)
class _Filter:
    """One filter: everything it says must hold."""

    repository: Pattern | None
    label: Pattern | None
    branch: Pattern | None
    present: tuple[str, ...]
    absent: tuple[str, ...]

    @classmethod
    def of(cls, raw: JsonObject) -> _Filter:
        return cls(
            repository=pattern(raw, "repositoryMatch"),
            label=pattern(raw, "labelMatch"),
            branch=pattern(raw, "branchMatch"),
            present=tuple(raw.get("pathsExist") or ()),
            absent=tuple(raw.get("pathsDoNotExist") or ()),
        )

    def admits(self, found: JsonObject) -> bool:
        return any_matches(self.repository, (found["repository"],)) and any_matches(
            self.label, found["labels"]
        )


def generate(config: JsonObject, context: Context) -> list[ParamSet]:
    """Return the rows, sorted by repository and branch."""
    raw: list[JsonObject] = config.get("filters") or [{}]
    filters = [_Filter.of(one) for one in raw]
    provider, settings = provider_of(config, PROVIDERS)
    forge = forge_of(provider, settings, PROVIDERS[provider], config)
    protocol = _protocol(provider, config.get("cloneProtocol", ""))
    search = _Search(context, forge, filters, all_branches=bool(settings.get("allBranches")))
    request = RepositoriesRequest(forge=forge, options=options_of(_options(provider, settings)))
    rows = []
    for found, branch in search.run(request):
        url = found[protocol]
        if not url:
            raise GeneratorError(f"{found['repository']} has no {protocol} URL to clone from")
        params = context.engine.with_values(_params(found, branch, url), config.get("values") or {})
        name = f"scmProvider[{found['organization']}/{found['repository']}@{branch['name']}]"
        rows.append(ParamSet(params, name))
    return rows


def _options(provider: str, settings: JsonObject) -> dict[str, str]:
    if provider == "awsCodeCommit":
        if settings.get("role"):
            raise GeneratorError(
                "awsCodeCommit.role is not supported: the hub takes on no other role",
                hint="give the hub credentials of that role in its settings",
            )
        tags = settings.get("tagFilters") or ()
        return {f"tag:{tag['key']}": tag.get("value", "") or "*" for tag in tags}
    flags = {
        "subgroups": settings.get("includeSubgroups"),
        # Argo CD includes shared projects unless told otherwise.
        "unshared": provider == "gitlab" and settings.get("includeSharedProjects") is False,
        "archived": provider == "gitlab" and settings.get("includeArchivedRepos"),
        "unarchived": settings.get("excludeArchivedRepos"),
    }
    chosen = {name: "true" for name, value in flags.items() if value}
    return chosen | {"topic": settings.get("topic", "")}


def _protocol(provider: str, protocol: str) -> str:
    if protocol not in ("", "ssh", "https"):
        raise GeneratorError(f"unknown clone protocol for {provider}: {protocol}")
    return "https" if provider in _HTTPS_ONLY or protocol == "https" else "ssh"


@dataclass(slots=True)
class _Search:
    context: Context
    forge: Forge
    filters: list[_Filter]
    all_branches: bool
    pending: bool = False

    def run(self, request: RepositoriesRequest) -> Iterator[tuple[JsonObject, JsonObject]]:
        found = self.context.rows(request)
        for item in sorted(found, key=lambda row: (row["organization"], row["repository"])):
            filters = [one for one in self.filters if one.admits(item)]
            if filters:
                yield from self._branches(item, filters)
        if self.pending:
            raise Pending

    def _branches(
        self, found: JsonObject, filters: list[_Filter]
    ) -> Iterator[tuple[JsonObject, JsonObject]]:
        if not self.all_branches and not found["branch"]:
            return  # an empty repository has no default branch
        request = BranchesRequest(
            forge=self.forge,
            organization=found["organization"],
            repository=found["repository"],
            id=found["id"],
            branch="" if self.all_branches else found["branch"],
        )
        try:
            branches = self.context.rows(request)
        except Pending:
            self.pending = True
            return
        for branch in sorted(branches, key=lambda row: str(row["name"])):
            if self._admits(found, branch, filters):
                yield found, branch

    def _admits(self, found: JsonObject, branch: JsonObject, filters: list[_Filter]) -> bool:
        """Try every filter, so that all paths that are not known yet are asked for together."""
        verdicts = [self._passes(found, branch, one) for one in filters]
        return any(verdicts)

    def _passes(self, found: JsonObject, branch: JsonObject, one: _Filter) -> bool:
        if not any_matches(one.branch, (branch["name"],)):
            return False
        present = [self._has(found, branch["sha"], path) for path in one.present]
        absent = [self._has(found, branch["sha"], path) for path in one.absent]
        return all(present) and not any(absent)

    def _has(self, found: JsonObject, sha: str, path: str) -> bool:
        request = PathRequest(
            forge=self.forge,
            organization=found["organization"],
            repository=found["repository"],
            id=found["id"],
            sha=sha,
            path=path.strip("/"),
        )
        try:
            (answer,) = self.context.rows(request)
        except Pending:
            self.pending = True
            return False
        return bool(answer["exists"])


def _params(found: JsonObject, branch: JsonObject, url: str) -> JsonObject:
    sha = branch["sha"]
    return {
        "organization": found["organization"],
        "repository": found["repository"],
        "repository_id": found["id"],
        "url": url,
        "branch": branch["name"],
        "branchNormalized": sanitize(branch["name"]),
        "sha": sha,
        "short_sha": sha[:8],
        "short_sha_7": sha[:7],
        "labels": ",".join(found["labels"]),
    }
