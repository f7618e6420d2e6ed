"""Views: what people are shown, computed from the hub's facts. Pure reading; nothing is decided here.

The rule of truth: Synced or Healthy is only shown for the digest that is assigned and reported as applied, and
never from a report older than the lease.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import msgspec
from prometheus_client import Gauge

from fleet.health.result import worst
from fleet.model.application import Application
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.report import Health, Sync, TargetStatus
from fleet.model.target import Target
from fleet.wire import api
from hub import childviews, graphviews, windowviews
from hub.dispatch import Dispatcher
from hub.poller import Poller
from hub.problems import all_problems
from hub.records import Records
from hub.renderings import Renderings
from hub.rolloutviews import RolloutViews
from hub.rollup import Rollup
from hub.state import Hold, State
from hub.world import Worlds

AT_ONCE = 200
"""Rows that are made before others get their turn: 50,000 take a second, in which agents would wait."""
UNDER_WAY = ("Running", "Terminating")
CLUSTER_STATES = ("Connected", "Disconnected", "NotJoined", "Detached", "Removing")

_CLUSTERS = Gauge("fleet_hub_clusters", "Clusters by connection.", ["state"])
_HOLDS = Gauge("fleet_hub_holds", "Removals that wait for an approval.")


@dataclass(slots=True, kw_only=True)
class Views:
    """Everything that people ask for."""

    state: State
    rollup: Rollup
    dispatcher: Dispatcher
    records: Records
    renderings: Renderings
    worlds: Worlds
    poller: Poller
    rollouts: RolloutViews

    async def apps(self) -> api.AppList:
        """All targets, and those that left but are not gone yet."""
        ids = self.state.desired.targets.keys() | self.state.all_statuses().keys()
        rows = []
        for number, id_ in enumerate(sorted(ids)):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            rows.append(self.app(id_))
        rows += [self._refused(name) for name in sorted(self._without_target())]
        return api.AppList(items=tuple(sorted(rows, key=lambda row: (row.name, row.cluster))))

    def app(self, id_: TargetId) -> api.AppRow:
        """One row."""
        target = self.state.desired.targets.get(id_)
        status = self._shown(id_, target)
        decision = self.state.decisions.get(id_)
        waiting = decision.waiting_for if decision and decision.waiting_for else status.waiting_for
        age = self.rollup.age(id_.cluster)
        return api.AppRow(
            name=id_.app,
            cluster=id_.cluster,
            set=target.application.appset if target else "",
            project=target.application.project if target else "",
            sync=status.sync.value,
            health=status.health.value,
            revision=self.state.revisions.get(id_, ""),
            digest=self.state.assigned.get(id_, ""),
            waiting_for=waiting,
            message=self._message(id_, target, status),
            age_seconds=int(age.total_seconds()) if age is not None else None,
            operation=self._operation(id_, status),
        )

    def app_detail(self, id_: TargetId) -> api.AppDetail:
        """Everything about one target."""
        target = self.state.desired.targets[id_]
        application = target.application
        policy = application.sync_policy.automated
        status = self.rollup.shown(id_)
        pin = self.state.pins.get(id_)
        cluster = self.state.desired.clusters.get(id_.cluster)
        return api.AppDetail(
            app=self.app(id_),
            namespace=application.destination.namespace,
            server=cluster.server if cluster else "",
            sources=tuple(
                f"{source.repo_url} {source.chart or source.path} {source.target_revision}".strip()
                for source in application.sources
            ),
            automated=policy is not None,
            prune=bool(policy and policy.prune),
            self_heal=bool(policy and policy.self_heal),
            deletion=application.deletion.value,
            applied=status.applied,
            phase=status.phase.value,
            objects=status.objects,
            problems=tuple(
                api.ObjectRow(
                    ref=item.ref,
                    sync=item.sync.value,
                    health=item.health.value if item.health else None,
                    message=item.message,
                )
                for item in status.problems
            ),
            warnings=(
                *(f"{w.reason}: {w.message}" for w in application.warnings),
                *self.renderings.warnings(id_),
            ),
            operation=_operation(status),
            operation_state=_operation_row(status),
            pinned=pin.words if pin is not None else "",
            parents=application.parents,
            children=childviews.rows(self.state, id_, self._status),
            children_in_force=childviews.are_in_force(self.state, id_),
            windows=self._windows(application),
        )

    def appsets(self) -> api.AppSetList:
        """All ApplicationSets."""
        rows = [
            api.AppSetRow(
                name=item.name,
                applications=item.applications,
                reason=item.reason,
                errors=item.errors,
                held=item.held,
                last_good=item.last_good,
                rollout=self.rollouts.line(item.name),
            )
            for _, item in sorted(self.state.desired.sets.items())
        ]
        return api.AppSetList(items=tuple(rows))

    async def clusters(self) -> api.ClusterList:
        """Clusters of git, of the hub, and identities that nothing declares."""
        rows = []
        for name in sorted(self.cluster_names()):
            await asyncio.sleep(0)
            rows.append(self.cluster(name))
        return api.ClusterList(items=tuple(rows))

    def cluster_names(self) -> frozenset[ClusterName]:
        """Names of what `clusters` lists."""
        return self.records.names() | self.state.desired.clusters.keys()

    def export(self) -> None:
        """Let ``/metrics`` count what is shown, whenever it is asked."""
        for word in CLUSTER_STATES:
            _CLUSTERS.labels(word).set_function(partial(self._in_state, word))
        _HOLDS.set_function(lambda: len(self.state.holds))

    def _in_state(self, word: str) -> int:
        return sum(self._cluster_state(name) == word for name in self.cluster_names())

    def cluster(self, name: ClusterName) -> api.ClusterRow:
        """One cluster."""
        cluster = self.state.desired.clusters.get(name)
        rows = [self.app(target.id) for target in self.state.on_cluster(name).values()]
        seen = self.state.seen.get(name)
        facts = seen.facts if seen else None
        age = self.rollup.age(name)
        return api.ClusterRow(
            name=name,
            server=cluster.server if cluster else "",
            project=cluster.project if cluster else "",
            labels=dict(cluster.labels) if cluster else {},
            source=cluster.source.value if cluster else "none",
            management=bool(cluster and cluster.management),
            state=self._cluster_state(name),
            health=worst(Health(row.health) for row in rows).value,
            targets=len(rows),
            synced=sum(row.sync == Sync.SYNCED for row in rows),
            healthy=sum(row.health == Health.HEALTHY for row in rows),
            generation=self.dispatcher.assignments.generation(name),
            age_seconds=int(age.total_seconds()) if age is not None else None,
            kube_version=facts.kube_version if facts else "",
            agent_version=facts.agent_version if facts else "",
        )

    def holds(self) -> api.HoldList:
        """What waits for ``fleet approve``."""
        return api.HoldList(
            items=tuple(_hold(hold) for _, hold in sorted(self.state.holds.items()))
        )

    def appset_diff(self, name: str) -> api.AppSetDiff:
        """What waits of one ApplicationSet; of a hold on the whole fleet its own part."""
        own = set(self.state.desired.sets[name].applications)
        found = []
        for subject, hold in sorted(self.state.holds.items()):
            if subject == "fleet" and own & set(hold.removed):
                removed = tuple(item for item in hold.removed if item in own)
                found.append(msgspec.structs.replace(_hold(hold), removed=removed))
            elif subject == f"appset/{name}" or (
                subject.startswith("app/") and subject.rpartition("/")[2] in own
            ):
                found.append(_hold(hold))
        return api.AppSetDiff(name=name, holds=tuple(found))

    def explain(self, id_: TargetId) -> api.Explanation:
        """Why a target exists, what it waits for, and which row and edge decided."""
        target = self.state.desired.targets.get(id_)
        if target is None:
            return api.Explanation(
                target=str(id_), exists=False, why=self._why_not(id_), set="", row="", file="", line=0,
                decision="", edges=(), needed_by=(), app=None,
            )  # fmt: skip
        application = target.application
        where = application.where
        if application.parents:
            origin = childviews.origin(self.state, application)
        elif application.appset:
            row = application.row or "its generators"
            origin = f"ApplicationSet {application.appset} made it from {row}"
        else:
            origin = f"written by hand in {where.file}:{where.line}"
        decision = self.state.decisions.get(id_)
        held = decision.held if decision else None
        return api.Explanation(
            target=str(id_),
            exists=True,
            why=f"{origin}; its destination is cluster {id_.cluster}",
            set=application.appset,
            row=application.row,
            file=where.file,
            line=where.line,
            decision=f"held ({held.reason}): {held.message}" if held else "free to move",
            edges=tuple(graphviews.edge_row(self.state, edge) for edge in target.edges),
            needed_by=tuple(sorted(str(user) for user in self.state.users(id_))),
            app=self.app(id_),
            parents=application.parents,
            windows=self._windows(application),
        )

    def graph(self, cluster: str) -> api.Graph:
        """The dependency graph, of all clusters or of those targets that touch one."""
        return graphviews.shown(self.state, ClusterName(cluster) if cluster else None, self.app)

    def problems(self) -> api.ProblemList:
        """What is wrong with documents, sets, sources and what clusters report."""
        return api.ProblemList(
            items=tuple(
                api.ProblemRow(
                    reason=problem.reason,
                    message=problem.message,
                    object=problem.where.object,
                    file=problem.where.file,
                    line=problem.where.line,
                    field=problem.where.field,
                    fatal=problem.fatal,
                )
                for problem in all_problems(self.state, self.renderings.problems)
            )
        )

    def repositories(self) -> api.RepositoryList:
        """Every repository in use, with what is wrong with it right now."""
        fleet = [repo.status() for repo in self.worlds.repos]
        rows = [
            api.RepositoryRow(
                url=status.repository.repo_url,
                revision=status.repository.revision,
                path=status.repository.path,
                commit=status.commit,
                files=status.files,
                error=status.error or self.poller.errors.get(status.repository.repo_url, ""),
                fleet=True,
            )
            for status in fleet
        ]
        others = self.poller.wanted - {status.repository.repo_url for status in fleet}
        rows += [
            api.RepositoryRow(
                url=url, revision="", path="", commit="", files=0,
                error=self.poller.errors.get(url, ""), fleet=False,
            )
            for url in sorted(others)
        ]  # fmt: skip
        return api.RepositoryList(items=tuple(rows))

    def _operation(self, id_: TargetId, status: TargetStatus) -> str:
        """The phase of its operation: one that was asked for counts before its agent took it up."""
        phase = status.operation.phase if status.operation else ""
        is_waiting = phase not in UNDER_WAY and self.dispatcher.operations.is_asked(id_)
        return "Pending" if is_waiting else phase

    def _status(self, id_: TargetId) -> TargetStatus:
        """How a target stands, with all that it brings to the fleet."""
        return self._shown(id_, self.state.desired.targets.get(id_))

    def _shown(self, id_: TargetId, target: Target | None) -> TargetStatus:
        if target is None:
            return self.rollup.shown(id_)
        return childviews.shown(self.state, id_, self._own(id_), self._status)

    def _own(self, id_: TargetId) -> TargetStatus:
        status = self.rollup.shown(id_)
        candidate = self.state.candidates.get(id_)
        if candidate is not None and candidate.error:
            return _with(status, Sync.UNKNOWN)
        assigned = self.state.assigned.get(id_, "")
        wanted = candidate.digest if candidate else assigned
        if status.sync is Sync.SYNCED and (status.assigned != assigned or assigned != wanted):
            return _with(status, Sync.OUT_OF_SYNC)
        if not assigned:
            return TargetStatus(
                target=id_.app, sync=Sync.OUT_OF_SYNC, health=Health.MISSING, message=status.message
            )
        return status

    def _message(self, id_: TargetId, target: Target | None, status: TargetStatus) -> str:
        decision = self.state.decisions.get(id_)
        if id_.cluster in self.state.desired.detached:
            return f"cluster {id_.cluster} left the fleet repository; everything on it stays"
        if target is None and id_.app in self.state.desired.refused:
            return self.state.desired.refused[id_.app]
        if target is None:
            return status.message or "left the fleet repository; being removed"
        if decision and decision.held:
            return decision.held.message
        return childviews.message(self.state, id_) or status.message

    def _windows(self, application: Application) -> api.Windows | None:
        project = self.state.desired.projects.get(application.project)
        return windowviews.shown(application, project, self.rollup.clock.now())

    def _without_target(self) -> set[AppName]:
        with_target = {id_.app for id_ in self.state.desired.targets}
        reported = {id_.app for id_ in self.state.all_statuses()}
        return set(self.state.desired.refused) - with_target - reported

    def _refused(self, name: AppName) -> api.AppRow:
        application = self.state.desired.applications.get(name)
        return api.AppRow(
            name=name,
            cluster="",
            set=application.appset if application else "",
            project=application.project if application else "",
            sync=Sync.UNKNOWN.value,
            health=Health.UNKNOWN.value,
            revision="",
            digest="",
            waiting_for=(),
            message=self.state.desired.refused[name],
            age_seconds=None,
        )

    def _cluster_state(self, name: ClusterName) -> str:
        if self.records.is_removing(name):
            return "Removing"
        if not self.dispatcher.is_bound(name):
            return "NotJoined"
        if name in self.state.desired.detached:
            return "Detached"
        return "Connected" if self.rollup.is_connected(name) else "Disconnected"

    def _why_not(self, id_: TargetId) -> str:
        if id_.app in self.state.desired.refused:
            return self.state.desired.refused[id_.app]
        application = self.state.desired.applications.get(id_.app)
        if application is not None:
            places = [str(other) for other in self.state.desired.targets if other.app == id_.app]
            return f"the application is not on this cluster; it is {', '.join(places) or 'nowhere'}"
        if id_.cluster not in self.state.desired.clusters:
            return f"there is no cluster {id_.cluster!r} and no application {id_.app!r}"
        return f"no document and no ApplicationSet makes an application {id_.app!r}"


def _hold(hold: Hold) -> api.HoldRow:
    return api.HoldRow(
        subject=hold.subject,
        message=hold.message,
        removed=hold.removed,
        digest=hold.digest,
        added=hold.added,
        changed=hold.changed,
    )


def _with(status: TargetStatus, sync: Sync) -> TargetStatus:
    return msgspec.structs.replace(status, sync=sync)


def _operation_row(status: TargetStatus) -> api.OperationRow | None:
    """The operation under way on a target, or its last one."""
    found = status.operation
    if found is None:
        return None
    return api.OperationRow(
        id=found.id,
        kind=found.kind,
        phase=found.phase,
        message=found.message,
        started_at=found.started_at,
        finished_at=found.finished_at,
        retries=found.retries,
        resources=tuple(api.ResultRow(**msgspec.structs.asdict(item)) for item in found.resources),
    )


def _operation(status: TargetStatus) -> str:
    if status.operation is None:
        return ""
    return f"{status.operation.id} {status.operation.phase} {status.operation.message}".strip()
