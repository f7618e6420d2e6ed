"""How people name objects of an application: ``GROUP:KIND:NAME`` as Argo CD's CLI does, or as statuses show them."""

from __future__ import annotations

from fleet.errors import BadInput
from fleet.model.identity import ObjectRef


def parse_resource(text: str) -> ObjectRef:
    """Read ``GROUP:KIND:NAME``, ``GROUP:KIND:NAMESPACE/NAME`` or ``GROUP/KIND:NAMESPACE/NAME``; raises BadInput.

    An empty namespace stands for every one.
    """
    parts = text.split(":")
    if len(parts) == 3:
        group, kind, tail = parts
        namespace, _, name = tail.rpartition("/")
        if kind and name and "/" not in group + kind + namespace:
            return ObjectRef(group, kind, namespace, name)
    elif len(parts) == 2:
        try:
            return ObjectRef.parse(text)
        except BadInput:
            pass
    raise BadInput(
        f"not a resource: {text!r}",
        hint="write GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME, with an empty GROUP for v1: apps:Deployment:web",
    )
