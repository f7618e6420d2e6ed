"""Reads API servers' audit logs: who wrote what and when, as the server itself says.

cursor = Cursor(plane)          # from here on
...
cursor.writes(user="fleet-agent", resource="configmaps", namespace="shop")
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.testing.controlplane.plane import ControlPlane

AGENT = "fleet-agent"
"""The user that agents of tests log in as."""
WRITING = frozenset(("create", "update", "patch", "delete", "deletecollection"))

READING = frozenset(("get", "list", "watch"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One request that the API server carried out, or refused."""

    received: float
    """When the request arrived, in seconds since the epoch."""
    done: float
    """When it was answered; from then on readers and watchers see it."""
    verb: str
    user: str
    resource: str
    """Plural, as in a URL."""
    subresource: str
    namespace: str
    name: str
    status: int
    dry_run: bool
    request: JsonObject
    response: JsonObject

    @property
    def is_creation(self) -> bool:
        """Whether the object was not there before: a POST, or a server-side apply that made it."""
        return self.status == 201 and not self.dry_run

    def __str__(self) -> str:
        place = "/".join(part for part in (self.resource, self.namespace, self.name) if part)
        return f"{self.user} {self.verb} {place} {self.subresource}".rstrip() + f": {self.status}"


class Cursor:
    """A cluster's audit log from the moment this is made."""

    def __init__(self, plane: ControlPlane) -> None:
        if plane.audit_log is None:
            raise BadInput(f"cluster {plane.name} has no audit log; start it with audit=True")
        self._file = plane.audit_log
        self._start = self._file.stat().st_size if self._file.exists() else 0

    def writes(
        self,
        *,
        user: str = "",
        resource: str = "",
        namespace: str = "",
        name: str = "",
        dry_runs: bool = False,
    ) -> list[Write]:
        """Successful writes, oldest first (by arrival), that match everything given."""
        found = (
            write
            for write in self._all()
            if user in ("", write.user)
            and resource in ("", write.resource)
            and namespace in ("", write.namespace)
            and name in ("", write.name)
            and write.status < 400
            and (dry_runs or not write.dry_run)
        )
        return sorted(found, key=lambda write: write.received)

    def reads(self, *, user: str, resource: str, verb: str = "") -> list[Write]:
        """Reads of a kind of object (verbs get, list and watch); they carry no bodies."""
        return [
            event
            for event in self._all(READING)
            if event.user == user and event.resource == resource and verb in ("", event.verb)
        ]

    def _all(self, verbs: frozenset[str] = WRITING) -> Iterator[Write]:
        if not self._file.exists():
            return
        with self._file.open("rb") as log:
            log.seek(self._start)
            for line in log.read().split(b"\n")[:-1]:  # the last line may be half written
                event = json.loads(line)
                if event["verb"] in verbs and "objectRef" in event:
                    yield _write(event)


def _write(event: JsonObject) -> Write:
    place = event["objectRef"]
    response = event.get("responseObject") or {}
    return Write(
        received=_seconds(event["requestReceivedTimestamp"]),
        done=_seconds(event["stageTimestamp"]),
        verb=event["verb"],
        user=event["user"]["username"],
        resource=place.get("resource", ""),
        subresource=place.get("subresource", ""),
        namespace=place.get("namespace", ""),
        name=place.get("name") or (response.get("metadata") or {}).get("name", ""),
        status=(event.get("responseStatus") or {}).get("code", 0),
        dry_run="dryRun=" in event["requestURI"] or "dryRun" in (event.get("requestObject") or {}),
        request=event.get("requestObject") or {},
        response=response,
    )


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
