"""``gitopsfleet.io/depends-on``: the text of an annotation to references (design decision 9).

``NAME`` (same cluster), ``set/NAME``, ``label/KEY=VALUE``, ``cluster/CLUSTER/NAME``; a ``?`` at the end makes
one optional. Entries are separated by commas or line ends. What they stand for is found by `fleet.graph`.
"""

from __future__ import annotations

import re

from fleet.argo.names import key_problem, subdomain_problem, value_problem
from fleet.errors import BadInput
from fleet.model.application import DEPENDS_ON
from fleet.model.identity import ClusterName
from fleet.model.target import Reference, ReferenceKind

_FORMS = "write NAME, set/NAME, label/KEY=VALUE or cluster/CLUSTER/NAME"


def parse_references(text: str) -> tuple[Reference, ...]:
    """Read the annotation, entries in the order they are written, doubles once; raises BadInput."""
    entries = [entry.strip() for entry in re.split(r"[,\n]", text)]
    return tuple(_reference(entry) for entry in dict.fromkeys(entries) if entry)


def _reference(text: str) -> Reference:
    optional = text.endswith("?")
    body = text.removesuffix("?").rstrip()
    kind, slash, rest = body.partition("/")
    if not slash:
        return _named(ReferenceKind.NAME, body, text, optional=optional)
    if kind == "set":
        return _named(ReferenceKind.SET, rest, text, optional=optional)
    if kind == "cluster":
        cluster, slash, name = rest.partition("/")
        if not slash or not cluster:
            raise _bad(text, "names no application of the cluster")
        return _named(
            ReferenceKind.CLUSTER, name, text, optional=optional, cluster=ClusterName(cluster)
        )
    if kind == "label":
        key, equals, value = rest.partition("=")
        problem = "has no =" if not equals else key_problem(key) or value_problem(value)
        if problem:
            raise _bad(text, problem)
        return Reference(kind=ReferenceKind.LABEL, name=rest, optional=optional, text=text)
    raise _bad(text, f"starts with an unknown word {kind!r}")


def _named(
    kind: ReferenceKind,
    name: str,
    text: str,
    *,
    optional: bool,
    cluster: ClusterName | None = None,
) -> Reference:
    problem = subdomain_problem(name)
    if problem:
        raise _bad(text, problem)
    return Reference(kind=kind, name=name, cluster=cluster, optional=optional, text=text)


def _bad(text: str, problem: str) -> BadInput:
    return BadInput(f"reference {text!r} in {DEPENDS_ON} {problem}", hint=_FORMS)
