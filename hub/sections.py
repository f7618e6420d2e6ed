"""Sections: a target and what was decided about it, in the words an agent understands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from fleet import rollout
from fleet.argo.permissions import rules_for
from fleet.model.application import READY_WHEN, Automated
from fleet.model.assignment import DependsOn, Held, Hold, IgnoreRule, ProjectRules, Section
from fleet.model.cluster import Cluster
from fleet.model.project import AppProject
from fleet.model.target import Target
from fleet.rollout import Decision


def section_for(
    target: Target, decision: Decision, rules_of: Callable[[str], ProjectRules]
) -> Section:
    """Write the desired state of one target; ``rules_of`` gives a project's rules on its cluster."""
    application = target.application
    automated = application.sync_policy.automated or Automated()
    return Section(
        target=target.id.app,
        project=rules_of(application.project),
        appset=application.appset,
        namespace=application.destination.namespace,
        artifact=decision.digest,
        held=_held(decision, target),
        automated=application.sync_policy.automated is not None,
        prune=automated.prune,
        self_heal=automated.self_heal,
        allow_empty=automated.allow_empty,
        sync_options=application.sync_policy.options,
        deletion=application.deletion.value,
        depends_on=_edges(target),
        ready_when=application.annotations.get(READY_WHEN, ""),
        ignore=tuple(
            IgnoreRule(
                group=rule.group,
                kind=rule.kind,
                name=rule.name,
                namespace=rule.namespace,
                json_pointers=rule.json_pointers,
            )
            for rule in application.ignore_differences
        ),
    )


def project_rules(
    projects: Mapping[str, AppProject], cluster: Cluster | None
) -> Callable[[str], ProjectRules]:
    """Return what gives the rules of a project on one cluster; each is made once."""

    @functools.cache
    def rules_of(project: str) -> ProjectRules:
        known = projects.get(project)
        if known is None or cluster is None:
            return ProjectRules(name=project)
        return rules_for(known, cluster)

    return rules_of


def _held(decision: Decision, target: Target) -> Held | None:
    """Keep what changes with every report out of the section: it would make a new generation each time."""
    if decision.held is None or decision.held.reason is not Hold.DEPENDENCY:
        return decision.held
    waits = sorted(
        edge.reference.text
        for edge in target.edges
        if any(id_.cluster != target.id.cluster for id_ in edge.targets)
    )
    return Held(reason=Hold.DEPENDENCY, message=f"waits for {', '.join(waits)}")


def _edges(target: Target) -> tuple[DependsOn, ...]:
    return tuple(
        DependsOn(
            reference=edge.reference.text,
            targets=tuple(id_.app for id_ in edge.targets if id_.cluster == target.id.cluster),
            blocked=edge.blocked,
            note=edge.note,
        )
        for edge in rollout.local_edges(target)
    )
