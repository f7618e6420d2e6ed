"""From what a set makes and what is in force of it to what is in force next: its policies, also for a set that is gone.

The hub does this when it evaluates, ``fleet diff`` does it to say what a merge would do. What would vanish is judged
afterwards, by `fleet.guard`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import is_

from fleet.argo.policy import Trim, merge_existing, open_trims
from fleet.generators.result import Generated
from fleet.model.application import Application, Deletion
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName

MAX_REMOVALS = "gitopsfleet.io/max-removals"


_NO_TRIMS: Mapping[str, Trim] = {}


def to_trim(
    result: Generated, previous: Mapping[AppName, Application], appset: ApplicationSet
) -> dict[str, Trim]:
    """Return what jq expressions of the set have to be evaluated on before it can be put in force."""
    return open_trims(result.applications, previous.values(), appset)


def in_force(
    result: Generated,
    previous: Mapping[AppName, Application],
    appset: ApplicationSet,
    trims: Mapping[str, Trim] = _NO_TRIMS,
) -> Mapping[AppName, Application]:
    """Return a set's Applications after a good result; for a failed one they are the previous ones.

    ``trims`` answers `to_trim`. Where nothing is different it is ``previous`` itself.
    """
    made = result.applications
    if len(made) == len(previous) and all(map(is_, made, previous.values())):
        return previous
    merged = merge_existing(
        result.applications,
        previous.values(),
        appset,
        withheld={error.application for error in result.errors if error.application},
        trims=trims,
    )
    return {item.name: item for item in merged}


def after_deletion(
    previous: Mapping[AppName, Application], taken: Collection[str]
) -> dict[AppName, Application]:
    """Return what stays of a set whose policy keeps its Applications when its document goes; ``taken`` ones belong to
    somebody else now."""
    return {name: item for name, item in previous.items() if name not in taken}


def harmless(previous: Mapping[AppName, Application]) -> set[AppName]:
    """Name the Applications that leave everything on their clusters when they go: preserveResourcesOnDeletion."""
    return {name for name, item in previous.items() if item.deletion is Deletion.ORPHAN}


def outlive(appset: ApplicationSet) -> bool:
    """Whether a set's Applications stay when its document goes: then nothing may ever delete them through it."""
    return not appset.applications_sync.may_delete


def makes_anew(appset: ApplicationSet) -> bool:
    """Whether what a set makes replaces what was there whatever that said: no policy, no preserved or ignored field."""
    return appset.applications_sync.may_update and not (
        appset.ignored_fields or appset.preserved_annotations or appset.preserved_labels
    )


def max_removals(owner: ApplicationSet | Application | None) -> int | None:
    """Return how many of what it makes the author of a set, or of an app of apps, lets go unasked, if it says so."""
    if owner is None:
        return None
    metadata = owner.document.get("metadata") or {}
    text = str((metadata.get("annotations") or {}).get(MAX_REMOVALS, ""))
    return int(text) if text.isdecimal() else None
