"""The ``fleet`` command in this process, by its own entry point."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from fleet.cli.main import main
from fleet.codec.jsontypes import JsonValue

SCHEMAS = Path(__file__).resolve().parents[4] / "config" / "schemas"


@dataclass(frozen=True)
class Run:
    """A finished command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> JsonValue:
        return json.loads(self.out)

    def fits(self, schema: str) -> JsonValue:
        """Return the JSON value, which must fit the schema of that name."""
        value = self.json
        jsonschema.validate(value, json.loads((SCHEMAS / f"{schema}.json").read_text()))
        return value


@pytest.fixture
def fleet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Run]:
    """Runs a command line: ``fleet("health", path, stdin="...")``."""
    monkeypatch.setenv("FLEET_CONFIG", "")

    def run(*arguments: str | Path, stdin: str = "") -> Run:
        monkeypatch.setattr(sys, "argv", ["fleet", *(str(item) for item in arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as caught:
            main()
        said = capsys.readouterr()
        return Run(int(caught.value.code or 0), said.out, said.err)

    return run
