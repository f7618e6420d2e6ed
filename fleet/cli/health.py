"""``fleet health``: how the rules rate objects, for people who write rules and for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fleet.cli.documents import read_documents
from fleet.cli.output import Column, Format, Output, print_table, print_value, text
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.codec.yamldoc import Document
from fleet.errors import BadInput, Where
from fleet.health.assess import assess


class HealthRow(msgspec.Struct, frozen=True, kw_only=True):
    """One object; null status where no rule applies."""

    group: str
    kind: str
    namespace: str
    name: str
    status: str | None
    message: str


COLUMNS: tuple[Column, ...] = (
    ("KIND", text("kind")),
    ("NAMESPACE", text("namespace")),
    ("NAME", text("name")),
    ("HEALTH", text("status")),
    ("MESSAGE", text("message")),
)


def health(
    file: Annotated[Path, typer.Argument(metavar="FILE|-", help="YAML or JSON documents.")],
    output: Output = Format.TABLE,
) -> None:
    """Rate the health of objects, one result per document, in order."""
    rows: list[JsonValue] = [
        msgspec.to_builtins(_rate(value, document))
        for document in read_documents(file)
        for value in _items(document)
    ]
    if output is not Format.TABLE:
        print_value(rows, output)
        return
    print_table([[read(row) for _, read in COLUMNS] for row in rows], COLUMNS)


def _items(document: Document) -> list[JsonObject]:
    value = document.value
    if isinstance(value, dict) and value.get("kind") == "List":
        value = value.get("items") or []
    values = value if isinstance(value, list) else [value]
    for item in values:
        if problem := _why_no_object(item):
            raise BadInput(
                f"not a Kubernetes object: {problem}",
                where=Where(file=document.source, line=document.line),
            )
    return values


def _why_no_object(value: JsonValue) -> str:
    if not isinstance(value, dict) or "kind" not in value:
        return "it has no kind"
    for key, type_ in (("kind", str), ("apiVersion", str), ("metadata", dict)):
        if not isinstance(value.get(key, type_()), type_):
            return f"its {key} is no {'map' if type_ is dict else 'text'}"
    return ""


def _rate(value: JsonObject, document: Document) -> HealthRow:
    metadata = value.get("metadata") or {}
    api = str(value.get("apiVersion", ""))
    found = assess(value)
    return HealthRow(
        group=api.partition("/")[0] if "/" in api else "",
        kind=str(value["kind"]),
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        status=found.status.value if found else None,
        message=found.message if found else "",
    )
