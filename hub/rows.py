"""Rows: what is in force of one owner, and the names under which owners are kept.

An owner is an ApplicationSet, an Application that brings others (``app/NAME``), or whoever writes documents by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.guard import Size
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName
from fleet.model.project import AppProject

BY_HAND = ""
FLEET = "*fleet"
PARENT = "app/"
"""What the name begins with under which the children of an Application are kept; no set has a slash in its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What is in force of one owner, by name, and the recent accepted sizes."""

    applications: Mapping[AppName, Application] = field(default_factory=dict)
    appsets: Mapping[str, ApplicationSet] = field(default_factory=dict)
    """Beside Applications an Application may bring these; a set never does."""
    projects: Mapping[str, AppProject] = field(default_factory=dict)
    sizes: tuple[Size, ...] = ()
    outlive: bool = False
    """Its policy keeps the Applications: also when its document is gone, and the policy with it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in force."""
        return not (self.applications or self.appsets or self.projects)


NO_ROWS = Rows()


def is_set(name: str) -> bool:
    """Whether rows are those of an ApplicationSet."""
    return name not in (BY_HAND, FLEET) and not name.startswith(PARENT)


def owner_of(application: Application) -> str:
    """Return the name under which an Application is kept."""
    if application.appset or not application.parents:
        return application.appset
    return PARENT + application.parents[-1]


def owner_in_words(owner: str) -> str:
    """Say whose rows are kept under a name; empty for those written by hand and for the whole fleet."""
    if owner in (BY_HAND, FLEET):
        return ""
    if owner.startswith(PARENT):
        return f"application {owner.removeprefix(PARENT)!r}"
    return f"ApplicationSet {owner!r}"
