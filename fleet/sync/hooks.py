"""Hooks: objects that are run at a point of a sync instead of being kept. Argo CD's, and Helm's mapped to them.

What an object asks for by annotation, and what one operation makes of it: a task for each phase, with a name of its own
where the object has only a prefix of one, and marks by which its run is found again in the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fleet.codec.canonical import digest_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.model.identity import ObjectRef
from fleet.sync import order
from fleet.sync.manifest import (
    OWNED_LABEL,
    OWNED_VALUE,
    TRACKING_ID,
    annotation,
    metadata_of,
    tracking_id,
)
from fleet.sync.phases import SyncPhase

HOOK = "argocd.argoproj.io/hook"
HELM_HOOK = "helm.sh/hook"
_DELETE_POLICY = "argocd.argoproj.io/hook-delete-policy"
_HELM_DELETE_POLICY = "helm.sh/hook-delete-policy"
RUN = "gitopsfleet.io/hook-run"
"""Annotation on a hook's object: the run that it is of."""
FINALIZER = "gitopsfleet.io/hook"
"""Holds a hook's object until its result is on record: a Job that clears itself away is not gone unseen."""

_SKIP = "Skip"
_CRD_INSTALL = "crd-install"
_HELM_PHASES = {
    "pre-install": SyncPhase.PRE_SYNC,
    "pre-upgrade": SyncPhase.PRE_SYNC,
    "post-install": SyncPhase.POST_SYNC,
    "post-upgrade": SyncPhase.POST_SYNC,
    "pre-delete": SyncPhase.PRE_DELETE,
    "post-delete": SyncPhase.POST_DELETE,
}
_NAME_LIMIT = 63
"""Of a Job's name, which becomes a label."""


class DeletePolicy(StrEnum):
    """When a hook's object is deleted."""

    BEFORE_CREATION = "BeforeHookCreation"
    """Right before it is created anew."""
    SUCCEEDED = "HookSucceeded"
    """When the whole operation succeeded."""
    FAILED = "HookFailed"
    """When the operation failed."""


_HELM_POLICIES = {
    "before-hook-creation": DeletePolicy.BEFORE_CREATION,
    "hook-succeeded": DeletePolicy.SUCCEEDED,
    "hook-failed": DeletePolicy.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A hook as it shall be run in one cluster; its namespace filled."""

    ref: ObjectRef
    """Its name is only a prefix where it is generated."""
    api_version: str
    body: JsonObject
    wave: int
    phases: tuple[SyncPhase, ...]
    policies: frozenset[DeletePolicy]
    generated: bool = False

    def places(self) -> Iterable[tuple[ObjectRef, order.Place]]:
        """Where it takes part in a sync, for what has to be there before."""
        for phase in self.phases:
            if phase.rank <= SyncPhase.SYNC_FAIL.rank:
                yield self.ref, (phase.rank, self.wave)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of one operation, as far as its hooks are named after it."""

    operation: str
    artifact: str = ""
    started: int = 0
    """Seconds since the epoch, as on record: a restart makes the same names again."""
    number: int = 0

    def run_in(self, phase: SyncPhase) -> str:
        """Name its run of a phase's hooks, as it is written on their objects."""
        return f"{self.operation}/{self.started}/{self.number}/{phase.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookTask:
    """One run of a hook in one phase."""

    phase: SyncPhase
    ref: ObjectRef
    key: order.Key
    run: str
    hook: Hook
    is_started: bool = False

    @property
    def wave(self) -> int:
        """Its wave."""
        return self.hook.wave

    @property
    def place(self) -> order.Place:
        """Its phase and wave."""
        return self.phase.rank, self.hook.wave


def phases_of(body: JsonObject) -> tuple[SyncPhase, ...] | None:
    """Return the phases of a hook, in order: none for one that is never run, None for a plain object."""
    words = _words(annotation(body, HOOK))
    if words == {_SKIP}:
        return ()
    found = {SyncPhase(word) for word in words if word in set(SyncPhase)}
    helm = _words(annotation(body, HELM_HOOK))
    if not found and helm and not words and helm == {_CRD_INSTALL}:
        return None
    if not found:
        found = {_HELM_PHASES[word] for word in helm if word in _HELM_PHASES}
    if not found and not words and not helm:
        return None
    return tuple(sorted(found, key=lambda phase: phase.rank))


def unknown_phases(body: JsonObject) -> tuple[str, ...]:
    """Name what an object asks for as a hook that no sync has."""
    return tuple(sorted(_words(annotation(body, HOOK)) - {*SyncPhase, _SKIP}))


def policies_of(body: JsonObject) -> frozenset[DeletePolicy]:
    """Return when a hook is deleted."""
    own = {
        DeletePolicy(w) for w in _words(annotation(body, _DELETE_POLICY)) if w in set(DeletePolicy)
    }
    helm = _words(annotation(body, _HELM_DELETE_POLICY))
    own |= {_HELM_POLICIES[word] for word in helm if word in _HELM_POLICIES}
    return frozenset(own or {DeletePolicy.BEFORE_CREATION})


def is_someones_hook(body: JsonObject) -> bool:
    """Whether a live object was made as a hook, by whatever program: such a one may be made anew."""
    return any(annotation(body, name) for name in (RUN, HOOK, HELM_HOOK))


def is_held(body: JsonObject) -> bool:
    """Whether our finalizer is on a live object, which says that the result of its run may not be on record."""
    return FINALIZER in (metadata_of(body).get("finalizers") or ())


def tasks(hooks: Iterable[Hook], attempt: Attempt) -> tuple[HookTask, ...]:
    """Make one task for each hook and phase, in order."""
    found = [_task(hook, phase, attempt) for hook in hooks for phase in hook.phases]
    return tuple(sorted(found, key=lambda task: task.key))


def body_of(task: HookTask, app: str) -> JsonObject:
    """Write a hook's object: named, marked as ours, held until its result is on record."""
    metadata = dict(metadata_of(task.hook.body))
    for name in ("generateName", "creationTimestamp", "managedFields", "namespace"):
        metadata.pop(name, None)
    metadata["name"] = task.ref.name
    if task.ref.namespace:
        metadata["namespace"] = task.ref.namespace
    metadata["labels"] = {**(metadata.get("labels") or {}), OWNED_LABEL: OWNED_VALUE}
    marks = {TRACKING_ID: tracking_id(app, task.ref), RUN: task.run}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **marks}
    metadata["finalizers"] = [*(metadata.get("finalizers") or ()), FINALIZER]
    body = {**task.hook.body, "metadata": metadata}
    body.pop("status", None)
    return body


def _task(hook: Hook, phase: SyncPhase, attempt: Attempt) -> HookTask:
    ref = hook.ref
    if hook.generated:
        digest = attempt.artifact.removeprefix("sha256:")[:7]
        suffix = "-".join(
            part for part in (digest, phase.value.lower(), str(attempt.started)) if part
        )
        prefix = _shortened(ref.name, _NAME_LIMIT - len(suffix))
        ref = ObjectRef(ref.group, ref.kind, ref.namespace, prefix + suffix)
    return HookTask(
        phase=phase,
        ref=ref,
        key=order.key_of(ref, hook.wave, phase),
        run=attempt.run_in(phase),
        hook=hook,
    )


def _shortened(prefix: str, room: int) -> str:
    """Cut a prefix that is too long; two that begin alike stay two."""
    if len(prefix) <= room:
        return prefix
    digest = digest_bytes(prefix.encode()).removeprefix("sha256:")[:8]
    return f"{prefix[: room - len(digest) - 1]}{digest}-"


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}
