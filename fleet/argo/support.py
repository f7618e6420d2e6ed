"""What this project does with sync options and annotations of an Application: obeyed, harmless, or a reason to hold.

The fields have their own tables in `fleet.argo.fields`; here are the ones whose *value* decides.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from fleet.argo.shapes import Support, nearest
from fleet.model.application import SyncPolicy

SKIP_RECONCILE = "argocd.argoproj.io/skip-reconcile"

_ANY = ""

OPTIONS: dict[str, dict[str, Support]] = {
    "ApplyOutOfSyncOnly": {_ANY: Support.SILENT},
    "ClientSideApplyMigration": {_ANY: Support.BUILT},
    "CreateNamespace": {_ANY: Support.BUILT},
    "Delete": {_ANY: Support.BUILT},
    "FailOnSharedResource": {_ANY: Support.BUILT},
    "Force": {_ANY: Support.BUILT},
    "Prune": {_ANY: Support.BUILT},
    "PruneLast": {_ANY: Support.BUILT},
    "PrunePropagationPolicy": {_ANY: Support.BUILT},
    "Replace": {_ANY: Support.BUILT},
    "RespectIgnoreDifferences": {_ANY: Support.BUILT},
    "ServerSideApply": {"false": Support.SAFE, _ANY: Support.BUILT},
    "SkipDryRunOnMissingResource": {_ANY: Support.SILENT},
    "Validate": {_ANY: Support.BUILT},
}
"""Sync option and value to what is done with it; the empty value stands for every other one."""


@functools.lru_cache(maxsize=1024)
def judge_options(options: tuple[str, ...]) -> tuple[str, ...]:
    """Return warnings about an Application's syncOptions."""
    warnings = []
    for option in options:
        name, _, value = option.partition("=")
        values = OPTIONS.get(name.strip())
        if values is None:
            warnings.append(f'unknown sync option "{option}"{nearest(name, tuple(OPTIONS))}')
            continue
        support = values.get(value.strip(), values[_ANY])
        if support is Support.SAFE:
            warnings.append(f"sync option {option} has no effect here")
    return tuple(warnings)


def judge_policy(policy: SyncPolicy) -> tuple[str, ...]:
    """Return warnings about parts of a sync policy that mean nothing without others."""
    if policy.namespace_metadata is not None and "CreateNamespace=true" not in policy.options:
        return ("managedNamespaceMetadata has no effect without syncOption CreateNamespace=true",)
    return ()


def judge_annotations(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """Return the annotations that ask for something which is not built and unsafe to ignore."""
    if annotations.get(SKIP_RECONCILE) == "true":
        return (f"metadata.annotations: {SKIP_RECONCILE}",)
    return ()
