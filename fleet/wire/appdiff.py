"""How an application's objects in a cluster differ from what they shall be, as its agent says it and people read it.

Keys are only ever added. Values of Secrets are not in any of this: they are masked in the cluster they live in.
"""

from __future__ import annotations

from fleet.wire.rows import Row


class ObjectDiff(Row, frozen=True, kw_only=True):
    """One object that differs."""

    ref: str
    """``GROUP/KIND:NAMESPACE/NAME``."""
    change: str
    """What a sync would do: ``added``, ``changed`` or ``removed``."""
    paths: tuple[str, ...] = ()
    """Fields that differ, like ``spec.replicas``; of a changed object."""
    diff: str = ""
    """Unified diff of YAML without file headers, from what is there to what would be."""
    predicted: bool = True
    """False: the API server was not asked, or refused a dry run; defaults and webhooks are not considered."""
    note: str = ""
    """Why a sync would not do it, or what else there is to know."""


class ObjectNote(Row, frozen=True, kw_only=True):
    """An object that could not be compared."""

    ref: str
    reason: str
    message: str


class AppDiff(Row, frozen=True, kw_only=True):
    """Everything of one application in one cluster that differs."""

    target: str
    artifact: str
    """Digest of what was compared with."""
    objects: tuple[ObjectDiff, ...] = ()
    """Sorted by reference; empty: no differences."""
    problems: tuple[ObjectNote, ...] = ()


class ResourceRow(Row, frozen=True, kw_only=True):
    """One object of an application, or one that such an object owns."""

    ref: str
    parent: str = ""
    """Reference of the object that owns it; empty for what git names."""
    sync: str = ""
    """Synced, OutOfSync or Unknown; empty for what git does not name."""
    health: str = ""
    """Empty: its kind has no rule."""
    message: str = ""
    created: str = ""
    """RFC 3339; empty where it was not looked at."""
    wave: int = 0
