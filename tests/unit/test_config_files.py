"""What lies in ``config/``: the settings files and JSON schemas are what the types say, and every sample is valid."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest

from agents.settings import AgentSettings
from fleet.cli import schemas, settingsfiles
from fleet.cli.validation import Request, validate_folder
from fleet.runtime.settings import is_settings_type, load_settings, setting_fields
from fleet.runtime.settingsdoc import describe_settings, field_docs
from hub.settings import HubSettings

CONFIG = Path(__file__).resolve().parents[2] / "config"
REMAKE_SETTINGS = "out of date: python -m fleet.cli.settingsfiles config"
REMAKE_SCHEMAS = "out of date: python -m fleet.cli.schemas config/schemas"


@pytest.mark.parametrize("name", settingsfiles.FILES)
def test_a_settings_file_is_what_the_type_says(name: str) -> None:
    described = describe_settings(settingsfiles.FILES[name])
    assert (CONFIG / name).read_text() == described, REMAKE_SETTINGS


@pytest.mark.parametrize("name", settingsfiles.FILES)
def test_a_settings_file_with_every_key_uncommented_says_the_defaults(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    filled = (CONFIG / name).read_text().replace("hub: <a text>", "hub: https://hub.example.com")
    file.write_text(filled)
    least: Any = load_settings(file, settingsfiles.FILES[name])
    file.write_text(re.sub(r"^( *)# ", r"\1", filled, flags=re.MULTILINE))
    found: Any = load_settings(file, settingsfiles.FILES[name])
    if isinstance(found, HubSettings):
        # a list shows one item as a sample
        assert [len(found.access), len(found.plugins), len(found.scm.tokens)] == [1, 1, 1]
        scm = dataclasses.replace(found.scm, tokens=())
        found = dataclasses.replace(found, access=(), plugins=(), scm=scm)
    assert found == least


def _settings(type_: type) -> Iterator[tuple[type, str, Any]]:
    for item in setting_fields(type_):
        yield type_, item.attribute, item.type
        for nested in (item.type, *get_args(item.type)):
            if is_settings_type(nested):
                yield from _settings(nested)


@pytest.mark.parametrize(
    ("owner", "attribute", "type_"),
    [
        pytest.param(*item, id=f"{item[0].__name__}.{item[1]}")
        for settings in settingsfiles.FILES.values()
        for item in _settings(settings)
    ],
)
def test_every_setting_has_its_meaning_under_it(owner: type, attribute: str, type_: Any) -> None:
    nested = [item for item in (type_, *get_args(type_)) if is_settings_type(item)]
    words = field_docs(owner).get(attribute) or (nested[0].__doc__ if nested else "")
    assert words
    assert not words.startswith(f"{nested[0].__name__}(" if nested else "\0")


@pytest.mark.parametrize("name", schemas.OUTPUTS)
def test_a_schema_is_what_the_type_says(name: str) -> None:
    assert (CONFIG / "schemas" / f"{name}.json").read_bytes() == schemas.schema(name), (
        REMAKE_SCHEMAS
    )


def test_every_schema_is_of_an_output_and_valid() -> None:
    files = sorted((CONFIG / "schemas").iterdir())
    assert [file.stem for file in files] == sorted(schemas.OUTPUTS)
    for file in files:
        jsonschema.Draft202012Validator.check_schema(json.loads(file.read_text()))


def test_schemas_let_keys_be_added() -> None:
    """Who checks an answer by a schema of last year must not stumble over a key of this year."""
    for name in schemas.OUTPUTS:
        assert b'"additionalProperties": false' not in schemas.schema(name)
    assert msgspec.json.decode(schemas.schema("validate"))["title"] == "fleet validate -o json"


@pytest.mark.parametrize("folder", ["demo/fleet", "samples/fleet"])
def test_a_fleet_repo_of_ours_is_valid(folder: str) -> None:
    verdict = validate_folder(Request(folder=CONFIG / folder))
    assert verdict.problems == ()
    assert verdict.appsets
    assert verdict.clusters >= 2


def test_the_sample_settings_need_only_what_the_readme_fills_in(tmp_path: Path) -> None:
    hub = (CONFIG / "samples/hub.yaml").read_text()
    (tmp_path / "hub.yaml").write_text(hub.replace("FLEET_CONFIG_URL", "file:///fleet-config"))
    assert load_settings(tmp_path / "hub.yaml", HubSettings).repositories[0].repo_url == (
        "file:///fleet-config"
    )
    agent = (CONFIG / "samples/agent.yaml").read_text().replace("CLUSTER", "staging")
    (tmp_path / "staging.yaml").write_text(agent)
    found = load_settings(tmp_path / "staging.yaml", AgentSettings)
    assert found.token_file == tmp_path / "staging.token"
    assert "staging" in str(found.state.path)
    assert "CLUSTER" not in str(found)
