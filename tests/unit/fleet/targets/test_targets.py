"""Applications to targets: destinations, projects, and what is held."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleet.argo.application import read_application
from fleet.errors import BadInput, Where
from fleet.model.application import Application, Destination
from fleet.model.cluster import Cluster
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.project import DEFAULT_PROJECT, AppProject, DestinationRule
from fleet.model.world import World
from fleet.targets import ClusterIndex, Targets, resolve_targets

ALPHA = Cluster(name=ClusterName("alpha"), server="https://10.0.0.1:6443")
BETA = Cluster(name=ClusterName("beta"), server="https://10.0.0.2:6443")
HOME = Cluster(name=ClusterName("home"), server="https://10.0.0.9:6443", management=True)
TEAM = AppProject(
    name="team",
    source_repos=("https://git.example.com/team/*",),
    destinations=(DestinationRule(name="alpha", namespace="team-*"),),
)
WORLD = World(clusters=(ALPHA, BETA, HOME), projects={"team": TEAM}, implicit_in_cluster=False)


def application(
    *,
    annotations: dict[str, str] | None = None,
    destination: dict[str, str] | None = None,
    **spec: Any,
) -> Application:
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "web", "annotations": annotations or {}},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example.com/team/web.git"},
            "destination": destination or {"name": "alpha", "namespace": "team-web"},
            **spec,
        },
    }
    return read_application(document, where=Where(file="web.yaml", line=3))


def resolve(item: Application, world: World = WORLD) -> Targets:
    return resolve_targets({item.name: item}, world)


@pytest.mark.parametrize(
    ("destination", "cluster"),
    [
        ({"name": "alpha"}, "alpha"),
        ({"server": "https://10.0.0.2:6443"}, "beta"),
        ({"name": "in-cluster"}, "home"),
        ({"server": "https://kubernetes.default.svc"}, "home"),
        ({"name": "home"}, "home"),
    ],
)
def test_destinations(destination: dict[str, str], cluster: str) -> None:
    found = resolve(application(destination=destination))
    assert found.problems == ()
    (target,) = found.targets.values()
    assert target.id == TargetId(ClusterName(cluster), AppName("web"))
    assert target.held == ""


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ({"name": "alpha", "server": "https://10.0.0.1:6443"}, "can't have both name and server"),
        ({"namespace": "x"}, "names neither a cluster nor a server"),
        ({"name": "alpa"}, r"there are no clusters with this name: alpa \(did you mean alpha\?\)"),
        (
            {"server": "https://10.0.0.3:6443"},
            'cluster "https://10.0.0.3:6443" not found .*10.0.0.1',
        ),
    ],
)
def test_destinations_that_mean_no_cluster(destination: dict[str, str], message: str) -> None:
    found = resolve(application(destination=destination))
    assert found.targets == {}
    (problem,) = found.problems
    assert problem.reason == "InvalidSpecError"
    assert problem.where == Where(
        object="Application/web", file="web.yaml", line=3, field="spec.destination"
    )
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problem.message)


def test_without_a_management_cluster_there_is_no_in_cluster() -> None:
    found = resolve(
        application(destination={"name": "in-cluster"}), replace(WORLD, clusters=(ALPHA,))
    )
    assert found.problems[0].message == (
        "there are no clusters with this name: in-cluster "
        "(mark the hub's own cluster with spec.management: true)"
    )


def test_as_in_argo_there_is_always_an_in_cluster() -> None:
    index = ClusterIndex((ALPHA,), implicit_in_cluster=True)
    assert index.resolve(Destination(name="in-cluster")).server == "https://kubernetes.default.svc"


def test_a_name_that_two_clusters_have_is_no_destination() -> None:
    twice = (ALPHA, replace(ALPHA, server="https://10.0.0.7"))
    index = ClusterIndex(twice, implicit_in_cluster=False)
    with pytest.raises(BadInput, match="there are 2 clusters with this name: alpha"):
        index.resolve(Destination(name="alpha"))


HELD = {
    "unknown project": (
        application(project="taem"),
        "application references project taem which does not exist",
        "spec.project",
        "InvalidSpecError",
    ),
    "source not permitted": (
        application(project="team", source={"repoURL": "https://user:secret@git.example.com/x"}),
        "application repo https://***@git.example.com/x is not permitted in project 'team'",
        "spec.source.repoURL",
        "InvalidSpecError",
    ),
    "destination not permitted": (
        application(project="team", destination={"name": "alpha", "namespace": "other"}),
        (
            "application destination server 'https://10.0.0.1:6443' and namespace 'other' "
            "do not match any of the allowed destinations in project 'team'"
        ),
        "spec.destination",
        "InvalidSpecError",
    ),
    "unbuilt field": (
        application(annotations={"argocd.argoproj.io/skip-reconcile": "true"}),
        "not supported yet: metadata.annotations: argocd.argoproj.io/skip-reconcile",
        "metadata.annotations",
        "Unsupported",
    ),
    "bad reference": (
        application(annotations={"gitopsfleet.io/depends-on": "sets/x"}),
        "reference 'sets/x' in gitopsfleet.io/depends-on starts with an unknown word 'sets'",
        "metadata.annotations.gitopsfleet.io/depends-on",
        "InvalidSpecError",
    ),
}


@pytest.mark.parametrize(("item", "message", "field", "reason"), HELD.values(), ids=HELD)
def test_what_may_not_be_deployed_as_written_is_held(
    item: Application, message: str, field: str, reason: str
) -> None:
    found = resolve(item)
    (target,) = found.targets.values()
    assert target.held == message
    (problem,) = found.problems
    assert (problem.reason, problem.where.field) == (reason, field)
    assert problem.message.startswith(message)
    assert problem.fatal


def test_an_unbuilt_field_of_the_project_holds_its_targets() -> None:
    project = replace(TEAM, unsupported=("spec.signatureKeys",))
    found = resolve(application(project="team"), replace(WORLD, projects={"team": project}))
    (target,) = found.targets.values()
    assert target.held == "not supported yet: AppProject spec.signatureKeys"


def test_permitted_by_its_project() -> None:
    found = resolve(application(project="team"))
    assert found.problems == ()
    assert [target.held for target in found.targets.values()] == [""]


@pytest.mark.parametrize(
    ("home", "namespaces", "held"),
    [
        ("argocd", (), False),
        ("argocd", ("team-*",), False),
        ("projects", (), True),
        ("projects", ("team-*",), True),
        ("projects", ("argo*",), False),
        ("projects", ("team-*", "argocd"), False),
    ],
)
def test_source_namespaces(home: str, namespaces: tuple[str, ...], *, held: bool) -> None:
    project = replace(TEAM, namespace=home, source_namespaces=namespaces)
    found = resolve(application(project="team"), replace(WORLD, projects={"team": project}))
    (target,) = found.targets.values()
    assert bool(target.held) is held
    if held:
        assert target.held == (
            "application in namespace 'argocd' is not permitted to use project 'team'"
        )
        assert "sourceNamespaces, or write namespace projects" in found.problems[0].message


@pytest.mark.parametrize(
    ("homes", "held"),
    [((), False), (("argocd",), False), (("projects",), True), (("projects", "argocd"), False)],
    ids=["no-projects", "with-the-projects", "elsewhere", "with-one-of-them"],
)
def test_the_default_project_that_nobody_wrote_is_where_the_others_are(
    homes: tuple[str, ...], *, held: bool
) -> None:
    written = {f"p{n}": replace(TEAM, name=f"p{n}", namespace=home) for n, home in enumerate(homes)}
    for projects in (written, {**written, "default": DEFAULT_PROJECT}):
        found = resolve(application(), replace(WORLD, projects=projects))
        assert [bool(target.held) for target in found.targets.values()] == [held]


def test_references_are_given_for_the_graph() -> None:
    found = resolve(application(annotations={"gitopsfleet.io/depends-on": "base, set/infra?"}))
    (references,) = found.references.values()
    assert [reference.text for reference in references] == ["base", "set/infra?"]


def test_the_default_project_can_be_narrowed() -> None:
    narrow = AppProject(name="default")
    found = resolve(application(), replace(WORLD, projects={"default": narrow}))
    assert "is not permitted in project 'default'" in found.problems[0].message
