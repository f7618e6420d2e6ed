"""The Store port: durable records by kind and key, committed atomically, and blobs named by digest.

Everything the hub has to remember goes through these two protocols. `SqlStore` and `FileArtifactStore` are the
real ones, `fleet.testing.store` holds the fakes; one contract suite runs against all of them. Values are opaque
bytes here: their form belongs to whoever writes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, Literal, Protocol, TypeAlias

from fleet.codec.canonical import Digest
from fleet.errors import FleetError


class Kind(StrEnum):
    """What a record is; one owner writes each kind."""

    META = "meta"
    CLUSTERS = "clusters"
    FLEET_REPOS = "fleet-repos"
    TOKENS = "tokens"
    IDENTITIES = "identities"
    CERTIFICATES = "certificates"
    KEYS = "keys"
    ASSIGNMENTS = "assignments"
    SECTIONS = "sections"
    CLOSURES = "closures"
    ROWS = "rows"
    REVISIONS = "revisions"
    HOLDS = "holds"
    BASELINES = "baselines"
    APPROVALS = "approvals"
    OPERATIONS = "operations"
    HISTORY = "history"
    PINS = "pins"
    ROLLOUTS = "rollouts"
    CHILD_SYNCS = "child-syncs"
    REPORTS = "reports"
    UNUSED = "unused"
    AUDIT = "audit"


class Conflict(FleetError):
    """A record is not what the commit expected: somebody else was faster; read again and decide again."""

    reason = "Conflict"


class Unchecked(Enum):
    """The type of `UNCHECKED`."""

    MARK = "unchecked"


UNCHECKED: Final = Unchecked.MARK
"""Write whatever was there before."""

Expectation: TypeAlias = bytes | Literal[Unchecked.MARK] | None
"""Bytes: the record must hold exactly these; None: there must be no record; UNCHECKED: do not look."""


@dataclass(frozen=True, slots=True)
class Put:
    """Write one record."""

    kind: Kind
    key: str
    value: bytes
    expect: Expectation = UNCHECKED


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove one record; nothing happens where there is none."""

    kind: Kind
    key: str


Change: TypeAlias = Put | Delete


class Store(Protocol):
    """Records. Raises Conflict, Transient (disk or database trouble: nothing was written) and Corrupt."""

    async def load(self, kind: Kind) -> dict[str, bytes]:
        """Return all records of a kind."""
        ...

    async def get(self, kind: Kind, key: str) -> bytes | None:
        """Return one record."""
        ...

    async def commit(self, *changes: Change) -> None:
        """Write all changes or none; durable when this returns. Later changes see the earlier ones."""
        ...

    async def close(self) -> None:
        """Finish what was asked and let go."""
        ...


class ArtifactStore(Protocol):
    """Blobs by digest. Raises NotReady (not here), Corrupt (damaged, and discarded) and Transient."""

    async def put(self, data: bytes) -> Digest:
        """Keep the bytes under their digest; durable when this returns."""
        ...

    async def get(self, digest: Digest) -> bytes:
        """Return the bytes, checked against the digest."""
        ...

    async def has(self, digest: Digest) -> bool:
        """Tell whether a blob of that name is here, without reading it."""
        ...

    async def delete(self, digest: Digest) -> None:
        """Forget a blob; nothing happens where there is none."""
        ...

    async def digests(self) -> frozenset[Digest]:
        """Name everything that is here."""
        ...
