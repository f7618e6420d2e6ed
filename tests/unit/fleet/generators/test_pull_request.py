"""The pullRequest generator: requests, filters, parameters, and a repository that does not exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fleet.generators import Failed, Generated, Missing, evaluate_set
from fleet.model.answers import NOT_FOUND, PullRequestsRequest, Rows
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.world import Unavailable, World

MakeSet = Callable[..., ApplicationSet]
SHA = "0123456789abcdef0123456789abcdef01234567"
WORLD = World(clusters=(Cluster(name=ClusterName("alpha"), server="https://alpha"),))
TEMPLATE = """
metadata:
  name: 'pr-{{.number}}'
  annotations: {all: '{{.title}} {{.branch_slug}} {{.target_branch_slug}} {{.head_short_sha_7}} {{.author}} {{.labels | join "+"}}'}
spec:
  project: default
  source: {repoURL: https://git.example.com/x.git, path: apps, targetRevision: '{{.head_sha}}'}
  destination: {server: https://alpha, namespace: demo}
"""
GITHUB = "github: {owner: acme, repo: web, labels: [b, a]}"


def pull(number: int, branch: str = "feature/New_Thing", **rest: object) -> dict[str, object]:
    return {
        "number": str(number),
        "title": "Add it",
        "branch": branch,
        "target": "main",
        "sha": SHA,
        "author": "ann",
        "labels": ["a", "b"],
        **rest,
    }


def evaluate(appset: ApplicationSet, answer: Rows | Unavailable) -> Generated | Failed:
    missing = evaluate_set(appset, WORLD)
    assert isinstance(missing, Missing), missing
    (request,) = missing.requests
    assert isinstance(request, PullRequestsRequest)
    result = evaluate_set(appset, replace(WORLD, answers={request: answer}))
    assert not isinstance(result, Missing)
    return result


def generators(rest: str = "") -> str:
    return f"[{{pullRequest: {{{GITHUB}{rest}}}}}]"


def test_the_parameters_and_the_order(make_set: MakeSet) -> None:
    result = evaluate(make_set(generators(), TEMPLATE), (pull(10), pull(9)))
    assert isinstance(result, Generated)
    assert [item.row for item in result.applications] == [
        "generators[0].pullRequest[10]",
        "generators[0].pullRequest[9]",
    ]
    item = result.applications[0]
    assert item.annotations["all"] == f"Add it feature-new-thing main {SHA[:7]} ann a+b"
    assert item.sources[0].target_revision == SHA


def test_a_long_branch_is_cut_at_a_word(make_set: MakeSet) -> None:
    branch = "feature/" + "word-" * 12
    result = evaluate(make_set(generators(), TEMPLATE), (pull(1, branch),))
    assert isinstance(result, Generated)
    slug = result.applications[0].annotations["all"].split()[2]
    assert slug == ("feature-" + "word-" * 12)[:47]
    assert len(slug) <= 50


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("[{branchMatch: ^feature}]", ["pr-1"]),
        ("[{targetBranchMatch: '^release'}]", ["pr-2"]),
        ("[{titleMatch: Fix, branchMatch: hot}]", ["pr-2"]),
        ("[{titleMatch: Fix, branchMatch: ^feature}]", []),
        ("[{titleMatch: Fix}, {branchMatch: ^feature}]", ["pr-1", "pr-2"]),
    ],
)
def test_filters(make_set: MakeSet, filters: str, names: list[str]) -> None:
    rows = (pull(1), pull(2, "hotfix", title="Fix it", target="release/1"))
    result = evaluate(make_set(generators(f", filters: {filters}"), TEMPLATE), rows)
    assert isinstance(result, Generated)
    assert [item.name for item in result.applications] == names


def unavailable(reason: str) -> Unavailable:
    return Unavailable(since=datetime(2026, 1, 1, tzinfo=UTC), reason=reason, message="no")


@pytest.mark.parametrize(
    ("reason", "goes_on", "fails"),
    [
        (NOT_FOUND, "true", False),
        (NOT_FOUND, "false", True),
        ("Unavailable", "true", True),
        ("Denied", "true", True),
    ],
)
def test_a_repository_that_is_not_found(
    make_set: MakeSet, reason: str, goes_on: str, fails: bool
) -> None:
    appset = make_set(generators(f", continueOnRepoNotFoundError: {goes_on}"), TEMPLATE)
    result = evaluate(appset, unavailable(reason))
    assert isinstance(result, Failed) is fails
    assert result.inputs.answers


@pytest.mark.parametrize(
    ("provider", "owner", "repository", "options"),
    [
        (GITHUB, "acme", "web", (("labels", "a\nb"),)),
        ("gitlab: {project: '7', pullRequestState: opened}", "", "7", (("state", "opened"),)),
        ("gitea: {owner: o, repo: r, api: 'https://x'}", "o", "r", ()),
        ("bitbucketServer: {project: P, repo: r, api: 'https://x'}", "P", "r", ()),
        ("bitbucket: {owner: o, repo: r}", "o", "r", ()),
        ("azuredevops: {organization: o, project: p, repo: r}", "o", "r", ()),
    ],
)
def test_providers(
    make_set: MakeSet, provider: str, owner: str, repository: str, options: tuple[object, ...]
) -> None:
    result = evaluate_set(make_set(f"[{{pullRequest: {{{provider}}}}}]"), WORLD)
    assert isinstance(result, Missing), result
    (request,) = result.requests
    assert isinstance(request, PullRequestsRequest)
    assert (request.forge.owner, request.repository, request.options) == (
        owner,
        repository,
        options,
    )


def test_basic_and_bearer_credentials(make_set: MakeSet) -> None:
    def forge(auth: str) -> tuple[str, str]:
        config = f"bitbucketServer: {{project: P, repo: r, api: 'https://x', {auth}}}"
        result = evaluate_set(make_set(f"[{{pullRequest: {{{config}}}}}]"), WORLD)
        assert isinstance(result, Missing)
        (request,) = result.requests
        assert isinstance(request, PullRequestsRequest)
        return request.forge.user, str(request.forge.secret)

    secret = "{secretName: s, key: k}"
    assert forge(f"basicAuth: {{username: ann, passwordRef: {secret}}}") == ("ann", "s/k")
    assert forge(f"bearerToken: {{tokenRef: {secret}}}") == ("", "s/k")


def test_fast_mode_has_no_labels(make_set: MakeSet) -> None:
    template = TEMPLATE.replace("{{.", "{{").replace(' | join "+"', "")
    result = evaluate(make_set(generators(), template, goTemplate=False), (pull(1),))
    assert isinstance(result, Generated)
    assert result.applications[0].annotations["all"].endswith(" ann {{labels}}")
