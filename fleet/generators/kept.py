"""What one evaluation of a set found out, for the next one: equal inputs give the same objects again.

Rows of plain generators are the same object where what they say is equal. So a combination of two rows, the
Application of a row and the verdict on it are found by identity, which costs a tenth of a microsecond instead of a
hundred. Nothing is decided here: with an empty `Kept` every result is equal. What the last good evaluation did not
use is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from fleet.codec.canonical import digest_value
from fleet.codec.equality import same
from fleet.errors import BadInput
from fleet.generators.made import Made
from fleet.generators.params import ParamSet
from fleet.generators.result import SetError
from fleet.model.application import Application, Destination
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName
from fleet.model.world import World

_Pairs: TypeAlias = dict[tuple[str, int], tuple[ParamSet, list[Made[ParamSet, ParamSet]]]]
"""By the way to combine and the first row's identity: that row, and what every call for it made of the second ones."""
_Batch: TypeAlias = tuple[int, str]
"""Position and name of a generator."""
_Verdicts: TypeAlias = Made[Application, SetError | None]


@dataclass(slots=True)
class _Generation:
    """What one evaluation used; values hold the objects whose identities are the keys."""

    rows: dict[tuple[str, str, str], ParamSet] = field(default_factory=dict)
    pairs: _Pairs = field(default_factory=dict)
    made: dict[_Batch, Made[ParamSet, Application]] = field(default_factory=dict)
    verdicts: _Verdicts = field(default_factory=Made)


class _Enough(Exception):
    """So many errors are not worth more work."""


class Kept:
    """Memory of one set's evaluations; for one thread at a time."""

    def __init__(self) -> None:
        self._old = _Generation()
        self._new = _Generation()
        self._names: dict[AppName, Application] | None = None
        """The Applications of the evaluation before, once somebody asks."""
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
            self._old.verdicts = Made()
        self._document, self._surroundings = document, surroundings
        self._new = _Generation()
        self._names = None

    def finish(self) -> None:
        """The evaluation is good: what it did not use is forgotten. Without this nothing is."""
        self._old, self._new = self._new, _Generation()
        self._names = None

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
            item = used.get(key) or known.get(key) or row
            used[key] = item
            found.append(item)
        return found

    def combined(
        self,
        way: str,
        first: ParamSet,
        rows: Sequence[ParamSet],
        combine: Callable[[ParamSet], ParamSet],
    ) -> Sequence[ParamSet]:
        """Return a row combined with each of others; ``way`` names the ``combine`` that does it."""
        key = way, id(first)
        used = self._new.pairs.setdefault(key, (first, []))[1]
        before = self._old.pairs.get(key)
        known = before[1] if before is not None and before[0] is first else []
        made: Made[ParamSet, ParamSet] = known[len(used)] if len(used) < len(known) else Made()
        used.append(made.followed_by(rows, combine))
        return used[-1].values

    def applications(
        self,
        batch: _Batch,
        rows: Sequence[ParamSet],
        make: Callable[[ParamSet], Application],
        *,
        most_errors: int,
    ) -> tuple[Sequence[Application], list[BadInput]]:
        """Return the Application of each row, or why some rows have none."""
        errors: list[BadInput] = []

        def tried(row: ParamSet) -> Application:
            try:
                return self._as_before(make(row))
            except BadInput as error:
                errors.append(error)
                if len(errors) == most_errors:
                    raise _Enough from None
                return _NONE

        before: Made[ParamSet, Application] = self._old.made.get(batch) or Made()
        try:
            made = before.followed_by(rows, tried)
        except _Enough:
            return (), errors
        if errors:
            return (), errors
        self._new.made[batch] = made
        return made.values, errors

    def _as_before(self, made: Application) -> Application:
        """Return the Application of that name if it says the same: whoever compares by identity is spared the look."""
        if self._names is None:
            self._names = {item.name: item for item in self._old.verdicts.of}
        old = self._names.get(made.name)
        return old if old == made and same(old, made) and old is not None else made

    def verdicts(
        self,
        applications: Sequence[Application],
        judge: Callable[[Application], SetError | None],
    ) -> Sequence[SetError | None]:
        """Say of each Application what is wrong with it by itself."""
        self._new.verdicts = self._old.verdicts.followed_by(applications, judge)
        return self._new.verdicts.values


_NONE = Application(
    name=AppName(""), namespace="", project="", sources=(), destination=Destination()
)
"""Stands where a row has no Application; it never leaves this module."""
