"""Applications to targets: which cluster each one means, and whether its project lets it go there.

An Application that is refused (unknown project or cluster, a source or destination the project does not permit,
a field that is not built) still has its target where its cluster is known, but ``held``: what is deployed stays
as it is. Edges between targets are resolved by `fleet.graph` from the references given here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fleet.argo.permissions import permits_application_in, permits_destination, permits_source
from fleet.argo.reading import Problem
from fleet.argo.references import parse_references
from fleet.codec.identity import renewed
from fleet.codec.redaction import redact
from fleet.errors import BadInput, Denied, FleetError, Unsupported
from fleet.model.application import DEPENDS_ON, Application, Destination
from fleet.model.cluster import IN_CLUSTER_NAME, IN_CLUSTER_SERVER, Cluster
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.project import DEFAULT_PROJECT, AppProject
from fleet.model.target import Reference, Target
from fleet.model.world import World

INVALID_SPEC = "InvalidSpecError"
"""Argo CD's name of the condition for an Application that cannot be deployed as it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """All targets, without edges yet, and what is wrong with Applications."""

    targets: Mapping[TargetId, Target] = field(default_factory=dict)
    references: Mapping[TargetId, tuple[Reference, ...]] = field(default_factory=dict)
    """For `fleet.graph.resolve_edges`."""
    problems: tuple[Problem, ...] = ()
    """By Application name; a fatal one means that the target is held, or that there is none to hold."""


class ClusterIndex:
    """Clusters by what a destination can say."""

    def __init__(self, clusters: Iterable[Cluster], *, implicit_in_cluster: bool) -> None:
        self._by_name: dict[str, list[Cluster]] = {}
        self._by_server: dict[str, Cluster] = {}
        inside: Cluster | None = None
        for cluster in clusters:
            self._by_name.setdefault(cluster.name, []).append(cluster)
            self._by_server.setdefault(cluster.server, cluster)
            if cluster.management and inside is None:
                inside = cluster
        if inside is None and implicit_in_cluster:
            inside = Cluster(name=ClusterName(IN_CLUSTER_NAME), server=IN_CLUSTER_SERVER)
        if inside is not None:
            self._by_name.setdefault(IN_CLUSTER_NAME, [inside])
            self._by_server.setdefault(IN_CLUSTER_SERVER, inside)

    @classmethod
    def of(cls, world: World) -> ClusterIndex:
        """Index the clusters of a world."""
        return cls(world.clusters, implicit_in_cluster=world.implicit_in_cluster)

    def resolve(self, destination: Destination) -> Cluster:
        """Find the cluster that a destination means; raises BadInput."""
        name, server = destination.name, destination.server
        if name and server:
            raise BadInput(
                f"application destination can't have both name and server defined: {name} {server}",
                hint="keep one of them",
            )
        if server:
            found = self._by_server.get(server)
            if found is None:
                raise BadInput(f'cluster "{server}" not found', hint=self._near(server))
            return found
        if not name:
            raise BadInput("the destination names neither a cluster nor a server")
        clusters = self._by_name.get(name, [])
        if len(clusters) != 1:
            count = f"{len(clusters)} clusters" if clusters else "no clusters"
            raise BadInput(f"there are {count} with this name: {name}", hint=self._near(name))
        return clusters[0]

    def _near(self, word: str) -> str:
        known = self._by_server if "://" in word else self._by_name
        close = [item for item in difflib.get_close_matches(word, known, n=3) if item != word]
        if close:
            return "did you mean " + " or ".join(close) + "?"
        if word in (IN_CLUSTER_NAME, IN_CLUSTER_SERVER):
            return "mark the hub's own cluster with spec.management: true"
        return ""


