"""Refresh on request: look at an application's sources now, and at everything again if it is a hard one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fleet.model.identity import TargetId
from hub.operations import Operations
from hub.poller import Poller
from hub.renderings import Renderings
from hub.state import State


@dataclass(slots=True, kw_only=True)
class Refresher:
    """``fleet app refresh``."""

    state: State
    poller: Poller
    renderings: Renderings
    operations: Operations
    render: Callable[[TargetId], None]

    async def refresh(self, target: TargetId, *, hard: bool) -> None:
        """Fetch the sources; ``hard`` also renders anew and has the agent compare every object."""
        sources = self.state.desired.targets[target].application.sources
        self.poller.hint({source.repo_url for source in sources} & self.poller.wanted)
        if hard:
            self.renderings.refresh(target)
            await self.operations.ask(target, "refresh", {})
        self.render(target)
