"""What fault tests do to a fleet and read from it, beyond what `fleet.testing.fleets` has."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.testing.audit import AGENT, Cursor, Write
from fleet.testing.controlplane.access import MERGE_PATCH
from fleet.testing.controlplane.plane import ControlPlane
from fleet.testing.fleets import Fleet, Ran
from fleet.wire import api

STATE = "gitops-fleet"
"""The namespace of agents' state."""


def settings_of(config: Path) -> JsonObject:
    """Read a daemon's configuration file."""
    settings = yamldoc.load_one(config.read_text())
    assert isinstance(settings, dict)
    return settings


def change_settings(config: Path, **changes: JsonValue) -> None:
    """Replace top-level keys in a daemon's configuration file."""
    config.write_text(yamldoc.dump({**settings_of(config), **changes}))


def run_agent(fleet: Fleet, verb: str, config: Path, *, timeout: float = 60.0) -> Ran:
    """Run the agent's command to its end."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "agents", verb, "--config", str(config)],
        capture_output=True, text=True, timeout=timeout, check=False,
        env={**os.environ, **fleet.estate.environment},
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def new_token(fleet: Fleet, cluster: str) -> str:
    """Make a new join token, as ``fleet cluster add`` does."""
    asked = api.AddCluster(name=cluster)
    return fleet.estate.call("POST", "clusters", api.JoinInstructions, asked).token


def identity_of(plane: ControlPlane) -> JsonObject:
    """The identity that an agent keeps in its cluster."""
    secret = plane.get(f"/api/v1/namespaces/{STATE}/secrets/fleet-agent-identity")
    assert secret is not None, f"no agent has joined in {plane.name}"
    value = json.loads(base64.b64decode(secret["data"]["identity.json"]))
    assert isinstance(value, dict)
    return value


def expires(plane: ControlPlane) -> float:
    """When the certificate that an agent keeps expires, in seconds since the epoch."""
    return datetime.fromisoformat(str(identity_of(plane)["not_after"])).timestamp()


def positions(cursor: Cursor) -> list[tuple[int, int]]:
    """(epoch, generation) of the assignments that an agent wrote down before it applied them, in order."""
    found = []
    for write in cursor.writes(user=AGENT, namespace=STATE, resource="configmaps"):
        text = (write.request.get("data") or {}).get("position")
        if text:
            record = json.loads(text.partition("\n")[2])
            found.append((int(record["epoch"]), int(record["generation"])))
    return found


def writes_of_applications(cursor: Cursor) -> list[Write]:
    """What an agent wrote, its own state left out."""
    return [write for write in cursor.writes(user=AGENT) if write.namespace != STATE]


def spoil(plane: ControlPlane, path: str, **data: str) -> float:
    """Change a ConfigMap by hand; returns when (time.monotonic())."""
    answer = plane.request("PATCH", path, {"data": dict(data)}, content_type=MERGE_PATCH)
    assert answer.is_success(), answer
    return time.monotonic()


def wait_text(plane: ControlPlane, path: str, text: str, *, timeout: float = 30.0) -> None:
    """Wait until a ConfigMap's ``text`` is this."""
    plane.wait_for(
        path, lambda found: ((found or {}).get("data") or {}).get("text") == text, timeout=timeout
    )


def generation(fleet: Fleet, cluster: str) -> int:
    """The generation of the assignment that the hub offers a cluster."""
    return fleet.estate.call("GET", f"clusters/{cluster}", api.ClusterRow).generation
