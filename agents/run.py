"""One run of a target: the facts it works on and what it finds, handed from step to step of `agents.reconcile`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agents.steps import Progress
from fleet.errors import FleetError
from fleet.model.assignment import Operation, Section
from fleet.model.identity import ObjectRef
from fleet.model.report import Ready
from fleet.sync.desired import Desired


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
    out_of_sync: Mapping[ObjectRef, str] | None = None
    """What differs; None until it was looked at."""
    waiting_for: tuple[str, ...] = ()
    refused: str = ""
    error: FleetError | None = None
    ready: Ready | None = None

    @property
    def is_gated(self) -> bool:
        """Whether dependencies hold its digest back."""
        return bool(self.waiting_for)

    def working_error(self) -> FleetError | None:
        """What is wrong with the desired state; what is wrong with one that has to wait may pass by itself."""
        return None if self.is_gated or self.desired is None else self.desired.error()
