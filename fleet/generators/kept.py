"""What one evaluation of a set found out, for the next one: equal inputs give the same objects again.

Rows of plain generators are the same object where what they say is equal. So a combination of two rows, the
Application of a row and the verdict on it are found by identity, which costs a tenth of a microsecond instead of a
hundred. Nothing is decided here: with an empty `Kept` every result is equal. What the last good evaluation did not
use is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from fleet.codec.canonical import digest_value
from fleet.errors import BadInput
from fleet.generators.params import ParamSet
from fleet.generators.result import SetError
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.world import World

_Pairs: TypeAlias = dict[int, tuple[ParamSet, dict[int, tuple[ParamSet, ParamSet]]]]
"""First row by identity: itself, and by the second row's identity: that one, and the two combined."""
_Made: TypeAlias = dict[tuple[int, str], dict[int, tuple[ParamSet, Application]]]
"""Position and name of a generator; then by a row's identity: itself, and its Application."""


@dataclass(slots=True)
class _Generation:
    """What one evaluation used; values hold the objects whose identities are the keys."""

    rows: dict[tuple[str, str, str], ParamSet] = field(default_factory=dict)
    pairs: _Pairs = field(default_factory=dict)
    made: _Made = field(default_factory=dict)
    verdicts: dict[int, tuple[Application, SetError | None]] = field(default_factory=dict)


class Kept:
    """Memory of one set's evaluations; for one thread at a time."""

    def __init__(self) -> None:
        self._old = _Generation()
        self._new = _Generation()
        self._document: object = None
        self._surroundings: object = None

    def begin(self, appset: ApplicationSet, world: World) -> None:
        """Forget what another document, or verdicts that another world had."""
        document = (digest_value(appset.document), appset.where)
        if document != self._document:
            self._old = _Generation()
        surroundings = (
            world.clusters,
            world.projects,
            world.implicit_in_cluster,
            world.templated_projects,
        )
        if surroundings != self._surroundings:
            self._old.verdicts = {}
        self._document, self._surroundings = document, surroundings
        self._new = _Generation()

    def finish(self) -> None:
        """The evaluation is good: what it did not use is forgotten. Without this nothing is."""
        self._old, self._new = self._new, _Generation()

    def rows(self, generator: str, rows: Iterable[ParamSet]) -> list[ParamSet]:
        """Return rows as the objects that said the same before."""
        known, used = self._old.rows, self._new.rows
        found = []
        for row in rows:
            try:
                key = (generator, row.origin, repr(row.values))
            except RecursionError:  # nested too deeply to be worth remembering
                found.append(row)
                continue
            same = used.get(key) or known.get(key) or row
            used[key] = same
            found.append(same)
        return found

    def combined(
        self, first: ParamSet, rows: Iterable[ParamSet], combine: Callable[[ParamSet], ParamSet]
    ) -> list[ParamSet]:
        """Return a row combined with each of others."""
        before = self._old.pairs.get(id(first))
        known = before[1] if before is not None and before[0] is first else {}
        used = self._new.pairs.setdefault(id(first), (first, {}))[1]
        found = []
        for row in rows:
            pair = known.get(id(row))
            if pair is None or pair[0] is not row:
                pair = (row, combine(row))
            used[id(row)] = pair
            found.append(pair[1])
        return found

    def applications(
        self,
        batch: tuple[int, str],
        rows: Iterable[ParamSet],
        make: Callable[[ParamSet], Application],
    ) -> Iterator[Application | BadInput]:
        """Give the Application of each row, or why there is none."""
        known = self._old.made.get(batch, {})
        used = self._new.made.setdefault(batch, {})
        for row in rows:
            pair = known.get(id(row))
            if pair is None or pair[0] is not row:
                try:
                    pair = (row, make(row))
                except BadInput as error:
                    yield error
                    continue
            used[id(row)] = pair
            yield pair[1]

    def verdicts(
        self, applications: Iterable[Application], judge: Callable[[Application], SetError | None]
    ) -> Iterator[SetError | None]:
        """Say of each Application what is wrong with it by itself."""
        known, used = self._old.verdicts, self._new.verdicts
        for application in applications:
            pair = known.get(id(application))
            if pair is None or pair[0] is not application:
                pair = (application, judge(application))
            used[id(application)] = pair
            yield pair[1]
