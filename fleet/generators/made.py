"""Values made of a sequence of objects, one of each: what of the next sequence is the same object is not made again.

Sequences have fifty thousand members, of which mostly a few are new: finding these takes no step of the interpreter
for each of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat
from operator import is_, is_not
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_NOTHING: object = object()


@dataclass(frozen=True, slots=True)
class Made(Generic[K, V]):
    """``values[n]`` was made of ``of[n]``. Nobody changes either: they are kept, and with them the identities."""

    of: Sequence[K] = ()
    values: Sequence[V] = field(default=())

    def followed_by(self, of: Sequence[K], make: Callable[[K], V]) -> Made[K, V]:
        """Return what belongs to another sequence; itself where every object is the same one."""
        if len(of) == len(self.of):
            places = [*compress(range(len(of)), map(is_not, of, self.of))]
            if not places:
                return self
            known = {id(self.of[place]): self.values[place] for place in places}
            values = [*self.values]
        else:
            known = dict(zip(map(id, self.of), self.values, strict=True))
            values = [*map(known.get, map(id, of), repeat(_NOTHING))]  # type: ignore[list-item]  # filled below
            places = [*compress(range(len(of)), map(is_, values, repeat(_NOTHING)))]
        for place in places:
            item = of[place]
            values[place] = known[id(item)] if id(item) in known else make(item)
        return Made(of, values)
