"""Clusters from our own kind and from Argo CD's Secrets."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from fleet.argo.clusters import read_cluster_document
from fleet.errors import BadInput, Where
from fleet.model.cluster import Cluster

WHERE = Where(file="clusters.yaml", line=4)


def declared(**spec: object) -> Cluster:
    return read_cluster_document(
        {
            "apiVersion": "gitopsfleet.io/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": "alpha", "labels": {"env": "prod"}, "annotations": {"a": "b"}},
            "spec": spec,
        },
        where=WHERE,
    )


def secret(**parts: object) -> dict[str, Any]:
    labels = {"argocd.argoproj.io/secret-type": "cluster", "env": "prod"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "cluster-alpha", "labels": labels},
        **parts,
    }


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_cluster_of_our_kind() -> None:
    cluster = declared(server="https://10.0.0.1", project="team", management=True)
    assert (cluster.name, cluster.server, cluster.project) == ("alpha", "https://10.0.0.1", "team")
    assert cluster.management
    assert cluster.labels == {"env": "prod"}
    assert cluster.annotations == {"a": "b"}
    assert cluster.where == Where(object="Cluster/alpha", file="clusters.yaml", line=4)


def test_the_server_has_a_default_that_nobody_dials() -> None:
    assert declared().server == "https://alpha.clusters.gitopsfleet.internal"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"server": 5}, "spec.server"),
        ({"management": "yes"}, "spec.management"),
        ({"labels": {"a": "b"}}, "spec.labels"),
    ],
)
def test_a_bad_field_is_an_error(fields: dict[str, object], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        declared(**fields)
    assert caught.value.where == Where(
        object="Cluster/alpha", file="clusters.yaml", line=4, field=field
    )


@pytest.mark.parametrize(
    "parts",
    [
        {"data": {"name": b64("alpha"), "server": b64("https://x"), "project": b64("team")}},
        {"stringData": {"name": "alpha", "server": "https://x", "project": "team"}},
        {
            "data": {"name": b64("other"), "server": b64("https://x")},
            "stringData": {"name": "alpha", "project": "team"},
        },
    ],
    ids=["data", "stringData", "both"],
)
def test_a_cluster_secret(parts: dict[str, object]) -> None:
    cluster = read_cluster_document(secret(**parts), where=WHERE)
    assert (cluster.name, cluster.server, cluster.project) == ("alpha", "https://x", "team")
    assert cluster.labels["env"] == "prod"
    assert not cluster.management


def test_config_is_never_read() -> None:
    parts = {"name": "a", "server": "https://x", "config": "CANARY {not json"}
    cluster = read_cluster_document(secret(stringData=parts), where=WHERE)
    assert "CANARY" not in repr(cluster)


def test_the_secret_of_the_local_cluster_is_the_management_cluster() -> None:
    parts = {"name": "home", "server": "https://kubernetes.default.svc"}
    assert read_cluster_document(secret(stringData=parts), where=WHERE).management


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"data": {"name": "%%%", "server": b64("https://x")}}, "data.name"),
        ({"data": {"name": b64("a")}}, "data.server"),
        ({"stringData": {"server": "https://x"}}, "data.name"),
        ({"data": {"name": "/w==", "server": b64("https://x")}}, "data.name"),
    ],
    ids=["not base64", "no server", "no name", "not a text"],
)
def test_a_bad_secret(parts: dict[str, object], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_cluster_document(secret(**parts), where=WHERE)
    assert caught.value.where.field == field
    assert "%%%" not in str(caught.value)
