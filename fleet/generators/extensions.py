"""What generators can beyond Argo CD's, for sets that ask for it by annotation.

``gitopsfleet.io/generator-extensions: "matrix-n,deep-nesting,outer-join,template-namespace"``. Argo CD does not read the annotation and
would refuse such a set, or drop rows of it, so nothing here happens unasked.
"""

from __future__ import annotations

from enum import StrEnum

from fleet.generators.params import GeneratorError
from fleet.model.appset import ApplicationSet

ANNOTATION = "gitopsfleet.io/generator-extensions"


class Extension(StrEnum):
    """What a set may ask for."""

    MATRIX_N = "matrix-n"
    """A matrix of more than two children; each may be filled from the rows of all before it."""
    DEEP_NESTING = "deep-nesting"
    """Combinations inside of combinations, to any depth."""
    OUTER_JOIN = "outer-join"
    """A row for which the next child of a matrix has none stays, alone."""
    TEMPLATE_NAMESPACE = "template-namespace"
    """The template's ``metadata.namespace`` is that of its Applications, where the project's sourceNamespaces permit it."""


def extensions_of(appset: ApplicationSet) -> frozenset[Extension]:
    """Read the annotation; raises GeneratorError for a name that nobody knows."""
    metadata = appset.document.get("metadata") or {}
    text = (metadata.get("annotations") or {}).get(ANNOTATION, "")
    names = [name.strip() for name in str(text).split(",") if name.strip()]
    known = {item.value: item for item in Extension}
    for name in names:
        if name not in known:
            raise GeneratorError(
                f"metadata.annotations: {ANNOTATION} names the unknown extension {name!r}",
                hint=f"known: {', '.join(known)}",
            )
    return frozenset(known[name] for name in names)
