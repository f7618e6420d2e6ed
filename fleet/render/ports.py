"""What rendering needs from others: repositories, charts, a place for artifacts and for closures.

Their adapters live in rooms of their own; nothing here knows how a repository is fetched or a blob is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fleet.codec import canonical
from fleet.errors import Corrupt, Where
from fleet.model.application import Warning  # noqa: A004  # the field's word
from fleet.model.identity import Digest
from fleet.model.world import Tree


class SourceTrees(Protocol):
    """Git repositories that somebody else keeps fetched."""

    async def resolve(self, url: str, revision: str, /) -> str:
        """Return the commit that a revision stands for ("" and HEAD: the default branch)."""

    async def tree(self, url: str, commit: str, /) -> Tree:
        """Return the full listing of a commit."""

    async def blobs(self, url: str, object_ids: tuple[str, ...], /) -> dict[str, bytes]:
        """Return the bytes of git objects."""


class ChartVersion(Protocol):
    """One version of a chart that a repository offers."""

    @property
    def version(self) -> str: ...

    @property
    def digest(self) -> str: ...


class Charts(Protocol):
    """Helm repositories and OCI registries."""

    async def resolve(self, repo_url: str, chart: str, version_range: str, /) -> ChartVersion:
        """Return the newest version in the range."""

    async def chart(self, repo_url: str, chart: str, version: str, /) -> bytes:
        """Return the chart's archive (``.tgz``)."""


class ArtifactSink(Protocol):
    """Content-addressed blobs."""

    async def put(self, data: bytes, /) -> Digest: ...

    async def get(self, digest: Digest, /) -> bytes: ...

    async def has(self, digest: Digest, /) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClosure:
    """What is remembered about a closure: its artifact, or which further files it turned out to need."""

    artifact: Digest | None = None
    objects: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[Warning, ...] = ()
    nondeterministic: bool = False
    more: tuple[str, ...] = ()
    """Paths that the tool asked for beyond the static walk; "." is the whole repository."""

    def encode(self) -> bytes:
        """Write it as canonical JSON, for stores that keep bytes."""
        warnings = [
            {"reason": w.reason, "message": w.message, "file": w.where.file, "line": w.where.line}
            for w in self.warnings
        ]
        return canonical.canonical_bytes(
            {
                "artifact": self.artifact,
                "objects": self.objects,
                "kinds": dict(self.kinds),
                "warnings": warnings,
                "nondeterministic": self.nondeterministic,
                "more": list(self.more),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> StoredClosure:
        """Read what `encode` wrote; raises Corrupt."""
        try:
            value = canonical.decode(data)
            return cls(
                artifact=value["artifact"],
                objects=value["objects"],
                kinds=value["kinds"],
                warnings=tuple(
                    Warning(
                        reason=w["reason"],
                        message=w["message"],
                        where=Where(file=w["file"], line=w["line"]),
                    )
                    for w in value["warnings"]
                ),
                nondeterministic=value["nondeterministic"],
                more=tuple(value["more"]),
            )
        except (KeyError, TypeError) as error:
            raise Corrupt("a stored closure does not have the form it was written in") from error


class ClosureStore(Protocol):
    """The durable table from closures to artifacts."""

    async def get(self, key: Digest, /) -> StoredClosure | None: ...

    async def put(self, key: Digest, closure: StoredClosure, /) -> None: ...


class MemoryClosures:
    """A ClosureStore that lives as long as the process: for the command line and for tests."""

    def __init__(self) -> None:
        self._closures: dict[Digest, StoredClosure] = {}

    async def get(self, key: Digest) -> StoredClosure | None:
        """Look a closure up."""
        return self._closures.get(key)

    async def put(self, key: Digest, closure: StoredClosure) -> None:
        """Remember a closure."""
        self._closures[key] = closure


class MemoryArtifacts:
    """An ArtifactSink that lives as long as the process."""

    def __init__(self, blobs: Iterable[bytes] = ()) -> None:
        self._blobs = {canonical.digest_bytes(data): data for data in blobs}

    async def put(self, data: bytes) -> Digest:
        """Keep bytes under their digest."""
        digest = canonical.digest_bytes(data)
        self._blobs[digest] = data
        return digest

    async def has(self, digest: Digest) -> bool:
        """Tell whether it is kept."""
        return digest in self._blobs

    async def get(self, digest: Digest) -> bytes:
        """Return kept bytes; raises Corrupt when there are none."""
        try:
            return self._blobs[digest]
        except KeyError as error:
            raise Corrupt(f"no artifact {digest}") from error
