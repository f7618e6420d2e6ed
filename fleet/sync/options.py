"""What a manifest asks of the sync by annotation, and which of it must not be ignored.

Argo CD's hooks and per-object sync options, and Helm's hooks and resource policy. Those that are not built and
that would be unsafe to ignore hold the whole application (`unsupported`); Helm's test hooks are never applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleet.codec.jsontypes import JsonObject
from fleet.sync.manifest import annotation, metadata_of

HOOK = "argocd.argoproj.io/hook"
HELM_HOOK = "helm.sh/hook"
SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
RESOURCE_POLICY = "helm.sh/resource-policy"

_HARMLESS_HELM_HOOKS = frozenset(
    ("test", "test-success", "test-failure", "rollback", "pre-rollback", "post-rollback")
)
_PLAIN_HELM_HOOKS = frozenset(("crd-install",))
_UNSAFE = {
    "Prune": frozenset(("false", "confirm")),
    "Delete": frozenset(("false", "confirm")),
    "Replace": frozenset(("true",)),
    "Force": frozenset(("true",)),
}


def unsupported(objects: Sequence[JsonObject]) -> tuple[str, ...]:
    """Name everything in rendered manifests that holds their application; sorted, empty when nothing does."""
    return tuple(sorted({problem for body in objects for problem in _problems(body)}))


def unsupported_options(options: Iterable[str]) -> tuple[str, ...]:
    """Name the sync options of an Application that hold it."""
    return tuple(
        sorted(f"syncPolicy.syncOptions {option}" for option in options if _is_unsafe(option))
    )


def is_dropped(body: JsonObject) -> bool:
    """Whether an object is never applied: Argo CD's Skip, Helm's test and rollback hooks."""
    hooks = _words(annotation(body, HOOK))
    if hooks:
        return hooks == {"Skip"}
    helm = _words(annotation(body, HELM_HOOK))
    return bool(helm) and helm <= _HARMLESS_HELM_HOOKS


def is_kept(body: JsonObject) -> bool:
    """Whether an object stays when it leaves the artifact or its application goes."""
    options = _words(annotation(body, SYNC_OPTIONS))
    return (
        bool(options & {"Prune=false", "Prune=confirm", "Delete=false", "Delete=confirm"})
        or annotation(body, RESOURCE_POLICY) == "keep"
    )


def _problems(body: JsonObject) -> Iterable[str]:
    what = f"{body.get('kind')} {metadata_of(body).get('name') or metadata_of(body).get('generateName')}"
    if is_dropped(body):
        return
    hooks = _words(annotation(body, HOOK))
    helm = _words(annotation(body, HELM_HOOK)) - _HARMLESS_HELM_HOOKS - _PLAIN_HELM_HOOKS
    for hook in hooks - {"Sync", "Skip"}:
        yield f"{what}: {HOOK}={hook}"
    if "Sync" in hooks:
        # A Sync hook is deleted and made anew at every sync, which a plain object is not.
        yield f"{what}: {HOOK}=Sync"
    if not hooks:
        for hook in helm:
            yield f"{what}: {HELM_HOOK}={hook}"
    for option in _words(annotation(body, SYNC_OPTIONS)):
        if _is_unsafe(option):
            yield f"{what}: {SYNC_OPTIONS}={option}"


def _is_unsafe(option: str) -> bool:
    name, _, value = option.partition("=")
    return value in _UNSAFE.get(name, ())


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}
