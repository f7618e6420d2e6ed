"""What an evaluation says about sets, for people: how each stands, what is held, who claims a name twice. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Protocol, TypeVar

from fleet import guard
from fleet.argo.documents import Problem
from fleet.codec.canonical import digest_value
from fleet.codec.equality import same
from fleet.codec.jsontypes import JsonObject
from fleet.generators.result import Failed, Generated, Inputs, SetError
from fleet.model.application import Application
from fleet.model.identity import AppName
from hub.accepted import Rows
from hub.state import Hold, SetStatus
from hub.unread import REASON as UNREADABLE

T = TypeVar("T", bound=str)

DELETED = "ApplicationSetDeleted"
"""Reason of a set whose document is gone and whose policy keeps its Applications."""


class Documented(Protocol):
    """What was made of a document."""

    @property
    def document(self) -> JsonObject: ...


def hold(
    subject: str,
    verdict: guard.Verdict,
    new: Mapping[T, Documented],
    previous: Mapping[T, Documented],
) -> Hold:
    """What waits for an approval, as it would come into force with it."""
    return Hold(
        subject=subject,
        message=verdict.message,
        removed=verdict.removed,
        digest=digest_value(list(verdict.removed)),
        added=tuple(sorted(new.keys() - previous.keys())),
        changed=tuple(
            sorted(
                name
                for name in new.keys() & previous.keys()
                if not same(new[name].document, previous[name].document)
            )
        ),
    )


def status(
    name: str,
    result: Generated | None,
    applications: Mapping[AppName, Application],
    held: str,
) -> SetStatus:
    """How a set stands that was evaluated; ``held`` says what waits."""
    errors = result.errors if result else ()
    asked_for = set(map(attrgetter("name"), result.applications)) if result else set()
    asked_for |= {AppName(error.application) for error in errors if error.application}
    return SetStatus(
        name=name,
        applications=tuple(sorted(applications)),
        kept=() if held else tuple(sorted(applications.keys() - asked_for)),
        errors=tuple(f"{error.reason}: {error.message}" for error in errors),
        reason=errors[0].reason if errors else ("Held" if held else "ApplicationSetUpToDate"),
        held=held,
    )


def failed(name: str, result: Failed, previous: Rows) -> SetStatus:
    """How a set stands whose last good rows stay."""
    errors = tuple(f"{error.reason}: {error.message}" for error in result.errors)
    return SetStatus(
        name=name,
        applications=tuple(sorted(previous.applications)),
        errors=errors or ("Unavailable: its repository has not been read yet",),
        reason=result.errors[0].reason if result.errors else "Unavailable",
        last_good=True,
    )


def unread(name: str) -> Failed:
    """What comes of a set whose document an Application brought and that cannot be read any more."""
    message = (
        f"what is in force of ApplicationSet {name!r} cannot be read by this version of the hub"
    )
    return Failed(errors=(SetError(reason=UNREADABLE, message=message),), inputs=Inputs())


def claimed_twice(item: Application, first: Application) -> Problem:
    """What is wrong when two sets, or a set and a document, claim a name."""
    return Problem(
        reason="DuplicateName",
        message=f"application {item.name!r} of {_owner(item)} already belongs to {_owner(first)}; "
        "that one counts",
        where=item.where,
        fatal=False,
    )


def _owner(application: Application) -> str:
    if application.appset:
        return f"ApplicationSet {application.appset!r}"
    if application.parents:
        return f"application {application.parents[-1]!r}"
    return str(application.where)
