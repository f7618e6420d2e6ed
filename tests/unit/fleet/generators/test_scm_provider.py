"""The scmProvider generator: three steps of questions, filters, parameters, and failures that are never empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from fleet.generators import Failed, Generated, Missing, evaluate_set
from fleet.model.answers import (
    AnswerRequest,
    BranchesRequest,
    Forge,
    PathRequest,
    RepositoriesRequest,
    Rows,
    SecretRef,
)
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.world import SourceRequest, Unavailable, World

MakeSet = Callable[..., ApplicationSet]
SHA = "0123456789abcdef0123456789abcdef01234567"
WORLD = World(clusters=(Cluster(name=ClusterName("alpha"), server="https://alpha"),))
DOWN = Unavailable(
    since=datetime(2026, 1, 1, tzinfo=UTC), reason="Unavailable", message="page 2 fails"
)
TEMPLATE = """
metadata:
  name: '{{.repository}}-{{.branchNormalized}}'
  annotations:
    all: '{{.organization}} {{.repository_id}} {{.url}} {{.branch}} {{.sha}} {{.short_sha}} {{.short_sha_7}} {{.labels}}'
spec:
  project: default
  source: {repoURL: '{{.url}}', path: apps}
  destination: {server: https://alpha, namespace: demo}
"""


def repository(name: str, *labels: str, branch: str = "main") -> dict[str, object]:
    return {
        "organization": "acme",
        "repository": name,
        "id": "7",
        "ssh": f"git@example.com:acme/{name}.git",
        "https": f"https://example.com/acme/{name}.git",
        "branch": branch,
        "labels": list(labels),
    }


@dataclass
class Server:
    """What a forge has, and what it was asked."""

    repositories: tuple[dict[str, object], ...] = (
        repository("web", "prod", "eu"),
        repository("api"),
    )
    branches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    paths: frozenset[tuple[str, str]] = frozenset()
    asked: list[AnswerRequest] = field(default_factory=list)
    broken: type[object] | None = None

    def answer(self, request: SourceRequest) -> Rows | Unavailable:
        assert isinstance(request, RepositoriesRequest | BranchesRequest | PathRequest)
        self.asked.append(request)
        if self.broken is not None and isinstance(request, self.broken):
            return DOWN
        if isinstance(request, RepositoriesRequest):
            return self.repositories
        if isinstance(request, BranchesRequest):
            names = self.branches.get(request.repository, ("main",))
            return tuple(
                {"name": name, "sha": SHA} for name in names if request.branch in ("", name)
            )
        return ({"exists": (request.repository, request.path) in self.paths},)

    def settle(self, appset: ApplicationSet) -> Generated | Failed:
        world = WORLD
        for _ in range(6):
            result = evaluate_set(appset, world)
            if not isinstance(result, Missing):
                return result
            answers = {request: self.answer(request) for request in result.requests}
            world = replace(world, answers={**world.answers, **answers})  # type: ignore[dict-item]
        raise AssertionError("the set never stops asking")

    def names(self, appset: ApplicationSet) -> list[str]:
        result = self.settle(appset)
        assert isinstance(result, Generated), result
        return [item.name for item in result.applications]


def scm(rest: str = "", settings: str = "organization: acme") -> str:
    return f"[{{scmProvider: {{github: {{{settings}}}{rest}}}}}]"


def test_the_parameters(make_set: MakeSet) -> None:
    result = Server().settle(make_set(scm(), TEMPLATE))
    assert isinstance(result, Generated)
    web = result.applications[1]
    assert web.name == "web-main"
    assert web.annotations["all"] == (
        f"acme 7 git@example.com:acme/web.git main {SHA} {SHA[:8]} {SHA[:7]} prod,eu"
    )
    assert web.row == "generators[0].scmProvider[acme/web@main]"
    assert len(result.inputs.answers) == 3


def test_https_and_values(make_set: MakeSet) -> None:
    template = TEMPLATE.replace("all: '", "all: '{{.values.x}} ")
    appset = make_set(scm(", cloneProtocol: https, values: {x: '{{.repository}}!'}"), template)
    result = Server().settle(appset)
    assert isinstance(result, Generated)
    assert result.applications[0].sources[0].repo_url == "https://example.com/acme/api.git"
    assert result.applications[0].annotations["all"].startswith("api! ")


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("", ["api-main", "web-main"]),
        ("[]", ["api-main", "web-main"]),
        ("[{repositoryMatch: ^w}]", ["web-main"]),
        ("[{repositoryMatch: eb}]", ["web-main"]),
        ("[{labelMatch: '^eu$'}]", ["web-main"]),
        ("[{labelMatch: '^eu$', repositoryMatch: api}]", []),
        ("[{labelMatch: '^eu$'}, {repositoryMatch: api}]", ["api-main", "web-main"]),
        ("[{branchMatch: release}]", []),
        ("[{pathsExist: [kube/app]}]", ["web-main"]),
        ("[{pathsExist: [kube/app, other]}]", []),
        ("[{pathsDoNotExist: [kube/app]}]", ["api-main"]),
        ("[{pathsExist: [kube/app], repositoryMatch: api}]", []),
    ],
)
def test_filters(make_set: MakeSet, filters: str, names: list[str]) -> None:
    server = Server(paths=frozenset({("web", "kube/app")}))
    rest = f", filters: {filters}" if filters else ""
    assert server.names(make_set(scm(rest), TEMPLATE)) == names


def test_all_branches_and_what_is_not_asked(make_set: MakeSet) -> None:
    server = Server(branches={"web": ("main", "release/1", "dev")})
    rest = (
        ", filters: [{repositoryMatch: web, branchMatch: '^(release|main)', pathsDoNotExist: [x]}]"
    )
    appset = make_set(scm(rest, "organization: acme, allBranches: true"), TEMPLATE)
    assert server.names(appset) == ["web-main", "web-release-1"]
    kinds = [type(request).__name__ for request in server.asked]
    # nothing is asked about the repository that its name rules out; one commit has one answer about a path
    assert kinds == ["RepositoriesRequest", "BranchesRequest", "PathRequest"]


def test_a_repository_without_branches_gives_no_row(make_set: MakeSet) -> None:
    server = Server(repositories=(repository("empty", branch=""), repository("new", branch="none")))
    assert server.names(make_set(scm(), TEMPLATE)) == []


@pytest.mark.parametrize("step", [RepositoriesRequest, BranchesRequest, PathRequest])
def test_a_failing_step_fails_the_set(make_set: MakeSet, step: type[object]) -> None:
    server = Server(broken=step)
    result = server.settle(make_set(scm(", filters: [{pathsExist: [a]}]"), TEMPLATE))
    assert isinstance(result, Failed)
    assert result.errors[0].message == "page 2 fails"
    assert any(isinstance(request, step) for request in result.inputs.answers)


def test_the_request_says_everything(make_set: MakeSet) -> None:
    settings = (
        "organization: acme, api: 'https://ghe.example.com/', tokenRef: {secretName: s, key: k}"
    )
    appset = make_set(scm(", requeueAfterSeconds: 90", settings), TEMPLATE)
    assert evaluate_set(appset, WORLD) == Missing(
        requests=frozenset(
            {
                RepositoriesRequest(
                    forge=Forge(
                        provider="github",
                        api="https://ghe.example.com",
                        owner="acme",
                        secret=SecretRef(name="s", key="k"),
                        every=90,
                    )
                )
            }
        )
    )


@pytest.mark.parametrize(
    ("provider", "owner", "project", "options"),
    [
        ("gitlab: {group: g, includeSubgroups: true, topic: t}", "g", "", (("subgroups", "true"), ("topic", "t"))),
        ("gitlab: {group: g, includeSharedProjects: false}", "g", "", (("unshared", "true"),)),
        ("gitea: {owner: o, api: 'https://x', excludeArchivedRepos: true}", "o", "", (("unarchived", "true"),)),
        ("bitbucket: {owner: o, user: u}", "o", "", ()),
        ("bitbucketServer: {project: P, api: 'https://x'}", "P", "", ()),
        ("azureDevOps: {organization: o, teamProject: p}", "o", "p", ()),
        ("awsCodeCommit: {region: eu, tagFilters: [{key: a, value: b}, {key: c}]}", "eu", "", (("tag:a", "b"), ("tag:c", "*"))),
    ],
)  # fmt: skip
def test_providers(
    make_set: MakeSet, provider: str, owner: str, project: str, options: tuple[object, ...]
) -> None:
    result = evaluate_set(make_set(f"[{{scmProvider: {{{provider}}}}}]"), WORLD)
    assert isinstance(result, Missing), result
    (request,) = result.requests
    assert isinstance(request, RepositoriesRequest)
    assert request.forge.provider == provider.partition(":")[0]
    assert (request.forge.owner, request.forge.project) == (owner, project)
    assert request.options == options


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{}", "no SCM provider implementation configured"),
        ("{github: {organization: o, appSecretName: s}}", "appSecretName is not supported"),
        ("{awsCodeCommit: {role: r}}", "awsCodeCommit.role is not supported"),
        ("{github: {organization: o}, cloneProtocol: ftp}", "unknown clone protocol for github: ftp"),
        ("{github: {organization: o}, filters: [{repositoryMatch: '('}]}", 'error compiling RepositoryMatch regexp "("'),
        ("{github: {organization: o}, filters: [{branchMatch: 'a(?=b)'}]}", "error compiling BranchMatch regexp"),
    ],
)  # fmt: skip
def test_what_is_wrong(make_set: MakeSet, config: str, message: str) -> None:
    result = evaluate_set(make_set(f"[{{scmProvider: {config}}}]"), WORLD)
    assert isinstance(result, Failed), result
    assert result.errors[0].message.startswith(message)


def test_inside_a_matrix(make_set: MakeSet) -> None:
    generators = """
    - matrix:
        generators:
        - list: {elements: [{org: acme}]}
        - scmProvider: {github: {organization: '{{.org}}'}, filters: [{repositoryMatch: '^{{.org}}|web'}]}
    """
    assert Server().names(make_set(generators, TEMPLATE)) == ["web-main"]


def test_fast_mode(make_set: MakeSet) -> None:
    template = TEMPLATE.replace("{{.", "{{")
    appset = make_set(scm(", values: {x: y}"), template, goTemplate=False)
    assert Server().names(appset) == ["api-main", "web-main"]
