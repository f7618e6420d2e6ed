"""Clusters as git declares them: our own kind, and Argo CD's cluster Secrets.

Of a Secret only name, server and project are read; ``config`` holds credentials and is never looked at.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from fleet.argo.names import key_problem, subdomain_problem, value_problem
from fleet.argo.project_fields import CLUSTER, CLUSTER_SECRET
from fleet.argo.reading import Reader
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput, Where
from fleet.model.cluster import IN_CLUSTER_SERVER, Cluster, default_server
from fleet.model.identity import ClusterName

API_VERSION = "gitopsfleet.io/v1alpha1"
SECRET_TYPE = "argocd.argoproj.io/secret-type"  # noqa: S105  # a label's key


def read_cluster_document(document: JsonObject, *, where: Where) -> Cluster:
    """Read a Cluster or a cluster Secret; raises BadInput with the field that is wrong."""
    secret = is_cluster_secret(document)
    reader = Reader.of_value(document, where=where, strict=not secret)
    cluster = cluster_from(reader)
    reader.raise_first()
    assert cluster is not None
    return cluster


def is_cluster_secret(document: JsonValue) -> bool:
    """Tell whether a document is one of Argo CD's cluster Secrets."""
    if not isinstance(document, dict) or document.get("kind") != "Secret":
        return False
    metadata = document.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return isinstance(labels, dict) and labels.get(SECRET_TYPE) == "cluster"


def cluster_from(reader: Reader) -> Cluster | None:
    """Read a Cluster or a cluster Secret; what is wrong is in the reader, and None is returned then."""
    if is_cluster_secret(reader.value):
        return _from_secret(reader)
    document = reader.check(CLUSTER)
    if document is None:
        return None
    metadata = document["metadata"]
    fields = document.get("spec", {})
    problem = subdomain_problem(metadata["name"])
    if problem:
        reader.error(("metadata", "name"), problem)
    _judge_labels(metadata.get("labels", {}), reader)
    if reader.is_refused:
        return None
    return _cluster(metadata["name"], fields, metadata, where=reader.where)


def _from_secret(reader: Reader) -> Cluster | None:
    document = reader.check(CLUSTER_SECRET)
    if document is None:
        return None
    fields: dict[str, str] = {}
    for part in ("data", "stringData"):
        for name in ("name", "server", "project"):
            value = document.get(part, {}).get(name)
            if value is None:
                continue
            try:
                fields[name] = _decoded(value) if part == "data" else _plain(value)
            except BadInput as error:
                reader.error((part, name), error.message)
    for name in ("name", "server"):
        if not fields.get(name) and not reader.is_refused:
            reader.error(("data", name), "required and missing")
    if reader.is_refused:
        return None
    return _cluster(fields["name"], fields, document["metadata"], where=reader.where)


def _plain(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise BadInput("must be a string")
    return value


def _decoded(value: JsonValue) -> str:
    try:
        return base64.b64decode(_plain(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadInput("is not base64 of a text") from error


def _judge_labels(labels: Mapping[str, str], reader: Reader) -> None:
    for key, value in labels.items():
        problem = key_problem(key) or value_problem(value)
        if problem:
            reader.error(("metadata", "labels", key), problem)


def _cluster(name: str, fields: JsonObject, metadata: JsonObject, *, where: Where) -> Cluster:
    server = fields.get("server") or default_server(name)
    return Cluster(
        name=ClusterName(name),
        server=server,
        project=fields.get("project", ""),
        labels=metadata.get("labels", {}),
        annotations=metadata.get("annotations", {}),
        management=fields.get("management", False) or server == IN_CLUSTER_SERVER,
        where=where,
    )
