"""The annotations by which a manifest asks something of the sync: Argo CD's sync options, and Helm's resource policy.

What they mean is `fleet.sync.manner` (how it is written), `fleet.sync.protection` (whether it is deleted), and
`fleet.sync.hooks`.
"""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.sync.manifest import annotation

SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
RESOURCE_POLICY = "helm.sh/resource-policy"
PRUNE_LAST = "PruneLast=true"


def is_pruned_last(body: JsonObject) -> bool:
    """Whether an object is pruned after everything else of a sync."""
    return PRUNE_LAST in _words(annotation(body, SYNC_OPTIONS))


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}
