"""The rules of AppProjects, with Argo CD's quirks; and what agents are told of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.argo.permissions import (
    normalize_url,
    permits_destination,
    permits_object,
    permits_source,
    rules_for,
)
from fleet.model.cluster import Cluster
from fleet.model.identity import ClusterName
from fleet.model.project import DEFAULT_PROJECT, AppProject, DestinationRule, KindRule

ALPHA = Cluster(name=ClusterName("alpha"), server="https://10.0.0.1:6443", project="team")
HOME = Cluster(name=ClusterName("home"), server="https://10.0.0.9:6443", management=True)


def to(server: str = "", name: str = "", namespace: str = "") -> DestinationRule:
    return DestinationRule(server=server, name=name, namespace=namespace)


@pytest.mark.parametrize(
    ("patterns", "url", "expected"),
    [
        (("*",), "https://git.example.com/a/b.git", True),
        ((), "https://git.example.com/a.git", False),
        (("https://git.example.com/a.git",), "https://git.example.com/a", True),
        (("https://git.example.com/A",), "https://GIT.example.com/a.git", True),
        (("https://git.example.com/*",), "https://git.example.com/a/b.git", False),
        (("https://git.example.com/**",), "https://git.example.com/a/b.git", True),
        (("!https://git.example.com/x",), "https://git.example.com/a", True),
        (("!https://git.example.com/x",), "https://git.example.com/x.git", False),
        (("*", "!https://git.example.com/x"), "https://git.example.com/x", False),
        (("git@git.example.com:a/b.git",), "ssh://git@git.example.com/a/b", True),
        (("https://charts.example.com",), "https://charts.example.com", True),
        (("https://git.example.com/org*",), "https://git.example.com/org-evil/x", False),
        (("https://git.example.com/org/*",), "https://git.example.com/org-evil/x", False),
        (("https://git.example.com*",), "https://git.example.com@evil.example/x", False),
        (("https://git.example.com/**",), "https://user:key@git.example.com/a", True),
        (("!https://evil.example/**",), "https://git.example.com@evil.example/x", False),
        (("git@git.example.com*", "git@git.example.com**"), "git@git.example.com@evil:x", False),
        (("https://git.example.com/org/**",), "https://git.example.com/org/%2e%2e/evil/x", False),
        (("https://git.example.com/org/**",), "https://git.example.com/org/../evil/x", False),
        (
            ("https://git.example.com/org/**",),
            "https://evil.example\\@git.example.com/org/x",
            False,
        ),
        (("https://git.example.com/**",), "https://git.example.com/a b", False),
        (("*",), "https://git.example.com@evil.example/x", True),
        (("*", "!https://x/y"), "https://git.example.com/org/../evil/x", False),
        (("https://git.example.com/a",), "https://git.example.com/ab", False),
        (("ttps://git.example.com/a",), "https://git.example.com/a", False),
    ],
)
def test_sources(patterns: tuple[str, ...], url: str, expected: bool) -> None:
    assert permits_source(AppProject(name="p", source_repos=patterns), url) is expected


DESTINATIONS = {
    "everything": ([to("*", "*", "*")], "demo", True),
    "nothing": ([], "demo", False),
    "by server": ([to("https://10.0.0.1:6443", "", "demo")], "demo", True),
    "by name": ([to("", "alpha", "demo")], "demo", True),
    "other namespace": ([to("", "alpha", "demo")], "other", False),
    "glob": ([to("https://10.*", "", "team-*")], "team-a", True),
    "neither name nor server": ([to("", "", "*")], "demo", False),
    "only a denied namespace": ([to("*", "", "!kube-system")], "demo", True),
    "the denied namespace": ([to("*", "", "!kube-system")], "kube-system", False),
    "denied before allowed": (
        [to("*", "", "!kube-system"), to("*", "", "*")],
        "kube-system",
        False,
    ),
    "denied server": ([to("!https://10.0.0.1*", "", "*"), to("*", "", "*")], "demo", False),
    "another server denied": ([to("!https://10.0.0.2*", "", "*")], "demo", True),
    "denied server, other namespace": (
        [to("!https://10.0.0.1*", "", "x"), to("*", "", "*")],
        "demo",
        True,
    ),
    "denied name": ([to("", "!alpha", "*"), to("*", "", "*")], "demo", False),
    "a denied name whose server is allowed": ([to("*", "!alpha", "*")], "demo", True),
}


@pytest.mark.parametrize(
    ("rules", "namespace", "expected"), DESTINATIONS.values(), ids=DESTINATIONS
)
def test_destinations(rules: list[DestinationRule], namespace: str, expected: bool) -> None:
    project = AppProject(name="p", destinations=tuple(rules))
    assert permits_destination(project, ALPHA, namespace) is expected


@pytest.mark.parametrize(
    "rule", [to("https://kubernetes.default.svc", "", "*"), to("", "in-cluster", "*")]
)
def test_the_management_cluster_is_meant_by_its_argo_names(rule: DestinationRule) -> None:
    project = AppProject(name="p", destinations=(rule,))
    assert permits_destination(project, HOME, "x")
    assert not permits_destination(project, ALPHA, "x")
    assert rules_for(project, HOME).namespaces == ("*",)


@pytest.mark.parametrize(("name", "expected"), [("team", True), ("other", False)])
def test_project_scoped_clusters(name: str, expected: bool) -> None:
    project = AppProject(name=name, destinations=(to("*", "*", "*"),), only_scoped_clusters=True)
    assert permits_destination(project, ALPHA, "demo") is expected
    assert rules_for(project, ALPHA).namespaces == (("*",) if expected else ())


PATTERNS = st.sampled_from(
    ["", "*", "alpha", "a*", "x", "!alpha", "!x", "https://10.*", "!https://10.0.0.1*"]
)
NAMESPACES = st.sampled_from(["*", "demo", "d*", "kube-system", "!kube-system", "!d*"])


@given(
    st.lists(st.builds(to, PATTERNS, PATTERNS, NAMESPACES), max_size=4),
    st.sampled_from(["demo", "kube-system", "other"]),
)
def test_agents_are_never_told_more_than_the_project_permits(
    rules: list[DestinationRule], namespace: str
) -> None:
    project = AppProject(name="p", destinations=tuple(rules))
    told = permits_object(
        rules_for(project, ALPHA),
        group="",
        kind="ConfigMap",
        name="x",
        namespace=namespace,
        namespaced=True,
    )
    if told:
        assert permits_destination(project, ALPHA, namespace)


@given(
    st.lists(
        st.builds(
            to,
            st.sampled_from(["*", "https://10.0.0.1:6443", "https://10.9.9.9"]),
            st.just(""),
            NAMESPACES,
        ),
        max_size=4,
    ),
    st.sampled_from(["demo", "kube-system", "other"]),
)
def test_for_usual_rules_agents_are_told_exactly_what_the_project_permits(
    rules: list[DestinationRule], namespace: str
) -> None:
    project = AppProject(name="p", destinations=tuple(rules))
    told = permits_object(
        rules_for(project, ALPHA),
        group="",
        kind="ConfigMap",
        name="x",
        namespace=namespace,
        namespaced=True,
    )
    assert told is permits_destination(project, ALPHA, namespace)


TOLD = {
    "a namespace denied": ([to("*", "", "!x")], ("*", "!x")),
    "server denied for one namespace": (
        [to("!https://10.0.0.1*", "", "x"), to("*", "", "*")],
        ("!x", "*"),
    ),
    "server denied but for one namespace": (
        [to("!https://10.0.0.1*", "", "!x"), to("*", "", "*")],
        ("!*", "*"),
    ),
    "server denied": ([to("!https://10.0.0.1*", "", "*"), to("*", "", "*")], ()),
    "name denied": ([to("", "!alpha", "x"), to("*", "", "*")], ()),
    "name denied beside its server": ([to("*", "!alpha", "x"), to("*", "", "*")], ()),
    "another cluster": ([to("", "beta", "x")], ()),
}


@pytest.mark.parametrize(("rules", "expected"), TOLD.values(), ids=TOLD)
def test_what_agents_are_told(rules: list[DestinationRule], expected: tuple[str, ...]) -> None:
    project = AppProject(name="p", destinations=tuple(rules))
    assert rules_for(project, ALPHA).namespaces == expected


KINDS = {
    "default project": (DEFAULT_PROJECT, "", "Namespace", False, True),
    "no cluster kinds": (AppProject(name="p"), "", "Namespace", False, False),
    "a cluster kind": (
        AppProject(name="p", cluster_kinds=(KindRule(group="", kind="Namespace"),)),
        "",
        "Namespace",
        False,
        True,
    ),
    "a named cluster kind": (
        AppProject(name="p", cluster_kinds=(KindRule(group="", kind="Namespace", name="team-*"),)),
        "",
        "Namespace",
        False,
        False,
    ),
    "denied wins": (
        AppProject(
            name="p",
            cluster_kinds=(KindRule(group="*", kind="*"),),
            cluster_kinds_denied=(KindRule(group="rbac*", kind="Cluster*"),),
        ),
        "rbac.authorization.k8s.io",
        "ClusterRole",
        False,
        False,
    ),
    "namespaced kinds: absent means all": (
        AppProject(name="p", destinations=(to("*", "", "*"),)),
        "apps",
        "Deployment",
        True,
        True,
    ),
    "namespaced kinds: empty means none": (
        AppProject(name="p", destinations=(to("*", "", "*"),), namespace_kinds=()),
        "apps",
        "Deployment",
        True,
        False,
    ),
    "namespaced kind denied": (
        AppProject(
            name="p",
            destinations=(to("*", "", "*"),),
            namespace_kinds_denied=(KindRule(group="apps", kind="*"),),
        ),
        "apps",
        "Deployment",
        True,
        False,
    ),
    "namespace not permitted": (
        AppProject(name="p", destinations=(to("*", "", "elsewhere"),)),
        "apps",
        "Deployment",
        True,
        False,
    ),
}


@pytest.mark.parametrize(
    ("project", "group", "kind", "namespaced", "expected"), KINDS.values(), ids=KINDS
)
def test_objects(
    project: AppProject, group: str, kind: str, namespaced: bool, expected: bool
) -> None:
    rules = rules_for(project, ALPHA)
    answer = permits_object(
        rules, group=group, kind=kind, name="demo", namespace="demo", namespaced=namespaced
    )
    assert answer is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Git.Example.com/A.git", "https://git.example.com/a"),
        ("git@git.example.com:a/b.git", "git@git.example.com/a/b"),
        ("ssh://git@git.example.com/a/b", "git@git.example.com/a/b"),
        ("ssh://git@git.example.com:22/a", "git@git.example.com:22/a"),
        ("*", "*"),
    ],
)
def test_urls_are_compared_in_one_form(url: str, expected: str) -> None:
    assert normalize_url(url) == expected
