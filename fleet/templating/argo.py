"""The functions that Argo CD adds for ApplicationSets: normalize, slugify, toYaml, fromYaml, fromYamlArray."""

from __future__ import annotations

import re

from fleet.codec import yamldoc
from fleet.errors import BadInput
from fleet.templating import text as go
from fleet.templating.errors import GoError
from fleet.templating.funcs_encode import plain
from fleet.templating.functions import Table
from fleet.templating.values import (
    MAX_DEPTH,
    MAX_TEXT,
    GoValue,
    Int,
    Meter,
    to_bytes,
    type_name,
)

ARGO = Table()
_FOREIGN = re.compile(r"[^-a-z0-9.]")
_SLUG_FOREIGN = re.compile(r"[^a-z0-9_-]+")
_DASHES = re.compile(r"-+")
_LONGEST_NAME = 253
_LONGEST_SLUG = 50


def normalize(name: str) -> str:
    """Make a text usable as the name of a Kubernetes object."""
    return _FOREIGN.sub("-", go.lower(name))[:_LONGEST_NAME].strip("-.")


@ARGO.define("normalize", "string -> string", meter=True)
def _normalize(meter: Meter, name: str) -> GoValue:
    meter.spend_on(name)
    return normalize(name)


@ARGO.define("slugify", "any... -> string", meter=True)
def _slugify(meter: Meter, *values: GoValue) -> GoValue:
    """Read ``[max [smart]] name`` and make a slug of the name."""
    *options, name = values or ("",)
    size = options[0] if options else Int(_LONGEST_SLUG)
    smart = options[1] if len(options) > 1 else True
    for value, wanted, shown in ((name, str, "string"), (size, Int, "int"), (smart, bool, "bool")):
        if type(value) is not wanted:
            found = "nil" if value is None else type_name(value)
            raise GoError(f"interface conversion: interface {{}} is {found}, not {shown}")
    meter.spend_on(name)
    return slug(name, size, smart=smart)


def slug(name: str, size: int, *, smart: bool) -> str:
    """Make a slug of at most ``size`` characters; a smart one ends at a dash rather than inside a word."""
    if not smart and len(name := normalize(name)) >= size:
        name = _cut(name, size)
    text = _SLUG_FOREIGN.sub("-", normalize(name) if smart else name)
    text = _DASHES.sub("-", text).strip("-_")
    if not smart or size <= 0 or len(text) <= size:
        return text
    dash = text.rfind("-", 0, size + 1)
    return text[:dash] if dash >= 0 else text[:size]


def _cut(text: str, size: int) -> str:
    if size < 0:
        raise GoError(f"runtime error: slice bounds out of range [:{int(size)}]")
    return text[:size]


@ARGO.define("toYaml", "any -> string", meter=True)
def _to_yaml(meter: Meter, value: GoValue) -> GoValue:
    ready = plain(value, meter)
    meter.spend(_size(ready))
    try:
        return yamldoc.dump(ready).removesuffix("\n")
    except BadInput as error:
        raise GoError(error.message) from error


_NODE = 3
"""Steps for a node of YAML, which take more time and memory than others."""


def _size(value: GoValue, depth: int = 0) -> int:
    """Say what it costs to read or write a value as YAML, where each line of a text is indented."""
    if isinstance(value, dict):
        return _NODE + sum(
            _size(key, depth) + _size(item, depth + 1) for key, item in value.items()
        )
    if isinstance(value, list):
        return _NODE + sum(_size(item, depth + 1) for item in value)
    if isinstance(value, str):
        return _NODE + ((len(value) + 2 * depth * (1 + value.count("\n"))) >> 5)
    return _NODE


_LIMITS = yamldoc.Limits(size=4 * MAX_TEXT, nodes=100_000, depth=MAX_DEPTH)


def _load(meter: Meter, text: str, kind: type, shown: str) -> GoValue:
    meter.spend_on(text)
    try:
        value = yamldoc.load_one(to_bytes(text), limits=_LIMITS)
    except BadInput as error:
        raise GoError(f"error converting YAML to JSON: yaml: {error.message}") from error
    meter.spend(_size(value))
    if value is None:
        return kind()
    if type(value) is not kind:
        found = {dict: "object", list: "array", str: "string", bool: "bool"}.get(
            type(value), "number"
        )
        raise GoError(
            "error unmarshaling JSON: while decoding JSON: "
            f"json: cannot unmarshal {found} into Go value of type {shown}"
        )
    return value


@ARGO.define("fromYaml", "string -> map", meter=True)
def _from_yaml(meter: Meter, text: str) -> GoValue:
    return _load(meter, text, dict, "map[string]interface {}")


@ARGO.define("fromYamlArray", "string -> list", meter=True)
def _from_yaml_array(meter: Meter, text: str) -> GoValue:
    return _load(meter, text, list, "[]interface {}")
