"""Progress: how far one run of a target came."""

from __future__ import annotations

from dataclasses import dataclass, field

from fleet.errors import FleetError, NotReady, Transient
from fleet.model.identity import ObjectRef
from fleet.model.report import Phase, ResourceResult
from fleet.sync.inventory import Inventory


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run came."""

    inventory: Inventory
    phase: Phase = Phase.IDLE
    message: str = ""
    is_waiting: bool = False
    broken: str = ""
    """An object that has to become healthy and is Degraded: waiting alone will not help."""
    is_applied: bool = False
    """Everything of the artifact is applied and healthy, although something still goes on (PostSync hooks)."""
    results: list[ResourceResult] = field(default_factory=list)
    """What was pruned, and what could not be written."""
    errors: list[FleetError] = field(default_factory=list)
    doubted: list[ObjectRef] = field(default_factory=list)
    """What is not there and may still appear: a request that creates it was not answered."""
    look_again: float = float("inf")
    """Seconds after which to look again even if nothing happens."""

    def wait(self, phase: Phase, message: str, seconds: float) -> None:
        """Note that the run ends here for now."""
        self.is_waiting = True
        self.phase, self.message = phase, message
        self.look_again = min(self.look_again, seconds)

    def doubt(self, ref: ObjectRef, seconds: float) -> None:
        """Note that an object may still appear for so long."""
        self.doubted.append(ref)
        self.look_again = min(self.look_again, seconds)

    def error(self) -> FleetError | None:
        """The error to raise: what needs a human first, then what may come by itself, then what failed outside."""
        ranked = sorted(
            self.errors, key=lambda e: (isinstance(e, Transient), isinstance(e, NotReady))
        )
        return ranked[0] if ranked else None
