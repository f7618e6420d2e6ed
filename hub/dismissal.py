"""Dismissal: letting go of an Application that nothing asks for any more, but that a policy kept in force.

Git is the source of truth, so an Application that a document, a set or a parent asks for cannot be deleted here: the
next evaluation would make it again. The refusal says where it has to be removed. One that its set does not make any
more, and whose policy never deletes (create-only, create-update, a set that is gone), is let go by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from fleet.errors import BadInput, NotReady
from fleet.model.application import Application, Deletion
from fleet.model.identity import TargetId
from fleet.runtime import log as fields
from hub.accepted import Accepted, owner_of
from hub.state import State

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Dismissal:
    """``fleet app delete``."""

    state: State
    accepted: Accepted
    evaluate: Callable[[], None]

    async def dismiss(self, target: TargetId) -> str:
        """Let go of a kept Application; returns what happens to its objects, raises BadInput where it is asked for."""
        application = self.state.desired.targets[target].application
        if not self._is_kept(application):
            raise BadInput(
                f"{application.name} is not deleted: {_who_asks(application)}",
                hint="remove it there; git is what counts",
            )
        if not self.state.desired.certain:
            raise NotReady(
                f"{application.name} is not deleted: not all that may ask for it could be read",
                hint="fleet problems says what is missing",
            )
        await self.accepted.drop(owner_of(application), application.name)
        log.info("application let go", **{fields.TARGET: str(target)}, owner=owner_of(application))
        self.evaluate()
        keeps = application.deletion is Deletion.ORPHAN
        fate = (
            "its objects stay, it has no resources finalizer"
            if keeps
            else "its objects are deleted"
        )
        return f"{application.name} is let go; {fate}"

    def _is_kept(self, application: Application) -> bool:
        """Whether only a policy keeps it: nothing makes or renders it any more."""
        desired = self.state.desired
        if application.parents and not application.appset:
            choice = desired.children.get(application.parents[-1])
            return choice is not None and application.name in choice.extra
        status = desired.sets.get(application.appset)
        return status is not None and application.name in status.kept


def _who_asks(application: Application) -> str:
    where = application.where
    place = f"{where.file}:{where.line}" if where.file else "its repository"
    if application.parents:
        return f"the manifests of application {application.parents[-1]} ask for it"
    if application.appset:
        return f"ApplicationSet {application.appset} makes it ({place})"
    return f"it is declared in {place}"
