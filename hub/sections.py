"""Sections: a target and what was decided about it, in the words an agent understands."""

from __future__ import annotations

from collections.abc import Mapping

from fleet import moves
from fleet.argo.permissions import rules_for
from fleet.argo.windows import windows_for
from fleet.model.application import (
    COMPARE_OPTIONS,
    DELETION_APPROVED,
    READY_WHEN,
    Application,
    Automated,
    Retry,
)
from fleet.model.assignment import (
    DependsOn,
    Held,
    Hold,
    IgnoreRule,
    ProjectRules,
    RetryPolicy,
    Section,
    Window,
)
from fleet.model.cluster import Cluster
from fleet.model.project import AppProject
from fleet.model.target import Target
from fleet.moves import Decision


def section_for(target: Target, decision: Decision, projects: ProjectsHere) -> Section:
    """Write the desired state of one target."""
    application = target.application
    automated = application.sync_policy.automated or Automated()
    metadata = application.sync_policy.namespace_metadata
    return Section(
        target=target.id.app,
        project=projects.rules(application.project),
        appset=application.appset,
        namespace=application.destination.namespace,
        artifact=decision.digest,
        held=_held(decision, target),
        automated=application.sync_policy.automated is not None or decision.automated,
        prune=automated.prune or (decision.automated and _prunes_when_rolled_out(application)),
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
                jq_expressions=rule.jq_expressions,
                managers=rule.managers,
            )
            for rule in application.ignore_differences
        ),
        retry=_retry(application.sync_policy.retry),
        windows=projects.windows(application),
        namespace_labels=dict(metadata.labels) if metadata else None,
        namespace_annotations=dict(metadata.annotations) if metadata else None,
        compare_options=_words(application.annotations.get(COMPARE_OPTIONS, "")),
        deletion_approved=application.annotations.get(DELETION_APPROVED, ""),
        ungated=decision.ungated,
    )


def _prunes_when_rolled_out(application: Application) -> bool:
    """Of an automated block that is switched off a rollout still takes ``prune``, as Argo CD's does (argo.md 1.7)."""
    policy = application.document.get("spec", {}).get("syncPolicy", {})
    return (policy.get("automated") or {}).get("prune") is True


def _retry(retry: Retry | None) -> RetryPolicy | None:
    if retry is None:
        return None
    return RetryPolicy(
        limit=retry.limit,
        wait=retry.wait.total_seconds(),
        factor=retry.factor,
        max_wait=retry.max_wait.total_seconds(),
        refresh=retry.refresh,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


class ProjectsHere:
    """What the projects say on one cluster; each one's rules are made once."""

    def __init__(self, projects: Mapping[str, AppProject], cluster: Cluster | None) -> None:
        self._projects = projects
        self._cluster = cluster
        self._rules: dict[str, ProjectRules] = {}

    def rules(self, project: str) -> ProjectRules:
        """The limits on objects; an unknown project permits none."""
        if project not in self._rules:
            known = self._projects.get(project)
            if known is None or self._cluster is None:
                self._rules[project] = ProjectRules(name=project)
            else:
                self._rules[project] = rules_for(known, self._cluster)
        return self._rules[project]

    def windows(self, application: Application) -> tuple[Window, ...]:
        """The sync windows that concern an Application."""
        known = self._projects.get(application.project)
        return windows_for(known.windows, application) if known is not None else ()


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
        for edge in moves.local_edges(target)
    )
