"""Rehearsal: what a sync would do, told by the API server itself and without writing anything.

Every object that the sync is about is sent as it would be, as a dry run: the server admits, defaults and validates it
and forgets it. What cannot be tried yet, for it needs something that the same sync brings, says so and is no failure.
"""

from __future__ import annotations

from collections.abc import Iterable

from agents.apply import Applier, together
from agents.run import Run
from agents.writing import Writer
from fleet.errors import FleetError
from fleet.kube.errors import NoNamespace, NotFound, UnknownKind
from fleet.kube.port import ClusterPort
from fleet.model.identity import ObjectRef
from fleet.model.report import ResourceResult
from fleet.sync.desired import Desired
from fleet.sync.manifest import NAMESPACE, Manifest
from fleet.sync.manner import Manner, manner_of
from fleet.sync.plan import Plan
from fleet.sync.record import MAX_RESULTS
from fleet.sync.request import SyncRequest, request_of
from fleet.sync.steps import Change, Verb

_FAILED, _SYNCED, _PRUNED, _SKIPPED = "SyncFailed", "Synced", "Pruned", "PruneSkipped"
_AT_ONCE = 10


class Rehearsal:
    """Tries syncs in one cluster."""

    def __init__(self, cluster: ClusterPort, applier: Applier, writer: Writer) -> None:
        self._cluster = cluster
        self._applier = applier
        self._writer = writer

    async def perform(self, run: Run, desired: Desired, plan: Plan) -> None:
        """Do a whole sync dry: its results are all that comes of it."""
        request, manner = request_of(run.operation), manner_of(run.section, run.operation)
        results = await self._all(desired, plan, request, manner)
        run.progress.results = list(results[:MAX_RESULTS])
        failed = [item for item in results if item.status == _FAILED]
        if failed:
            more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
            run.progress.broken = (
                f"one or more objects failed to apply (dry run): {failed[0].ref}{more}: "
                f"{failed[0].message}"
            )

    async def _all(
        self, desired: Desired, plan: Plan, request: SyncRequest, manner: Manner
    ) -> tuple[ResourceResult, ...]:
        """Tell what would become of everything: failures first, then what would change."""
        wanted = [item for item in desired.manifests if item.tracked and request.covers(item.ref)]
        coming = {item.ref.name for item in desired.manifests if _is_namespace(item.ref)}
        found = [
            _failure(problem.ref, problem.error)
            for problem in desired.problems
            if request.covers(problem.ref)
        ]
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            found += await together(self._try(item, plan, manner, coming) for item in part)
        prunes = [c for step in plan.steps if step.verb is Verb.PRUNE for c in step.changes]
        found += await together(self._try_deletion(change) for change in prunes)
        found += _kept(plan, desired, request, (change.ref for change in prunes))
        return tuple(sorted(found, key=_rank))

    async def _try(
        self, manifest: Manifest, plan: Plan, manner: Manner, coming: set[str]
    ) -> ResourceResult:
        ref = manifest.ref
        try:
            resource = await self._applier.resource_for(manifest)
            how = await self._writer.rehearse(resource, manifest.body, manner.of(manifest.body))
        except UnknownKind as error:
            return _untried(ref, error.message)
        except NoNamespace as error:
            if ref.namespace in coming:
                return _untried(ref, f"namespace {ref.namespace} comes with this sync")
            return _failure(ref, error)
        except FleetError as error:
            return _failure(ref, error)
        reason = plan.out_of_sync.get(ref)
        message = f"would be {how}: {reason}" if reason else "is as it should be"
        return ResourceResult(ref=str(ref), status=_SYNCED, message=message)

    async def _try_deletion(self, change: Change) -> ResourceResult:
        ref = change.ref
        try:
            resource = await self._applier.served(ref)
            if resource is not None:
                await self._cluster.delete(
                    resource, ref.namespace, ref.name, uid=change.uid, dry_run=True
                )
        except NotFound:
            return ResourceResult(ref=str(ref), status=_PRUNED, message="is gone already")
        except FleetError as error:
            return _failure(ref, error)
        return ResourceResult(ref=str(ref), status=_PRUNED, message="would be pruned")


def _kept(
    plan: Plan, desired: Desired, request: SyncRequest, pruned: Iterable[ObjectRef]
) -> list[ResourceResult]:
    """What left the artifact and would stay."""
    left = set(plan.out_of_sync) - desired.refs - set(pruned)
    return [
        ResourceResult(ref=str(ref), status=_SKIPPED, message="would stay: it is not to be pruned")
        for ref in sorted(left)
        if request.covers(ref)
    ]


def _failure(ref: ObjectRef, error: FleetError) -> ResourceResult:
    return ResourceResult(ref=str(ref), status=_FAILED, message=error.message)


def _untried(ref: ObjectRef, why: str) -> ResourceResult:
    return ResourceResult(ref=str(ref), status=_SYNCED, message=f"cannot be tried yet: {why}")


def _is_namespace(ref: ObjectRef) -> bool:
    return (ref.group, ref.kind) == NAMESPACE


def _rank(result: ResourceResult) -> tuple[int, int, str]:
    changes = not result.message.startswith("is ")
    return int(result.status != _FAILED), int(not changes), result.ref
