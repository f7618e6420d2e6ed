"""Which generators there are, in the order in which those of one entry are evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from fleet.argo.appset_fields import UNBUILT
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Unsupported
from fleet.generators import clusters, elements, git, matrix, merge
from fleet.generators.context import Context, Generate

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
    "matrix": matrix.generate,
    "merge": merge.generate,
}


def _refusal(name: str) -> Generate:
    def generate(_config: JsonObject, _context: Context) -> NoReturn:
        raise Unsupported(f"the generator {name} is not built yet")

    return generate


GENERATORS: Mapping[str, Generate] = {
    name: _refusal(name) if name in UNBUILT else _BUILT[name] for name in _ORDER
}