def find_project(projects: Mapping[str, AppProject], name: str) -> AppProject | None:
    """Return a project; ``default`` exists even where nobody defined it."""
    return projects.get(name) or (DEFAULT_PROJECT if name == DEFAULT_PROJECT.name else None)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What became of one Application."""

    target: Target | None = None
    references: tuple[Reference, ...] | None = None
    problem: Problem | None = None


class KeptTargets:
    """What `resolve_targets` found, for the next time: an Application that is the same object is not judged again.

    The Applications of a mapping that was given in are taken to stay as they are.
    """

    def __init__(self) -> None:
        self._surroundings: object = None
        self._applications: Mapping[AppName, Application] = {}
        self._judged: dict[AppName, _Judged] = {}
        self._found = Targets()

    def resolve(self, applications: Mapping[AppName, Application], world: World) -> Targets:
        """Return what `resolve_targets` does; the same object when nothing is different."""
        surroundings = (world.clusters, world.projects, world.implicit_in_cluster)
        if surroundings != self._surroundings:
            self._applications = {}
        changed = renewed(applications, self._applications)
        came = [name for name in changed if name not in self._judged]
        is_short = len(self._judged) + len(came) == len(applications)
        gone = set() if is_short else self._judged.keys() - applications.keys()
        if changed or gone:
            index = ClusterIndex.of(world)
            judged = {name: _judge(applications[name], index, world) for name in changed}
            before = self._judged
            self._judged = {**before, **judged}
            for name in gone:
                del self._judged[name]
            self._found = (
                _collected(self._judged)
                if came or gone
                else _replaced(self._found, self._judged, before, judged)
            )
        self._surroundings, self._applications = surroundings, applications
        return self._found


def resolve_targets(
    applications: Mapping[AppName, Application], world: World, kept: KeptTargets | None = None
) -> Targets:
    """Give every Application its target; what cannot be deployed as written is held, with a problem.

    With the same ``kept`` every time, only Applications that changed cost anything; the result is equal.
    """
    return (kept or KeptTargets()).resolve(applications, world)


def refusal(application: Application, cluster: Cluster, projects: Mapping[str, AppProject]) -> str:
    """Say what forbids to deploy an Application to a cluster, by the rules that hold now; empty if nothing does."""
    try:
        _admit(application, cluster, projects)
    except FleetError as error:
        return redact(error.message)
    return ""


def _judge(application: Application, index: ClusterIndex, world: World) -> _Judged:
    try:
        cluster = index.resolve(application.destination)
    except BadInput as error:
        return _Judged(problem=_problem(application, error, "spec.destination"))
    id_ = TargetId(cluster.name, application.name)
    references: tuple[Reference, ...] | None = None
    try:
        references = _references(application)
        _admit(application, cluster, world.projects)
    except FleetError as error:
        return _Judged(
            target=Target(id=id_, application=application, held=redact(error.message)),
            references=references,
            problem=_problem(application, error, "spec"),
        )
    return _Judged(target=Target(id=id_, application=application), references=references)


def _collected(judged: Mapping[AppName, _Judged]) -> Targets:
    ordered = [judged[name] for name in sorted(judged)]
    placed = [(item.target, item.references) for item in ordered if item.target is not None]
    return Targets(
        targets={target.id: target for target, _ in placed},
        references={
            target.id: references for target, references in placed if references is not None
        },
        problems=_problems(judged),
    )


def _replaced(
    found: Targets,
    judged: Mapping[AppName, _Judged],
    before: Mapping[AppName, _Judged],
    changed: Mapping[AppName, _Judged],
) -> Targets:
    """Do what `_collected` does where only these are different; the cost is that of the difference."""
    pairs = [(before[name], item) for name, item in changed.items()]
    if any(_place(old) != _place(new) for old, new in pairs):
        return _collected(judged)
    fresh = {item.target.id: item for _, item in pairs if item.target is not None}
    targets = {id_: item.target for id_, item in fresh.items() if item.target is not None}
    references = found.references
    if any(old.references != new.references for old, new in pairs):
        references = {
            id_: items
            for id_, items in {
                **references,
                **{id_: item.references for id_, item in fresh.items()},
            }.items()
            if items is not None
        }
    problems = found.problems
    if any(old.problem or new.problem for old, new in pairs):
        problems = _problems(judged)
    return Targets(targets={**found.targets, **targets}, references=references, problems=problems)


def _place(item: _Judged) -> TargetId | None:
    return item.target.id if item.target is not None else None


def _problems(judged: Mapping[AppName, _Judged]) -> tuple[Problem, ...]:
    wrong = {name: item.problem for name, item in judged.items() if item.problem is not None}
    return tuple(wrong[name] for name in sorted(wrong))


def _references(application: Application) -> tuple[Reference, ...]:
    try:
        return parse_references(application.annotations.get(DEPENDS_ON, ""))
    except FleetError as error:
        raise error.at(field=f"metadata.annotations.{DEPENDS_ON}") from None


def _admit(application: Application, cluster: Cluster, projects: Mapping[str, AppProject]) -> None:
    """Raise for whatever forbids to deploy the Application to its cluster."""
    project = find_project(projects, application.project)
    if project is None:
        near = difflib.get_close_matches(application.project, [*projects, "default"], n=1)
        raise BadInput(
            f"application references project {application.project} which does not exist",
            hint=f"did you mean {near[0]}?" if near else "",
        ).at(field="spec.project")
    if not permits_application_in(project, application.namespace, projects):
        raise Denied(
            f"application in namespace '{application.namespace}' is not permitted to use project '{project.name}'",
            hint=f"add it to the project's sourceNamespaces, or write namespace {project.namespace}",
        ).at(field="metadata.namespace")
    for source in application.sources:
        if not permits_source(project, source.repo_url):
            raise Denied(
                f"application repo {source.repo_url} is not permitted in project '{project.name}'"
            ).at(field="spec.source.repoURL")
    namespace = application.destination.namespace
    if not permits_destination(project, cluster, namespace):
        raise Denied(
            f"application destination server '{cluster.server}' and namespace '{namespace}' "
            f"do not match any of the allowed destinations in project '{project.name}'"
        ).at(field="spec.destination")
    fields = (*application.unsupported, *(f"AppProject {item}" for item in project.unsupported))
    if fields:
        own = application.unsupported[:1]
        raise Unsupported(f"not supported yet: {', '.join(fields)}").at(
            field=own[0].partition(":")[0] if own else ""
        )
    if not application.sources:
        raise BadInput("the application has no source").at(field="spec.source")


def _problem(application: Application, error: FleetError, at: str) -> Problem:
    reason = error.reason if isinstance(error, Unsupported) else INVALID_SPEC
    where = replace(
        application.where,
        object=f"Application/{application.name}",
        field=error.where.field or at,
    )
    hint = f" ({error.hint})" if error.hint else ""
    return Problem(reason=reason, message=redact(error.message + hint), where=where)
