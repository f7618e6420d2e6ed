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
from fleet.model.identity import AppName, ClusterName, TargetId
from hub.accepted import Accepted, owner_of
from hub.peoplehttp import NotFound
from hub.state import State

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Dismissal:
    """``fleet app delete``."""

    state: State
    accepted: Accepted
    evaluate: Callable[[], None]

    async def dismiss(self, name: str) -> str:
        """Let go of ``NAME`` or ``CLUSTER~NAME``, with a target or without one; returns what happens to its objects.

        Raises NotFound, and BadInput where git asks for it.
        """
        app = self._find(name)
        desired = self.state.desired
        unread = desired.unread.get(app)
        application = desired.applications.get(app)
        if unread is None and application is not None and not self._is_kept(application):
            raise BadInput(
                f"{app} is not deleted: {_who_asks(application)}",
                hint="remove it there; git is what counts",
            )
        if not desired.is_read or (unread is not None and self._is_unsure(unread.key)):
            raise NotReady(
                f"{app} is not deleted: not all that may ask for it could be read",
                hint="fleet problems says what is missing",
            )
        owner = unread.key if unread else owner_of(desired.applications[app])
        await self.accepted.drop(owner, app)
        log.info("application let go", app=app, owner=owner)
        self.evaluate()
        return f"{app} is let go; {_fate(application, has_target=self._has_target(app))}"

    def _find(self, name: str) -> AppName:
        """The Application that a name means."""
        cluster, _, app = name.rpartition("~")
        desired = self.state.desired
        known = AppName(app)
        if known not in desired.applications and known not in desired.unread:
            raise NotFound(f"there is no application {app!r}")
        if cluster and TargetId(ClusterName(cluster), known) not in desired.targets:
            where = [str(id_.cluster) for id_ in desired.targets if id_.app == known]
            raise NotFound(
                f"application {app!r} is not on cluster {cluster!r}: "
                f"{'it is on ' + ', '.join(where) if where else 'it has no target, name it alone'}"
            )
        return known

    def _is_unsure(self, owner: str) -> bool:
        """Whether a set failed: it may be about to make an Application anew."""
        status = self.state.desired.sets.get(owner)
        return status is not None and status.last_good

    def _has_target(self, app: AppName) -> bool:
        return any(id_.app == app for id_ in self.state.desired.targets)

    def _is_kept(self, application: Application) -> bool:
        """Whether only a policy keeps it: nothing makes or renders it any more."""
        desired = self.state.desired
        if application.parents and not application.appset:
            choice = desired.children.get(application.parents[-1])
            return choice is not None and application.name in choice.extra
        status = desired.sets.get(application.appset)
        return status is not None and application.name in status.kept


def _fate(application: Application | None, *, has_target: bool) -> str:
    if application is None:
        return (
            "what its cluster has of it goes or stays as its finalizers said when it could be read"
        )
    if not has_target:
        return "it is on no cluster that is known, so nothing is deleted now"
    if application.deletion is Deletion.ORPHAN:
        return "its objects stay, it has no resources finalizer"
    return "its objects are deleted"


def _who_asks(application: Application) -> str:
    where = application.where
    place = f"{where.file}:{where.line}" if where.file else "its repository"
    if application.parents:
        return f"the manifests of application {application.parents[-1]} ask for it"
    if application.appset:
        return f"ApplicationSet {application.appset} makes it ({place})"
    return f"it is declared in {place}"
