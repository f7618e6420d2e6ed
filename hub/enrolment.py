"""Enrolment: ``fleet cluster add`` and ``fleet cluster remove``.

Adding makes an identity and a join token; with labels (or a server, or a project) it also declares the cluster,
as long as git has none of that name. Removing forgets the identity at once, or with ``--cascade`` after the agent
has reported everything gone. Leaving git alone never removes anything.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import structlog

from fleet.errors import BadInput
from fleet.model.identity import ClusterName
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.wire import api
from hub.ca import Authority
from hub.dispatch import Dispatcher
from hub.records import ClusterRecord, Records
from hub.rollup import Rollup
from hub.state import State

log = structlog.get_logger(__name__)

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(slots=True, kw_only=True)
class Enrolment:
    """The life of a cluster in the hub."""

    authority: Authority
    records: Records
    dispatcher: Dispatcher
    rollup: Rollup
    state: State
    external_url: str
    token_lifetime: timedelta
    evaluate: Callable[[], None]
    dispatch: Callable[[ClusterName], None]
    forgetting: Sequence[Callable[[ClusterName], Awaitable[None]]]
    """Drop what else is known of a removed cluster's targets: what they were asked, their pins, their deployments."""
    clock: Clock

    async def add(self, asked: api.AddCluster) -> api.JoinInstructions:
        """Make or renew a cluster's join token; declares the cluster where labels are given."""
        if not _NAME.fullmatch(asked.name):
            raise BadInput(
                f"{asked.name!r} is not a cluster name",
                hint="lower-case letters, digits, '-' and '.', at most 253",
            )
        name = ClusterName(asked.name)
        declared = bool(asked.labels or asked.server or asked.project)
        known = self.state.desired.clusters.get(name)
        if declared and known is not None and known.source.value == "git":
            raise BadInput(
                f"cluster {name!r} is declared in {known.where}; git decides its labels",
                hint="leave out --label, --server and --project",
            )
        token = await self.authority.create_cluster_token(name, self.token_lifetime)
        old = self.records.get(name)
        record = ClusterRecord(
            declared=declared or bool(old and old.declared),
            labels=asked.labels or (old.labels if old else {}),
            server=asked.server or (old.server if old else ""),
            project=asked.project or (old.project if old else ""),
        )
        await self.records.put(name, record)
        log.info("cluster added", **{fields.CLUSTER: name}, declared=record.declared)
        self.evaluate()
        expires = self.clock.now() + self.token_lifetime
        return api.JoinInstructions(
            name=name,
            token=token.text(),
            hub=self.external_url,
            expires=expires.isoformat(timespec="seconds"),
        )

    async def remove(self, name: ClusterName, *, cascade: bool) -> str:
        """Remove a cluster; returns a sentence for people."""
        known = self.state.desired.clusters.get(name)
        if known is not None and known.source.value == "git":
            raise BadInput(
                f"cluster {name!r} is declared in {known.where}",
                hint="take it out of git first; it is then detached and nothing on it changes",
            )
        has_agent = self.dispatcher.is_bound(name)
        if cascade and has_agent and self.state.statuses.get(name):
            record = self.records.get(name) or ClusterRecord()
            await self.records.put(name, msgspec.structs.replace(record, removing=True))
            self.evaluate()
            self.dispatch(name)
            return (
                f"removing {len(self.state.statuses[name])} applications from {name}; "
                f"the cluster is forgotten when its agent reports them gone"
            )
        await self.forget(name)
        return f"forgot cluster {name}" + ("" if cascade else "; nothing on it was changed")

    async def revoke(self, name: ClusterName) -> str:
        """Cut a cluster's agent off at once; the cluster stays, and a new agent joins with a new token."""
        await self.authority.revoke(name)
        log.warning("cluster revoked", **{fields.CLUSTER: name})
        return (
            f"the agent of {name} is cut off; fleet cluster add {name} makes a token for a new one"
        )

    async def finish_removal(self, name: ClusterName) -> None:
        """Forget a cluster that was being removed and is empty now."""
        if self.records.is_removing(name) and not self.state.statuses.get(name):
            await self.forget(name)

    async def forget(self, name: ClusterName) -> None:
        """Drop identity, record, assignment and report."""
        await self.authority.remove(name)
        await self.dispatcher.assignments.forget(name)
        await self.rollup.forget(name)
        for forget in self.forgetting:
            await forget(name)
        await self.records.remove(name)
        log.info("cluster removed", **{fields.CLUSTER: name})
        self.evaluate()
