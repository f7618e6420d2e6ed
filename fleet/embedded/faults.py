"""An API server that is ill, on request: busy, broken, slow, silent, forgetful, in conflict.

    server.faults.add(Fault(kind=FaultKind.BUSY, plural="configmaps", times=3))

A fault meets requests that fit it, a number of times or until it is removed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fleet.embedded.errors import Refusal, gone


class FaultKind(StrEnum):
    """What goes wrong."""

    BUSY = "busy"
    """429 with Retry-After; the request is not carried out."""
    ERROR = "error"
    """500, or the status given; not carried out."""
    SLOW = "slow"
    """Answered after ``delay`` seconds."""
    STALL = "stall"
    """A watch that is open and says nothing."""
    GONE = "gone"
    """410, for a list's continue token or a watch's version."""
    CONFLICT = "conflict"
    """409 as if somebody else had just written the object."""
    DROP = "drop"
    """The connection ends without an answer, after the request was carried out."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong; empty conditions fit everything."""

    kind: FaultKind
    verb: str = ""
    """get, list, watch, create, update, patch, delete or discovery."""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    times: int = 1
    """How often; -1 = until removed."""
    delay: float = 0.0
    status: int = 500
    retry_after: int = 1

    def fits(self, verb: str, plural: str, namespace: str, name: str) -> bool:
        """Whether it meets this request."""
        pairs = (
            (self.verb, verb), (self.plural, plural), (self.namespace, namespace), (self.name, name)
        )  # fmt: skip
        return self.times != 0 and all(wanted in ("", found) for wanted, found in pairs)


@dataclass(slots=True)
class Faults:
    """The faults in force."""

    active: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> Fault:
        """Put one in force."""
        self.active.append(fault)
        return fault

    def clear(self) -> None:
        """Be well again."""
        self.active.clear()

    def take(self, verb: str, plural: str, namespace: str, name: str) -> Fault | None:
        """The fault that meets a request, counted."""
        for fault in self.active:
            if fault.fits(verb, plural, namespace, name):
                if fault.times > 0:
                    fault.times -= 1
                return fault
        return None


def refusal(fault: Fault, plural: str, name: str) -> Refusal | None:
    """What a fault answers; None where it does not refuse."""
    match fault.kind:
        case FaultKind.BUSY:
            message = "Too many requests, please try again later."
            return Refusal(429, "TooManyRequests", message, retry_after=fault.retry_after)
        case FaultKind.ERROR:
            return Refusal(fault.status, "InternalError", "an error on the server was asked for")
        case FaultKind.GONE:
            return gone("The provided continue parameter or resource version is too old")
        case FaultKind.CONFLICT:
            message = (
                f'Operation cannot be fulfilled on {plural} "{name}": the object has been modified; please apply your '
                "changes to the latest version and try again"
            )
            return Refusal(409, "Conflict", message, details={"name": name, "kind": plural})
        case _:
            return None
