"""What one evaluation of a set may take: steps of its templates, the text they make, the YAML it reads, rows.

A single rendering has limits of its own (`fleet.templating.values`); these hold for all of them together, so that neither
many rows nor combinations of combinations make an evaluation endless, or larger than the hub's memory. They are several
times what a thousand clusters with fifty directories take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.generators.params import GeneratorError
from fleet.templating.errors import TemplateError
from fleet.templating.values import MAX_STEPS

MAX_SET_STEPS = 50_000_000
"""About a minute or two of one processor, if a set really takes all of them."""

MAX_SET_TEXT = 128 * 1024 * 1024
"""Characters that the templates of one evaluation may make."""

MAX_ROWS = 200_000
"""Of one generator, combinations included."""


@dataclass(slots=True)
class Budget:
    """What is left of an evaluation's steps and text."""

    steps: int = MAX_SET_STEPS
    text: int = MAX_SET_TEXT

    def grant(self) -> int:
        """Return the steps that one rendering may take; raises TemplateError when none are left."""
        if self.steps <= 0:
            raise TemplateError(
                f"the set's templates take more than {MAX_SET_STEPS} steps together"
            )
        return min(MAX_STEPS, self.steps)

    def read(self, size: int) -> None:
        """Pay for reading YAML of a size, which is done again for every row that fills a generator; raises TemplateError."""
        self.grant()
        self.steps -= size >> 3

    def take(self, text: str) -> str:
        """Pay for a text that was made; raises TemplateError."""
        self.text -= len(text)
        if self.text < 0:
            raise TemplateError(
                f"the set's templates make more than {MAX_SET_TEXT} characters together"
            )
        return text


def limited(rows: Sequence[object]) -> None:
    """Raise GeneratorError where there are more rows than a set may have."""
    if len(rows) > MAX_ROWS:
        raise GeneratorError(f"more than {MAX_ROWS} rows (split the set, or select less)")
