"""What the agents' listener asks of the rest of the hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fleet.codec.canonical import Digest
from fleet.model.assignment import SignedHead
from fleet.model.identity import ClusterName
from fleet.model.report import Report, ReportAnswer


@dataclass(frozen=True, slots=True)
class CurrentHead:
    """A signed head and the name that changes with it."""

    signed: SignedHead
    etag: str


class Assignments(Protocol):
    """What clusters are assigned; every question is scoped to the asking cluster."""

    def current(self, cluster: ClusterName) -> CurrentHead | None:
        """Return the head; None before there ever was one."""
        ...

    async def changed(
        self,
        cluster: ClusterName,
        etag: str,
        timeout: float,  # noqa: ASYNC109  # a poll that ends is an answer, not an error
    ) -> CurrentHead | None:
        """Wait for a head with another ETag; None when the time (seconds) is over."""
        ...

    async def section(self, cluster: ClusterName, digest: Digest) -> bytes | None:
        """Return a section; None where it is not there or not for this cluster."""
        ...

    async def artifact(self, cluster: ClusterName, digest: Digest) -> bytes | None:
        """Return an artifact's canonical bytes; None where it is not there or not for this cluster."""
        ...


class Reports(Protocol):
    """Where reports go."""

    async def accept(self, cluster: ClusterName, report: Report) -> ReportAnswer:
        """Take a report; durable when this returns."""
        ...

    def seen(self, cluster: ClusterName) -> None:
        """Note a sign of life."""
        ...
