"""Takes out of documents what jq path expressions select (``jqPathExpressions`` of ``ignoreDifferences``).

An expression may take as long and as much memory as its author likes, and the library costs memory: so a child
process does it (`fleet.jq.worker`), which exists only while there is something to delete, has limits for each
document, and is ended after a quiet while. Where an expression fails on a document (``.a[]`` with no ``a``) nothing is
deleted, as in Argo CD; one that is no path expression, or that needs more than the limits, is `BadInput`.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Transient
from fleet.runtime.child import Child, ChildEnded
from fleet.runtime.clock import Clock

_MEMORY_ERROR = 3
"""Exit status of the child (`fleet.jq.worker`) when the interpreter got no memory."""
_PATIENCE = 20.0
"""Seconds on the wall for one document: processor time counts for its limit, whatever else the machine does."""
_OUT_OF_MEMORY = frozenset((_MEMORY_ERROR, -signal.SIGABRT, -signal.SIGSEGV))
"""How the child ends then: the interpreter, the library, and the library's stack."""
MAX_LENGTH = 4096
"""Characters of an expression: the parser behind it recurses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may cost."""

    seconds: float = 1.0
    """Of processor time."""
    memory: int = 160 * 1024 * 1024
    """Bytes of address space of the child, which has about 40 MB when it starts. Enough for objects of 3 MB, and together
    with an agent less than the agent's container may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Expressions, and the documents out of which each of them deletes, one after the other."""

    expressions: tuple[str, ...]
    documents: tuple[JsonObject, ...]


class _Note(msgspec.Struct, frozen=True):
    trying: int | None = None
    """Index of the expression whose turn has come."""


class _Answer(msgspec.Struct, frozen=True):
    document: JsonObject | None = None
    invalid: str = ""


class JqPaths:
    """Deletes by jq path expressions; one document at a time."""

    def __init__(self, clock: Clock, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._child = Child(
            clock,
            "fleet.jq.worker",
            (str(self._limits.seconds), str(self._limits.memory)),
            deadline=_PATIENCE,
        )

    async def check(self, expressions: Collection[str]) -> None:
        """Check that these are path expressions; raises BadInput for the first that is none."""
        await self.delete((Batch(expressions=tuple(expressions), documents=({},)),))

    async def delete(self, batches: Sequence[Batch]) -> list[tuple[JsonObject, ...]]:
        """Return for each batch its documents without what its expressions select.

        Raises BadInput that names the expression, and Transient if the child cannot be started.
        """
        return [
            tuple([await self._without(item, batch.expressions) for item in batch.documents])
            if batch.expressions
            else batch.documents
            for batch in batches
        ]

    async def run(self) -> None:
        """End the child when nobody asks, until cancelled."""
        await self._child.run()

    async def close(self) -> None:
        """End the child; the next question starts another."""
        await self._child.close()

    async def _without(self, document: JsonObject, expressions: tuple[str, ...]) -> JsonObject:
        for expression in expressions:
            if len(expression) > MAX_LENGTH:
                raise _bad(expression, f"it is longer than {MAX_LENGTH} characters")
        question = b"%b\n%b" % (json.dumps(expressions).encode(), msgspec.json.encode(document))
        tried = expressions[0]

        def is_note(line: bytes) -> bool:
            nonlocal tried
            trying = msgspec.json.decode(line, type=_Note).trying
            if trying is not None:
                tried = expressions[trying]
            return trying is not None

        try:
            line = await self._child.ask(question, is_note=is_note)
        except ChildEnded as error:
            raise self._death(error.status, tried) from error
        except (TimeoutError, OSError) as error:
            raise Transient("the jq process did not answer") from error
        answer = msgspec.json.decode(line, type=_Answer)
        if answer.document is None:
            raise _bad(tried, answer.invalid)
        return answer.document

    def _death(self, status: int, tried: str) -> BadInput | Transient:
        if status == -signal.SIGPROF:
            return _bad(tried, f"it takes longer than {self._limits.seconds:g} s")
        if status in _OUT_OF_MEMORY:
            return _bad(tried, f"it needs more than {self._limits.memory >> 20} MiB of memory")
        return Transient(f"the jq process ended with status {status}")


def _bad(expression: str, reason: str) -> BadInput:
    shown = expression if len(expression) <= 100 else expression[:97] + "..."
    return BadInput(
        f"jq path expression {shown!r} cannot be used: {reason}",
        hint="an expression selects paths to delete, like .spec.containers[].image",
    )
