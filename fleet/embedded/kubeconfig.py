"""A kubeconfig for an embedded server."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from fleet.codec.jsontypes import JsonObject


def kubeconfig(name: str, cluster: JsonObject, user: JsonObject) -> JsonObject:
    """A kubeconfig with everything in it, so that it works from any folder."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": user}],
    }


def write_kubeconfig(path: Path, content: JsonObject) -> Path:
    """Write it, readable by its owner only; JSON is YAML."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(msgspec.json.format(msgspec.json.encode(content), indent=1))
    return path
