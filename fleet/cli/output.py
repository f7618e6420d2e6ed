"""How results are printed: tables for people, JSON and YAML for programs, messages to standard error.

JSON is exactly the wire type (`fleet.wire.api`); YAML is the same value; a table is a view of it. Control characters
in names and messages that came from elsewhere never reach the terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Annotated

import msgspec
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonValue


class Format(StrEnum):
    """The choices of ``-o``."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[
    Format, typer.Option("--output", "-o", help="Output format.", case_sensitive=False)
]

Column = tuple[str, Callable[[JsonValue], str]]
"""A heading and how to read a row's JSON object."""


def value_of(struct: msgspec.Struct) -> JsonValue:
    """Return the JSON value of a wire type."""
    return msgspec.to_builtins(struct)


def print_value(value: JsonValue, form: Format) -> None:
    """Print JSON or YAML."""
    if form is Format.YAML:
        sys.stdout.write(yamldoc.dump(value))
    else:
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        sys.stdout.write(text + "\n")


def print_rows(answer: msgspec.Struct, form: Format, columns: Sequence[Column]) -> None:
    """Print an answer with ``items``; the table has one line an item."""
    value = value_of(answer)
    if form is not Format.TABLE:
        print_value(value, form)
        return
    print_table([[read(row) for _, read in columns] for row in value["items"]], columns)


def print_table(rows: Sequence[Sequence[str]], columns: Sequence[Column]) -> None:
    """Print a table: aligned columns without lines, like kubectl; an empty one says so on standard error."""
    if not rows:
        note("nothing to show")
        return
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for position, (heading, _) in enumerate(columns):
        table.add_column(heading, overflow="fold", no_wrap=position == 0)
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    console = Console(soft_wrap=False, highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(width=_full_width(table), highlight=False, markup=False)
    console.print(table)


def _full_width(table: Table) -> int:
    """Give the width at which no cell is folded: in a pipe a row is one line, for grep and the like."""
    longest = (max(cell_len(str(cell)) for cell in column.cells) for column in table.columns)
    headings = (cell_len(str(column.header)) for column in table.columns)
    return sum(max(pair) + 2 for pair in zip(longest, headings, strict=True))


def say(text: str) -> None:
    """Write a line of a result for people."""
    typer.echo(plain(text))


def note(text: str) -> None:
    """Say something to people that is not a result."""
    sys.stderr.write(f"{plain(text)}\n")


def plain(text: str) -> str:
    """Drop control and direction characters that could fool a terminal or its reader."""
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def forget_reader() -> None:
    """Whoever reads our output has seen enough; whatever is still buffered has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def progress(text: str) -> AbstractContextManager[object]:
    """Show that something takes time, on a terminal only."""
    console = Console(stderr=True)
    return console.status(text) if console.is_terminal else nullcontext()


def text(key: str) -> Callable[[JsonValue], str]:
    """Read a field as text."""

    def read(row: JsonValue) -> str:
        value = row[key]
        if value is None:
            return "-"
        return (
            ", ".join(str(item) for item in value)
            if isinstance(value, (list, tuple))
            else str(value)
        )

    return read


def short(key: str, length: int = 12) -> Callable[[JsonValue], str]:
    """Read a digest or commit, cut for the table."""

    def read(row: JsonValue) -> str:
        return str(row[key]).removeprefix("sha256:")[:length]

    return read


def age(key: str = "ageSeconds") -> Callable[[JsonValue], str]:
    """Read seconds as 5s, 3m, 2h, 4d."""

    def read(row: JsonValue) -> str:
        seconds = row[key]
        if seconds is None:
            return "never"
        for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
            if seconds >= 2 * size:
                return f"{seconds // size}{unit}"
        return f"{seconds}s"

    return read
