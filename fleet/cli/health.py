"""``fleet health``: how the rules rate objects, for people who write rules and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fleet.cli.documents import fleet_files, read_documents
from fleet.cli.exits import Exit
from fleet.cli.output import Column, Format, Output, print_table, print_value, text
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.codec.yamldoc import Document
from fleet.errors import BadInput, Where
from fleet.health.assess import kind_of
from fleet.health.customrules import has_rules, rules_of
from fleet.health.result import HealthResult, is_ignored
from fleet.judge.custom import CustomHealth
from fleet.model.healthrules import HealthRule, HealthRules
from fleet.model.report import Health
from fleet.runtime.clock import SystemClock


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
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE|-", help="YAML or JSON documents, and folders of them."),
    ],
    rules: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="ConfigMap with your own rules: Argo CD's resource.customizations.health keys, "
            "or gitopsfleet.health keys in CEL.",
        ),
    ] = None,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 3 where an object that counts is not Healthy."),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Rate the health of objects as the agents do, one result per document, in order.

    No health is shown for kinds that say nothing about it; they count as done.
    """
    documents = [document for file in files for document in _documents(file)]
    objects = [(value, document) for document in documents for value in _items(document)]
    custom = _read_rules(rules) if rules is not None else HealthRules()
    results = asyncio.run(_judge(custom, [value for value, _ in objects]))
    rows: list[JsonValue] = [
        msgspec.to_builtins(_row(value, found))
        for (value, _), found in zip(objects, results, strict=True)
    ]
    if output is not Format.TABLE:
        print_value(rows, output)
    else:
        print_table([[read(row) for _, read in COLUMNS] for row in rows], COLUMNS)
    counting = [
        found
        for (value, _), found in zip(objects, results, strict=True)
        if found is not None and not is_ignored(value)
    ]
    if exit_code and any(found.status is not Health.HEALTHY for found in counting):
        raise typer.Exit(Exit.DIFFERENCES)


async def _judge(rules: HealthRules, objects: list[JsonObject]) -> list[HealthResult | None]:
    judge = CustomHealth(SystemClock())
    try:
        for problem in await judge.check(rules):
            raise problem
        return await judge.judge(rules, objects)
    finally:
        await judge.close()


def _documents(file: Path) -> Iterable[Document]:
    if file.is_dir():
        return (document for path in fleet_files(file) for document in read_documents(path))
    return read_documents(file)


def _read_rules(file: Path) -> HealthRules:
    found: list[HealthRule] = []
    for document in read_documents(file):
        for value in _items(document):
            if has_rules(value):
                read = rules_of(value, file=document.source)
                if read.problems:
                    raise read.problems[0]
                found += read.rules.rules
    if not found:
        raise BadInput(
            f"{file} has no health rules",
            hint="a ConfigMap with keys like resource.customizations.health.apps_Deployment",
        )
    return HealthRules(rules=tuple(found))


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


def _row(value: JsonObject, found: HealthResult | None) -> HealthRow:
    metadata = value.get("metadata") or {}
    group, kind = kind_of(value)
    return HealthRow(
        group=group,
        kind=kind,
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        status=found.status.value if found else None,
        message=found.message if found else "",
    )
