"""The tree of errors that this project raises on purpose.

FleetError
├── BadInput        what a user wrote is wrong; waits for a new revision of it (Stalled)
│   └── Unsupported a known field that is not built yet and that must not be ignored
├── Denied          a rule forbids it: a project, a path that leaves the repository, an address
├── NotReady        something known is still missing; asked again at a fixed interval
├── Transient       the outside failed (network, 5xx, timeout); tried again with backoff
└── Corrupt         bytes do not match their digest or signature; never used, always reported

Adapters translate the errors of their library into one of these (``raise ... from error``). The texts say
what happened, to which object, and what to do: lower case, no trailing dot, and never a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The place a user has to look at: an object, a file, a line (1-based, 0 = unknown), a field path."""

    object: str = ""
    file: str = ""
    line: int = 0
    field: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return ": ".join(part for part in (place, self.object, self.field) if part)


class FleetError(Exception):
    """Something failed in a way that is understood; ``reason`` is the CamelCase word for conditions."""

    reason = "Error"

    def __init__(self, message: str, *, where: Where | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where or Where()
        self.hint = hint

    def at(self, **place: str | int) -> FleetError:
        """Complete the place with what an outer caller knows; what is already known stays."""
        known = {name: value for name, value in place.items() if not getattr(self.where, name)}
        self.where = replace(self.where, **known)  # type: ignore[arg-type]  # names are Where's own
        return self

    def __str__(self) -> str:
        place = str(self.where)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} ({self.hint})" if self.hint else text


class BadInput(FleetError):
    """What a user wrote cannot be used; only a new revision of it helps."""

    reason = "InvalidSpec"


class Unsupported(BadInput):
    """A known field asks for something that is not built yet and that would be unsafe to ignore."""

    reason = "Unsupported"


class Denied(FleetError):
    """A rule forbids it."""

    reason = "Denied"


class NotReady(FleetError):
    """Something that is known to come is not there yet."""

    reason = "NotReady"


class Transient(FleetError):
    """The outside world failed; trying again later may help."""

    reason = "Unavailable"

    def __init__(
        self,
        message: str,
        *,
        where: Where | None = None,
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.retry_after = retry_after
        """Seconds that the other side asked us to wait, if it did."""


class Corrupt(FleetError):
    """Bytes that do not match their digest or signature; they were discarded."""

    reason = "Corrupt"
