"""The documentation says what the code says: commands, metrics, generators, what is not supported, links, messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import typer.main
from typer.core import TyperGroup

from fleet.argo.appset import GENERATORS
from fleet.argo.appset_fields import APPLICATION_SET
from fleet.argo.fields import APPLICATION
from fleet.argo.project_fields import APP_PROJECT
from fleet.argo.shapes import Items, Record, Shape, Support, Table
from fleet.argo.support import OPTIONS
from fleet.cli.main import app
from fleet.templating.funcs_encode import REFUSED

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "guides"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("deploy/*.md")])
SOURCES = [
    path for part in ("fleet", "hub", "agents") for path in sorted((ROOT / part).rglob("*.py"))
]


PUT_TOGETHER = {
    "helm failed",
    "helm is not installed",
    "source.path: path",
    "there are no clusters with this name",
}
"""What is said with a word that varies in it."""


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(group, TyperGroup):
        for name, inner in group.commands.items():
            yield from commands(inner, (*path, name))
    else:
        yield path


def test_the_readme_names_every_command() -> None:
    named = set()
    for line in re.findall(r"^\| (`fleet .*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE):
        for words in re.findall(r"`fleet ([a-z ]+(?:[a-z]|\\\|)*)", line):
            *group, last = words.split()
            named |= {(*group, verb) for verb in last.split("\\|")}
    assert set(commands(typer.main.get_command(app))) - {("version",), ("demo",)} <= named


def test_operations_names_every_metric() -> None:
    text = (GUIDES / "operations.md").read_text()
    pattern = re.compile(r'(Counter|Gauge|Histogram)\(\s*"(fleet_[a-z_]+)"')
    found = {
        name if kind != "Counter" or name.endswith("_total") else f"{name}_total"
        for path in SOURCES
        if "testing" not in path.parts
        for kind, name in pattern.findall(path.read_text())
    }
    assert len(found) > 30
    assert {name for name in found if f"`{name}`" not in text and f"`{name}{{" not in text} == set()


def fields(shape: Shape, support: Support) -> Iterator[str]:
    if isinstance(shape, Record):
        for name, field in shape.fields.items():
            if field.support is support:
                yield name
            elif field.support is not Support.UNSAFE:
                yield from fields(field.shape, support)
    elif isinstance(shape, Items | Table):
        yield from fields(shape.item, support)


@pytest.mark.parametrize("support", [Support.UNSAFE, Support.SAFE], ids=str)
def test_compatibility_names_every_field_that_is_not_supported(support: Support) -> None:
    text = (GUIDES / "compatibility.md").read_text()
    wanted = {
        name
        for record in (APPLICATION, APPLICATION_SET, APP_PROJECT)
        for name in fields(record, support)
    }
    assert len(wanted) >= 5
    assert {name for name in wanted if f"`{name}`" not in text} == set()
    options = {
        (name, value)
        for name, values in OPTIONS.items()
        for value, kind in values.items()
        if kind is support and value
    }
    said = set(re.findall(r"`(\w+)=([\w|]+)`", text))
    assert options <= {(name, value) for name, values in said for value in values.split("|")}


def test_compatibility_names_generators_and_refused_functions() -> None:
    text = (GUIDES / "compatibility.md").read_text()
    names = {*GENERATORS, *REFUSED}
    assert {name for name in names if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), target
    for target in re.findall(r"`((?:docs|config|deploy|tests)/[\w./-]+)`", document.read_text()):
        assert (ROOT / target).exists(), target


def test_troubleshooting_quotes_what_is_really_said() -> None:
    rows = re.findall(r"^\| (`.*?) \| ", (GUIDES / "troubleshooting.md").read_text(), re.MULTILINE)
    quoted = {
        part.strip(" :`")
        for row in rows
        for text in re.findall(r"`(.*?)`(?:,| or |$| behind)", row)
        for part in re.split("…|'[^']*'|\"[^\"]*\"|\\b[ab]\\b", text)
    }
    said = "".join(path.read_text() for path in SOURCES)
    said = re.sub(r'"\s*f?"', "", said)  # texts that go on in the next line
    unsaid = {part for part in quoted - PUT_TOGETHER if len(part) > 4 and part not in said}
    assert len(quoted) > 25
    assert unsaid == set()


def test_the_readme_starts_a_fleet_in_ten_lines_from_samples() -> None:
    readme = (ROOT / "README.md").read_text()
    block = readme.split("## A hub and two agents by hand\n```sh\n")[1].split("```")[0]
    assert len(block.splitlines()) <= 12
    for name in ("hub.yaml", "agent.yaml", "fleet/fleet/apps.yaml"):
        assert (ROOT / "config" / "samples" / name).exists()
    marks = {mark for mark in ("FLEET_CONFIG_URL", "CLUSTER") if mark in block}
    assert marks == {"FLEET_CONFIG_URL", "CLUSTER"}
