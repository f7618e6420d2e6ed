"""Unread: what is in force and durable, and cannot be read by this version of the hub.

It stays as it is, in the store and on its cluster, until its owner makes it anew or somebody lets go of it by name: what
is not understood is never taken for something that left. This says it to people; who keeps it is `hub.accepted`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fleet.argo.reading import Problem
from fleet.errors import Where

Kind = Literal["Application", "ApplicationSet", "AppProject", "Record"]

REASON = "UnreadableRow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """One row: whose it is, what it was, its bytes, and what is wrong with them."""

    key: str
    """The name under which its owner's rows are kept."""
    owner: str
    """In words, as the owner is known to people; empty for what is written by hand."""
    kind: Kind
    """``Record``: not a document but what is kept of the owner besides: its recent sizes and its children."""
    name: str
    data: bytes
    reason: str
    where: Where = field(default_factory=Where)

    @property
    def message(self) -> str:
        """What it is, what happens to it, and what to do."""
        if self.kind == "Record":
            return (
                f"the record of {self.owner or 'the fleet'} cannot be read by this version of the hub "
                f"({self.reason}): for a day nothing of it is removed unasked "
                "(approve what is held, or go back to the version that wrote the record)"
            )
        whose = f" of {self.owner}" if self.owner else ""
        way_out = f", or let go of it with: fleet app delete {self.name}"
        return (
            f"what is in force of {self.kind} {self.name!r}{whose} cannot be read by this version of the hub "
            f"({self.reason}): it stays as it is (have {self.owner or 'git'} make it anew, "
            f"go back to the version that wrote it{way_out if self.kind == 'Application' else ''})"
        )

    @property
    def problem(self) -> Problem:
        """For ``fleet problems``."""
        place = Where(
            object=f"{self.kind}/{self.name}" if self.name else self.owner,
            file=self.where.file,
            line=self.where.line,
            field=self.where.field,
        )
        return Problem(reason=REASON, message=self.message, where=place)
