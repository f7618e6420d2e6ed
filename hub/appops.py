"""What people do to an application: sync, terminate, roll back, delete. HTTP on one side, operations on the other.

A sync lets git decide again: a pin of an earlier rollback ends with it. It is for what git says at that moment, so a target
that is being rendered is waited for. An Application that a document or a set still
asks for cannot be deleted here, for the next evaluation would make it again: the answer says which file to change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from fleet.errors import BadInput, NotReady
from fleet.model.identity import TargetId
from fleet.model.target import Target
from fleet.runtime.clock import Clock
from fleet.wire import api
from fleet.wire.references import parse_resource
from hub.history import Deployment, History
from hub.operations import Operations
from hub.parents import Parents
from hub.peoplehttp import find_target, json_answer, read_body
from hub.rollbacks import Rollbacks, Wish
from hub.state import State

Arguments = dict[str, str | bool | int | list[str]]

PATIENCE = 10.0
"""Seconds that a sync waits for its target's rendering: a chart that hangs holds it no longer."""
_LOOK = 0.05


@dataclass(slots=True, kw_only=True)
class AppOperations:
    """Handlers below ``/api/v1/apps``."""

    state: State
    operations: Operations
    rollbacks: Rollbacks
    history: History
    may_go: Callable[[Target], None]
    """Raises BadInput for a target that its rollout never lets go."""
    let_go: Callable[[Target], Awaitable[None]]
    """Told that a person wants a target's newest artifact now, whatever its rollout says."""
    children: Parents
    dismiss: Callable[[str], Awaitable[str]]
    """Lets go of an Application by name that nothing asks for any more; returns a sentence for people."""
    is_rendering: Callable[[TargetId], bool]
    """Whether a target is about to be looked at: what it has and what it brings may be other things then."""
    clock: Clock

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post(f"{prefix}/apps/{{name}}/sync", self.sync),
            web.post(f"{prefix}/apps/{{name}}/terminate", self.terminate),
            web.get(f"{prefix}/apps/{{name}}/history", self.list_history),
            web.post(f"{prefix}/apps/{{name}}/rollback", self.roll_back),
            web.delete(f"{prefix}/apps/{{name}}", self.delete),
        ]

    async def sync(self, request: web.Request) -> web.Response:
        """Apply now, whatever the sync policy says."""
        asked = await read_body(request, api.SyncRequest)
        arguments = sync_arguments(asked)
        await self._rendered(self._target(request))
        target = self._target(request)  # it may have left meanwhile
        if not asked.dry_run and not asked.resources:
            wanted = self.state.desired.targets[target]
            self.may_go(wanted)  # before its pin is gone
            await self.rollbacks.release(target)
            await self.let_go(wanted)
            brought = await self.children.sync(target, prune=asked.prune)
            if brought and not self.children.is_bound(target.cluster):
                # no agent would ever end an operation; what the hub has to do it does
                return json_answer(_answer(target, "", "sync"), 202)
        operation = await self.operations.ask(target, "sync", arguments)
        return json_answer(_answer(target, operation.id, operation.kind), 202)

    async def terminate(self, request: web.Request) -> web.Response:
        """End the operation under way."""
        target = self._target(request)
        status = self.state.status(target)
        running = status.operation if status is not None else None
        asked = [
            item for item in self.operations.open_for(target.cluster) if item.target == target.app
        ]
        if not asked and (running is None or running.finished_at):
            raise NotReady(f"no operation of {target} is under way")
        operation = await self.operations.ask(target, "terminate", {})
        return json_answer(_answer(target, operation.id, operation.kind), 202)

    async def list_history(self, request: web.Request) -> web.Response:
        """What the application was brought to, newest first."""
        target = self._target(request)
        return json_answer(
            api.HistoryList(
                items=tuple(self._row(target, item) for item in reversed(self.history.of(target)))
            )
        )

    async def roll_back(self, request: web.Request) -> web.Response:
        """Bring it back to an earlier deployment."""
        asked = await read_body(request, api.RollbackRequest)
        target = self._target(request)
        wish = Wish(to=asked.id, pin=asked.pin, prune=asked.prune, reason=asked.reason)
        operation, deployment = await self.rollbacks.roll_back(target, wish)
        return json_answer(
            api.RollbackAnswer(
                target=str(target),
                operation=operation.id if operation is not None else "",
                deployment=self._row(target, deployment),
            ),
            202,
        )

    async def delete(self, request: web.Request) -> web.Response:
        """Let go of an application that nothing asks for any more."""
        return json_answer(api.Message(message=await self.dismiss(request.match_info["name"])))

    async def _rendered(self, target: TargetId) -> None:
        """Wait for what git says now, also right after a start: it is what somebody wants who asks for a sync."""
        until = self.clock.monotonic() + PATIENCE
        while self.is_rendering(target) and self.clock.monotonic() < until:
            await self.clock.sleep(_LOOK)

    def _target(self, request: web.Request) -> TargetId:
        return find_target(self.state, request.match_info["name"])

    def _row(self, target: TargetId, item: Deployment) -> api.HistoryRow:
        known = self.history.of(target)
        pin = self.state.pins.get(target)
        return api.HistoryRow(
            id=item.id,
            revision=item.revision,
            digest=item.digest,
            sources=item.sources,
            started_at=item.started_at.isoformat() if item.started_at else "",
            deployed_at=item.deployed_at.isoformat(),
            initiated_by=item.initiated_by,
            current=bool(known) and known[-1].id == item.id,
            pinned=pin is not None and pin.deployment == item.id,
        )


def sync_arguments(asked: api.SyncRequest) -> Arguments:
    """Put a request into the words of an operation; raises BadInput for what no agent could do."""
    if asked.strategy not in ("hook", "apply"):
        raise BadInput(f"strategy {asked.strategy!r}: hook or apply")
    for text in asked.options:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise BadInput(f"sync option {text!r} is not of the form NAME=VALUE")
    arguments: Arguments = {"prune": asked.prune}
    for key, flag in (
        ("dryRun", asked.dry_run),
        ("force", asked.force),
        ("replace", asked.replace),
    ):
        if flag:
            arguments[key] = True
    if asked.strategy != "hook":
        arguments["strategy"] = asked.strategy
    if asked.resources:
        arguments["resources"] = [str(parse_resource(text)) for text in asked.resources]
    if asked.options:
        arguments["options"] = list(asked.options)
    if asked.retry_limit is not None:
        arguments["retryLimit"] = asked.retry_limit
    return arguments


def _answer(target: TargetId, id_: str, kind: str) -> api.OperationAnswer:
    return api.OperationAnswer(id=id_, target=str(target), kind=kind)
