"""The syntax tree of a template, and how each part is written in messages.

``str(node)`` gives the text that Go shows as ``at <...>``. Nodes carry the offset of their first character; they are
immutable and know nothing of evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Nil:
    """The word ``nil``."""

    pos: int

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Dot:
    """The dot: what a template works on at this place."""

    pos: int

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Bool:
    """``true`` or ``false``."""

    pos: int
    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class String:
    """A quoted text; ``quoted`` is how it was written."""

    pos: int
    quoted: str
    value: str

    def __str__(self) -> str:
        return self.quoted


@dataclass(frozen=True, slots=True)
class Number:
    """A number under all the types that can hold it exactly, as Go's untyped constants."""

    pos: int
    text: str
    integer: int | None
    unsigned: int | None
    real: float | None
    imaginary: complex | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Field:
    """``.a.b``."""

    pos: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable:
    """``$x.a.b``; the first name has its dollar sign."""

    pos: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Identifier:
    """The name of a function."""

    pos: int
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of a term that is neither a field nor a variable: ``(index .a 0).b``."""

    pos: int
    node: Operand
    names: tuple[str, ...]

    def __str__(self) -> str:
        term = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return term + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Command:
    """A value, or a function with its arguments."""

    pos: int
    args: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join(f"({arg})" if isinstance(arg, Pipe) else str(arg) for arg in self.args)


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands joined by ``|``, and the variables that take the result."""

    pos: int
    commands: tuple[Command, ...]
    variables: tuple[Variable, ...] = ()
    is_assignment: bool = False

    def __str__(self) -> str:
        text = " | ".join(map(str, self.commands))
        if not self.variables:
            return text
        sign = "=" if self.is_assignment else ":="
        return f"{', '.join(map(str, self.variables))} {sign} {text}"


Operand: TypeAlias = (
    Nil | Dot | Bool | String | Number | Field | Variable | Identifier | Chain | Pipe
)


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is copied."""

    pos: int
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """``{{pipeline}}``: prints its value, or declares variables."""

    pos: int
    pipe: Pipe


@dataclass(frozen=True, slots=True)
class If:
    """``{{if}}``."""

    pos: int
    pipe: Pipe
    body: Body
    otherwise: Body | None


@dataclass(frozen=True, slots=True)
class With:
    """``{{with}}``: as if, and the dot becomes the value."""

    pos: int
    pipe: Pipe
    body: Body
    otherwise: Body | None


@dataclass(frozen=True, slots=True)
class Range:
    """``{{range}}``."""

    pos: int
    pipe: Pipe
    body: Body
    otherwise: Body | None


@dataclass(frozen=True, slots=True)
class Call:
    """``{{template "name" pipeline}}``."""

    pos: int
    name: str
    quoted: str
    pipe: Pipe | None

    def __str__(self) -> str:
        return f"{{{{template {self.quoted}{f' {self.pipe}' if self.pipe else ''}}}}}"


@dataclass(frozen=True, slots=True)
class Break:
    """``{{break}}``."""

    pos: int


@dataclass(frozen=True, slots=True)
class Continue:
    """``{{continue}}``."""

    pos: int


Statement: TypeAlias = Text | Action | If | With | Range | Call | Break | Continue
Body: TypeAlias = tuple[Statement, ...]


def is_empty(body: Body) -> bool:
    """Tell whether a body holds nothing but blanks; such a template may be defined again."""
    return all(isinstance(node, Text) and not node.text.strip() for node in body)
