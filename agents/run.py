"""One run of a target: the facts it works on and what it finds, handed from step to step of `agents.reconcile`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agents.operations import Mode, Want
from agents.progress import Progress
from fleet.errors import FleetError
from fleet.model.assignment import Operation, Section
from fleet.model.identity import ObjectRef
from fleet.model.report import Ready
from fleet.sync.desired import Desired
from fleet.sync.record import HookRun


@dataclass(slots=True, kw_only=True)
class Run:
    """The facts and the findings of one run."""

    section: Section
    working: Section
    """The section whose artifact is worked on: the assigned one, or the one applied before while it has to wait."""
    progress: Progress
    desired: Desired | None = None
    """Of the assigned artifact; None while it is not known."""
    operation: Operation | None = None
    """The sync that was asked for and is under way."""
    asked: Sequence[Operation] = ()
    """Everything that is asked of the target."""
    is_refresh: bool = False
    want: Want = field(default_factory=Want)
    mode: Mode = Mode.PLAIN
    is_permitted: bool = False
    """Whether the policy allows to bring objects to the artifact now."""
    waits_for: tuple[HookRun, ...] = ()
    """Hooks of the operation before, which have to end first."""
    out_of_sync: Mapping[ObjectRef, str] | None = None
    """What differs; None until it was looked at."""
    waiting_for: tuple[str, ...] = ()
    blocked: str = ""
    """The sync window that forbids to write anything now."""
    blocked_until: datetime | None = None
    refused: str = ""
    warning: str = ""
    """What its owner should know although nothing is wrong with it."""
    unconfirmed: tuple[ObjectRef, ...] = ()
    """What a person has to confirm before it is pruned."""
    error: FleetError | None = None
    failure: FleetError | None = None
    """A sync that failed and is not tried again: shown, and nothing to retry."""
    ready: Ready | None = None

    @property
    def is_gated(self) -> bool:
        """Whether dependencies hold its digest back."""
        return bool(self.waiting_for)

    def working_error(self) -> FleetError | None:
        """What is wrong with the desired state; what is wrong with one that has to wait may pass by itself."""
        return None if self.is_gated or self.desired is None else self.desired.error()
