"""What a manifest asks of the sync by annotation, and which of it must not be ignored.

Argo CD's per-object sync options, and Helm's resource policy. Those that are not built and that would be unsafe to
ignore hold the whole application (`unsupported`). Hooks are `fleet.sync.hooks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleet.codec.jsontypes import JsonObject
from fleet.sync import hooks
from fleet.sync.manifest import annotation, metadata_of

SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
RESOURCE_POLICY = "helm.sh/resource-policy"
PRUNE_LAST = "PruneLast=true"

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


def is_kept(body: JsonObject) -> bool:
    """Whether an object stays when it leaves the artifact or its application goes."""
    options = _words(annotation(body, SYNC_OPTIONS))
    return (
        bool(options & {"Prune=false", "Prune=confirm", "Delete=false", "Delete=confirm"})
        or annotation(body, RESOURCE_POLICY) == "keep"
    )


def is_pruned_last(body: JsonObject) -> bool:
    """Whether an object is pruned after everything else of a sync."""
    return PRUNE_LAST in _words(annotation(body, SYNC_OPTIONS))


def _problems(body: JsonObject) -> Iterable[str]:
    if hooks.phases_of(body) == ():
        return
    what = f"{body.get('kind')} {metadata_of(body).get('name') or metadata_of(body).get('generateName')}"
    for option in _words(annotation(body, SYNC_OPTIONS)):
        if _is_unsafe(option):
            yield f"{what}: {SYNC_OPTIONS}={option}"


def _is_unsafe(option: str) -> bool:
    name, _, value = option.partition("=")
    return value in _UNSAFE.get(name, ())


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}
