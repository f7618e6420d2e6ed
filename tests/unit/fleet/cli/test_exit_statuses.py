"""Exit statuses and usage of the command line: the same for every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fleet import __version__

Fleet = Callable[..., Any]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["render"],
        ["validate"],
        ["health"],
        ["appset", "generate"],
        ["appset", "generate", "set.yaml", "--glob", "odd"],
        ["health", "-", "-o", "xml"],
        ["validate", ".", "--bogus"],
        ["hub", "run"],
        ["agent", "join", "--hub", "https://hub.example.com"],
        ["app", "wait"],
        ["app", "wait", "x", "--timeout", "-1"],
    ],
    ids=" ".join,
)
def test_wrong_usage_has_status_2(fleet: Fleet, arguments: list[str]) -> None:
    done = fleet(*arguments)
    assert done.status == 2
    assert done.out == ""
    assert "Usage: fleet" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["render", "ghost"],
        ["render", "/dev/null"],
        ["validate", "ghost"],
        ["health", "ghost"],
        ["appset", "generate", "ghost"],
        ["app", "list"],
        ["cluster", "add", "x", "--label", "nonsense"],
    ],
    ids=" ".join,
)
def test_failures_have_status_1_and_one_line(fleet: Fleet, arguments: list[str]) -> None:
    done = fleet("--hub", "http://127.0.0.1:1", "--token-file", "/nonexistent", *arguments)
    assert (done.status, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("fleet: ")


@pytest.mark.parametrize("command", ["", "app", "appset", "cluster", "hub", "agent"])
def test_help(fleet: Fleet, command: str) -> None:
    words = [command] if command else []
    bare = fleet(*words)
    assert "Usage: fleet" in bare.out + bare.err
    for option in ("-h", "--help"):
        asked = fleet(*words, option)
        assert asked.status == 0
        assert "Usage: fleet" in asked.out


def test_version(fleet: Fleet) -> None:
    assert fleet("version", "--short").out == f"{__version__}\n"
    assert fleet("version").out == f"fleet {__version__}\n"


def test_completion_is_offered(fleet: Fleet) -> None:
    assert "--install-completion" in fleet("--help").out
