"""Which generators there are, in the order in which those of one entry are evaluated."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.generators import (
    clusterdecision,
    clusters,
    elements,
    git,
    matrix,
    merge,
    plugin,
    pullrequest,
    scmprovider,
)
from fleet.generators.context import Generate

_ORDER = (
    "list",
    "clusters",
    "git",
    "scmProvider",
    "clusterDecisionResource",
    "pullRequest",
    "matrix",
    "merge",
    "plugin",
)

_BUILT: dict[str, Generate] = {
    "list": elements.generate,
    "clusters": clusters.generate,
    "git": git.generate,
    "scmProvider": scmprovider.generate,
    "clusterDecisionResource": clusterdecision.generate,
    "pullRequest": pullrequest.generate,
    "matrix": matrix.generate,
    "merge": merge.generate,
    "plugin": plugin.generate,
}

GENERATORS: Mapping[str, Generate] = {name: _BUILT[name] for name in _ORDER}
