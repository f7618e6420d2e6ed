"""The ``fleet`` command as a process: terminals and pipes, exit statuses, completion, and folders with our names."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

FLEET = Path(sys.executable).with_name("fleet")
APPSET = """\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: apps, namespace: argocd}
spec:
  generators: [{list: {elements: [{name: a}, {name: b}]}}]
  template:
    metadata: {name: '{{name}}'}
    spec:
      project: default
      source: {repoURL: https://git.example.com/a.git, path: a}
      destination: {server: https://kubernetes.default.svc, namespace: shop}
"""


@dataclass(frozen=True)
class Run:
    """A finished command."""

    status: int
    out: str
    err: str


def environment(folder: Path, **more: str) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(folder), "TERM": "xterm", **more}


def fleet(folder: Path, *arguments: str, stdin: str = "", **more: str) -> Run:
    done = subprocess.run(
        [str(FLEET), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env=environment(folder, **more),
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def on_a_terminal(folder: Path, *arguments: str, **more: str) -> str:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [str(FLEET), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environment(folder, **more),
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while data := os.read(ours, 65536):
                seen += data
        except OSError:  # Linux says so when the other side is gone
            pass
        finally:
            os.close(ours)
        assert process.wait(60) == 0, seen
    return seen.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set.yaml").write_text(APPSET)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "cm.yaml").write_text("apiVersion: v1\nkind: ConfigMap\n")
    return tmp_path


def test_long_work_shows_on_a_terminal_only(folder: Path) -> None:
    command = ("appset", "generate", "set.yaml", "-o", "name")
    shown = on_a_terminal(folder, *command)
    assert "generating" in shown
    assert shown.replace("\r", "").endswith("a\nb\n")
    piped = fleet(folder, *command)
    assert (piped.status, piped.out, piped.err) == (0, "a\nb\n", "")


def test_a_pipe_gets_no_colours_and_whole_lines(folder: Path) -> None:
    objects = "apiVersion: v1\nkind: Pod\nmetadata: {name: " + "x" * 200 + "}\n"
    (folder / "pod.yaml").write_text(objects)
    piped = fleet(folder, "health", "pod.yaml", COLUMNS="40")
    assert "\x1b" not in piped.out
    assert "x" * 200 in piped.out
    assert "\x1b[1m" in on_a_terminal(folder, "health", "pod.yaml")
    assert "\x1b[1m" not in on_a_terminal(folder, "health", "pod.yaml", NO_COLOR="1", TERM="dumb")


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    elements = ", ".join(f"{{name: n{number}}}" for number in range(3000))
    text = APPSET.replace("{name: a}, {name: b}", elements)
    (folder / "many.yaml").write_text(text)
    done = subprocess.run(
        f"{FLEET} appset generate many.yaml | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env=environment(folder),
    )
    assert done.stdout == "apiVersion: argoproj.io/v1alpha1\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["hub", "check", "ghost"],
        ["hub", "run", "--config", "ghost"],
        ["agent", "run", "--config", "ghost"],
        ["health", "ghost"],
    ],
    ids=" ".join,
)
def test_failures_have_status_1_and_one_line(folder: Path, arguments: list[str]) -> None:
    done = fleet(folder, *arguments)
    assert (done.status, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("fleet")


def test_completion_for_the_users_shell(folder: Path) -> None:
    done = fleet(
        folder, "--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert done.status == 0
    assert "_FLEET_COMPLETE=complete_bash" in done.out
    words = fleet(
        folder, _FLEET_COMPLETE="complete_bash", COMP_WORDS="fleet appset g", COMP_CWORD="2"
    )
    assert words.out.split() == ["get", "generate"]


def test_a_folder_with_the_name_of_a_package_is_not_taken_for_it(folder: Path) -> None:
    for name in ("fleet", "hub", "agents"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong package')")
    (folder / "hub.yaml").write_text("state: x\n")
    assert "hub.yaml:1: 'externalURL' is required" in fleet(folder, "hub", "check", "hub.yaml").err
    assert fleet(folder, "agent", "run", "--config", "ghost").err.startswith("fleet-agent: ghost")
    assert fleet(folder, "health", "plain/cm.yaml").status == 0
