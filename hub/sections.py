"""Sections: a target and what was decided about it, in the words an agent understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet import moves
from fleet.argo.permissions import rules_for
from fleet.argo.windows import windows_for
from fleet.codec.canonical import Digest, digest_bytes
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
from fleet.model.identity import AppName
from fleet.model.project import AppProject
from fleet.model.target import Target
from fleet.moves import Decision
from fleet.wire.sections import encode_section
from hub.assignments import TargetRecord


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


@dataclass(frozen=True, slots=True)
class _Written:
    """The digest of a section, and all that it was written of."""

    target: Target
    decision: tuple[object, ...]
    project: AppProject | None
    cluster: Cluster | None
    digest: Digest

    def is_of(self, target: Target, decision: tuple[object, ...], projects: ProjectsHere) -> bool:
        return (
            self.target is target
            and self.decision == decision
            and self.project == projects.project(target.application.project)
            and self.cluster == projects.cluster
        )


class WrittenSections:
    """The sections of one cluster: what nothing is different of is not written again.

    Their bytes are with the assignment that stands; only where that names another section are they needed.
    """

    def __init__(self) -> None:
        self._old: dict[AppName, _Written] = {}
        self._new: dict[AppName, _Written] = {}
        self._stands: Mapping[str, TargetRecord] = {}

    def begin(self, stands: Mapping[str, TargetRecord]) -> None:
        """Write the sections of another draft; what the last one did not write is forgotten."""
        self._old, self._new, self._stands = self._new, {}, stands

    def write(
        self, target: Target, decision: Decision, projects: ProjectsHere
    ) -> tuple[Digest, bytes]:
        """Return the digest of a target's section and its bytes, or none where the section that stands is this one."""
        name = target.id.app
        key = decision.digest, _held(decision, target), decision.automated, decision.ungated
        known = self._old.get(name)
        if known is not None and known.is_of(target, key, projects):
            record = self._stands.get(name)
            if record is not None and record.section == known.digest:
                self._new[name] = known
                return known.digest, b""
        data = encode_section(section_for(target, decision, projects))
        digest = digest_bytes(data)
        project = projects.project(target.application.project)
        self._new[name] = _Written(target, key, project, projects.cluster, digest)
        return digest, data


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
        self.cluster = cluster
        self._rules: dict[str, ProjectRules] = {}

    def project(self, name: str) -> AppProject | None:
        """Return a project."""
        return self._projects.get(name)

    def rules(self, project: str) -> ProjectRules:
        """The limits on objects; an unknown project permits none."""
        if project not in self._rules:
            known = self._projects.get(project)
            if known is None or self.cluster is None:
                self._rules[project] = ProjectRules(name=project)
            else:
                self._rules[project] = rules_for(known, self.cluster)
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
