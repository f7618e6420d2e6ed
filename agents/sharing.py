"""Objects that several applications of a cluster have: found by the one that does not own them, told to both.

Nobody fights over such an object: who owns it applies it, the others show it as a difference. Here the owner learns
of it too, for it is the one whose next change surprises the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from fleet.model.identity import ObjectRef


class Sharing:
    """Shared objects, by the application that has them and does not own them."""

    def __init__(self) -> None:
        self._found: dict[str, dict[ObjectRef, str]] = {}
        self._listeners: list[Callable[[str], None]] = []

    def listen(self, listener: Callable[[str], None]) -> None:
        """Be told the owner whose shared objects changed."""
        self._listeners.append(listener)

    def note(self, target: str, owners: Mapping[ObjectRef, str]) -> None:
        """Take in which objects of a target belong to others now."""
        before = self._found.get(target, {})
        if before == owners:
            return
        if owners:
            self._found[target] = dict(owners)
        else:
            self._found.pop(target, None)
        for owner in sorted({*before.values(), *owners.values()}):
            for listener in self._listeners:
                listener(owner)

    def of(self, owner: str) -> dict[ObjectRef, str]:
        """Return what an application owns and others have too, with one of these."""
        return {
            ref: target
            for target, owners in sorted(self._found.items())
            for ref, name in owners.items()
            if name == owner
        }

    def keep_only(self, present: Collection[str]) -> None:
        """Forget all other targets."""
        for target in self._found.keys() - set(present):
            self.note(target, {})


def warning(target: str, owners: Mapping[ObjectRef, str]) -> str:
    """Say that objects are shared, as Argo CD's SharedResourceWarning does; empty where none is."""
    if not owners:
        return ""
    ref = min(owners)
    names = " and ".join(sorted((target, owners[ref])))
    more = f" (and {len(owners) - 1} more)" if len(owners) > 1 else ""
    return f"SharedResourceWarning: {ref} is part of applications {names}{more}"
