"""The pullRequest generator: one row per open pull request that some filter lets through, sorted by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject
from fleet.generators.context import Context
from fleet.generators.forges import Names, Pattern, any_matches, forge_of, pattern, provider_of
from fleet.generators.params import GeneratorError, ParamSet
from fleet.model.answers import NOT_FOUND, PullRequestsRequest, Rows, options_of
from fleet.model.world import Unavailable
from fleet.templating.argo import slug
from fleet.templating.values import StringList

PROVIDERS: Mapping[str, Names] = {
    "github": Names("owner"),
    "gitlab": Names(""),
    "gitea": Names("owner"),
    "bitbucketServer": Names("project"),
    "bitbucket": Names("owner"),
    "azuredevops": Names("organization", project="project"),
}
_SLUG_SIZE = 50


@dataclass(frozen=True, slots=True)
class _Filter:
    branch: Pattern | None
    target: Pattern | None
    title: Pattern | None

    @classmethod
    def of(cls, raw: JsonObject) -> _Filter:
        return cls(
            branch=pattern(raw, "branchMatch"),
            target=pattern(raw, "targetBranchMatch"),
            title=pattern(raw, "titleMatch"),
        )

    def admits(self, pull: JsonObject) -> bool:
        return (
            any_matches(self.branch, (pull["branch"],))
            and any_matches(self.target, (pull["target"],))
            and any_matches(self.title, (pull["title"],))
        )


def generate(config: JsonObject, context: Context) -> list[ParamSet]:
    """Return the rows; a repository that does not exist gives none where the set says so."""
    raw: list[JsonObject] = config.get("filters") or [{}]
    filters = [_Filter.of(one) for one in raw]
    go = context.engine.go
    rows = []
    for pull in sorted(_pulls(config, context), key=lambda item: int(item["number"])):
        if any(one.admits(pull) for one in filters):
            params = context.engine.with_values(_params(pull, go=go), config.get("values") or {})
            rows.append(ParamSet(params, f"pullRequest[{pull['number']}]"))
    return rows


def _pulls(config: JsonObject, context: Context) -> Rows:
    provider, settings = provider_of(config, PROVIDERS)
    names = PROVIDERS[provider]
    # GitLab names a project as a whole, all others a repository of an owner.
    repository = settings["project"] if provider == "gitlab" else settings["repo"]
    labels = "\n".join(sorted(settings.get("labels") or ()))
    request = PullRequestsRequest(
        forge=forge_of(provider, settings, names, config),
        repository=repository,
        options=options_of({"labels": labels, "state": settings.get("pullRequestState", "")}),
    )
    answer = context.answer(request)
    if not isinstance(answer, Unavailable):
        return answer
    if answer.reason == NOT_FOUND and config.get("continueOnRepoNotFoundError"):
        return ()
    raise GeneratorError(f"error listing repos: {answer.message}")


def _params(pull: JsonObject, *, go: bool) -> JsonObject:
    sha = pull["sha"]
    params: JsonObject = {
        "number": pull["number"],
        "title": pull["title"],
        "branch": pull["branch"],
        "branch_slug": _slug(pull["branch"]),
        "target_branch": pull["target"],
        "target_branch_slug": _slug(pull["target"]),
        "head_sha": sha,
        "head_short_sha": sha[:8],
        "head_short_sha_7": sha[:7],
        "author": pull["author"],
    }
    if go:
        params["labels"] = StringList(pull["labels"])
    return params


def _slug(branch: str) -> str:
    return slug(branch.replace("_", "-"), _SLUG_SIZE, smart=True)
