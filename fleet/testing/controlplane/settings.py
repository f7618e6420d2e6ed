"""What a cluster may be asked to have, who may log in to it, and the files that its programs read."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput

MASTERS = ("system:masters",)
ADMIN = "admin"
CONTROLLERS = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
KUBELET = "system:node:node-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What one cluster has beyond etcd and an API server."""

    controllers: bool = True
    """Run the controller manager: namespaces end, owners are followed, Deployments report their status."""
    pods: bool = False
    """Run the scheduler and KWOK with one node, so that Pods turn Ready."""
    ready_delay: float = 0.0
    """Seconds between a Pod's being scheduled and its turning Ready; a Pod's own annotation
    ``pod-ready.stage.kwok.x-k8s.io/delay: 5s`` overrides it."""
    audit: bool = False
    """Write an audit log: writes with request and response, reads with metadata."""
    users: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further users, with their groups; the usual ones are there anyway."""


USERS: Mapping[str, tuple[str, ...]] = {
    ADMIN: MASTERS,
    "fleet-agent": MASTERS,
    "developer": MASTERS,
    CONTROLLERS: MASTERS,
    SCHEDULER: MASTERS,
    KUBELET: MASTERS,
}
"""Who may log in to every cluster. Names differ so that an audit log tells who wrote what."""


def new_tokens(options: Options) -> dict[str, str]:
    """A fresh token for every user."""
    return {user: secrets.token_urlsafe(24) for user in (*USERS, *options.users)}


def token_file(tokens: Mapping[str, str], options: Options) -> str:
    """The API server's ``--token-auth-file``."""
    groups = {**USERS, **options.users}
    rows = (f'{token},{user},{user},"{",".join(groups[user])}"' for user, token in tokens.items())
    return "\n".join(rows) + "\n"


def signing_key() -> str:
    """A P-256 private key for service account tokens, as PEM; its public half is derived by the reader.

    The DER is RFC 5915's ECPrivateKey {1, secret, [0] prime256v1}, short enough to be written down.
    """
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    secret = (secrets.randbelow(order - 1) + 1).to_bytes(32)
    der = bytes.fromhex("30310201010420") + secret + bytes.fromhex("a00a06082a8648ce3d030107")
    label = "EC PRIVATE KEY"
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def audit_policy() -> JsonObject:
    """Who did what; without the chatter of events, leases and probes."""
    quiet = [
        {"group": "", "resources": ["events"]},
        {"group": "events.k8s.io"},
        {"group": "coordination.k8s.io"},
    ]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": False,
        "rules": [
            {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*", "/metrics"]},
            {"level": "None", "resources": quiet},
            {  # when a custom resource definition is served is written by the API server itself
                "level": "RequestResponse",
                "users": ["system:apiserver"],
                "resources": [
                    {
                        "group": "apiextensions.k8s.io",
                        "resources": ["customresourcedefinitions/status"],
                    }
                ],
            },
            {"level": "None", "users": ["system:apiserver"]},
            {"level": "Metadata", "verbs": ["get", "list", "watch"]},
            {"level": "RequestResponse"},
        ],
    }


def kwok_config(stages: Path, ready_delay: float) -> str:
    """KWOK's own stages for nodes and Pods, with a delay before a Pod turns Ready."""
    documents = []
    for path in sorted(stages.glob("*/fast/*.yaml")):
        text = path.read_text()
        documents.append(_delayed(text, ready_delay) if path.name == "pod-ready.yaml" else text)
    return "---\n".join(documents)


def _delayed(stage: str, seconds: float) -> str:
    before, separator, after = stage.partition("\n  next:\n")
    if not separator or "\n  delay:" in stage:
        raise BadInput("KWOK's pod-ready stage has another form than expected")
    annotation = """'.metadata.annotations["pod-ready.stage.kwok.x-k8s.io/delay"]'"""
    delay = f"\n  delay:\n    durationMilliseconds: {round(seconds * 1000)}\n    durationFrom:\n      expressionFrom: {annotation}"
    return before + delay + separator + after


def node() -> JsonObject:
    """The one node; KWOK fills its status."""
    labels = {
        "kubernetes.io/hostname": "node-1",
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "labels": labels}}


def scheduler_config(folder: Path) -> str:
    """The scheduler's configuration file; the limits on its requests have no flags."""
    connection = {"kubeconfig": str(folder / "scheduler.kubeconfig"), "qps": 500, "burst": 1000}
    return json.dumps(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": connection,
            "leaderElection": {"leaderElect": False},
            "enableProfiling": False,
        }
    )


def ca_file(folder: Path) -> Path:
    """The certificate that the API server made for itself, with the authority behind it."""
    return folder / "certificates" / "apiserver.crt"
