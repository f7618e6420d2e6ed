"""Settings: strict, with the place of every mistake, and documented from the type."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from fleet.errors import BadInput
from fleet.runtime.settings import Size, load_settings, parse_duration, parse_size
from fleet.runtime.settingsdoc import describe_settings

MIB_64 = Size(64 * 2**20)


class Mode(StrEnum):
    FAST = "fast"
    SLOW = "slow"


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    listen: str
    tls: bool = True


@dataclass(frozen=True, kw_only=True)
class Repo:
    url: str
    """Where it is."""
    every: timedelta = timedelta(minutes=1)
    """Time between two looks."""

    def __post_init__(self) -> None:
        if self.every <= timedelta(0):
            raise BadInput("a time between looks is above zero")


@dataclass(frozen=True, kw_only=True)
class Example:
    """An example."""

    state_folder: Path
    """Where state is kept."""
    api: Listener = field(default_factory=lambda: Listener(listen="127.0.0.1:8080"))
    repositories: tuple[Repo, ...] = ()
    limit: Size = MIB_64
    mode: Mode = Mode.FAST
    form: Literal["json", "console"] = "json"
    ratio: float = 0.5
    extra: dict[str, str] = field(default_factory=dict)
    token_file: Path | None = None


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "hub.yaml"
    path.write_text(text)
    return path


def test_everything_is_read(tmp_path: Path) -> None:
    text = """
stateFolder: state
api: {listen: '0.0.0.0:1', tls: false}
repositories:
  - url: https://git.example.com/a
    every: 1h30m
limit: 1.5Gi
mode: slow
form: console
ratio: 2
extra: {a: b}
tokenFile: /run/token
"""
    assert load_settings(write(tmp_path, text), Example) == Example(
        state_folder=tmp_path / "state",
        api=Listener(listen="0.0.0.0:1", tls=False),
        repositories=(Repo(url="https://git.example.com/a", every=timedelta(minutes=90)),),
        limit=Size(3 * 2**29),
        mode=Mode.SLOW,
        form="console",
        ratio=2.0,
        extra={"a": "b"},
        token_file=Path("/run/token"),
    )


def test_defaults_fill_what_the_file_leaves_out(tmp_path: Path) -> None:
    path = write(tmp_path, "api: {listen: x}\n")
    found = load_settings(path, Example, {"stateFolder": "s", "api": {"tls": False, "listen": "y"}})
    assert found.state_folder == tmp_path / "s"
    assert found.api == Listener(listen="x", tls=False)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("stateFolder: s\nstatefolder: t\n", ":2: statefolder", "did you mean stateFolder?"),
        (
            "stateFolder: s\nrepositories:\n- ulr: x\n",
            ":3: repositories[0].ulr",
            "did you mean url?",
        ),
        (
            "stateFolder: s\nrepositories:\n- every: 5s\n",
            ":3: repositories[0]",
            "'url' is required",
        ),
        ("limit: 5\n", ":1", "'stateFolder' is required"),
        ("stateFolder: 5\n", ":1: stateFolder", "a path is expected, not 5"),
        ("stateFolder: s\nratio: many\n", ":2: ratio", "a number is expected, not 'many'"),
        ("stateFolder: s\nratio: true\n", ":2: ratio", "a number is expected, not True"),
        ("stateFolder: s\nlimit: 5 MB\n", ":2: limit", "not a size: '5 MB'"),
        ("stateFolder: s\nmode: middle\n", ":2: mode", "'middle' is not one of fast, slow"),
        ("stateFolder: s\nform: xml\n", ":2: form", "is not one of json, console"),
        ("stateFolder: s\nrepositories: {}\n", ":2: repositories", "a list is expected, not a map"),
        ("stateFolder: s\nextra: {a: 1}\n", ":2: extra.a", "a text is expected, not 1"),
        (
            "stateFolder: s\nrepositories:\n- url: x\n  every: 5\n",
            ":4: repositories[0].every",
            "a duration such as 30s is expected",
        ),
        (
            "stateFolder: s\nrepositories:\n- url: x\n  every: 0s\n",
            ":3: repositories[0]",
            "above zero",
        ),
        ("- a\n", ":1", "a map is expected, not a list"),
        ("stateFolder: s\n---\na: b\n", ":3", "one YAML document"),
        ("stateFolder: [\n", ":2", "not valid YAML"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith(":") else "",
)
def test_mistakes_name_their_place(tmp_path: Path, text: str, place: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        load_settings(path, Example)
    assert str(caught.value).startswith(f"{path}{place}: ")
    assert message in str(caught.value)


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="settings cannot be read: No such file"):
        load_settings(tmp_path / "none.yaml", Example)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("24h", 86400),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("7d", 604800),
        ("1.5h", 5400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5x", "-5s", "5s!"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadInput, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("1024", 1024), ("64Mi", 64 * 2**20), ("1k", 1000), ("0.5Ki", 512)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_the_description_has_every_key_with_its_text_and_is_a_valid_file(tmp_path: Path) -> None:
    text = describe_settings(Example)
    for expected in (
        "## An example.",
        "## Where state is kept.",
        "stateFolder: <a path>",
        "# limit: 64Mi",
        "# mode: fast",
        "# tokenFile: null",
        "## Time between two looks.",
        "#     every: 1m",
    ):
        assert expected in text.replace("    # every", "#     every"), expected
    found = load_settings(write(tmp_path, text), Example)
    assert found == Example(state_folder=tmp_path / "<a path>")
