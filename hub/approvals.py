"""Approvals: somebody looked at exactly what would vanish and says yes.

An approval names the digest of what is held, so that it never covers a removal that came later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from fleet.codec.redaction import one_line
from fleet.errors import BadInput, NotReady
from fleet.model.identity import TargetId
from fleet.wire import api
from hub.records import Records
from hub.state import State

log = structlog.get_logger(__name__)

MAX_NAMES = 100
"""Names of one log line."""


@dataclass(slots=True, kw_only=True)
class Approvals:
    """``fleet approve SUBJECT``."""

    state: State
    records: Records
    evaluate: Callable[[], None]
    dispatch: Callable[[TargetId], None]

    async def approve(self, asked: api.ApproveRequest) -> str:
        """Approve what is held under a subject; returns a sentence for people."""
        hold = self.state.holds.get(asked.subject)
        if hold is None:
            held = ", ".join(sorted(self.state.holds)) or "nothing"
            raise BadInput(
                f"nothing is held under {asked.subject!r}",
                hint=f"held right now: {held}",
            )
        if asked.digest and asked.digest != hold.digest:
            raise NotReady(
                f"what is held under {asked.subject!r} has changed since it was looked at",
                hint="look again with: fleet approve",
            )
        await self.records.approve(hold.subject, hold.digest)
        log.info(
            "approved",
            subject=hold.subject,
            removed=list(hold.removed[:MAX_NAMES]),
            count=len(hold.removed),
            digest=hold.digest,
            reason_given=one_line(asked.reason),
        )
        if hold.subject.startswith("app/"):
            self.dispatch(TargetId.parse(hold.subject.removeprefix("app/")))
        else:
            self.evaluate()
        return f"approved: {hold.message.partition(';')[0]}"
