"""YAML as Kubernetes reads it (sigs.k8s.io/yaml over go-yaml v2), with limits, and back.

Scalars follow YAML 1.1 with Go's corrections: on/off/yes/no are booleans, 0777 is octal, 1:30 and dates are
strings, 1e3 is a number; mapping keys become strings; a later duplicate key wins. Aliases, depth and the
number of nodes are bounded, so that a small text cannot become a large value.
Source: facts measured against ``kubectl patch --local`` (sigs.k8s.io/yaml 1.6).

This module parses and prints; what a document means is decided by its callers.
"""

from __future__ import annotations

import base64
import decimal
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from fleet.codec.jsontypes import JsonValue
from fleet.errors import BadInput, Where

if not yaml.__with_libyaml__:  # pragma: no cover - a broken installation, not a state to handle
    raise ImportError("PyYAML was built without libyaml; reinstall it from a wheel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one text: bytes read, and of each document the nodes that are read (keys too), the values that are made
    (aliases count again each time), and the levels of nesting."""

    size: int = 16 * 1024 * 1024
    nodes: int = 1_000_000
    depth: int = 200


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, the file it came from and the line it starts on (1-based)."""

    value: JsonValue
    source: str
    line: int
    _lines: dict[tuple[str | int, ...], int] = field(
        default_factory=dict, repr=False, compare=False
    )

    def line_of(self, path: tuple[str | int, ...]) -> int:
        """Return the line of a field, or of its nearest known parent."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, self.line)


def load_documents(
    text: str | bytes,
    *,
    source: str = "",
    limits: Limits = DEFAULT_LIMITS,
    positions: bool = False,
) -> tuple[Document, ...]:
    """Read all documents of a text, empty ones left out; raises BadInput with file and line.

    With ``positions`` each document can tell the line of every field (costs memory: for documents that people
    get error messages about, not for bulk manifests).
    """
    return tuple(_documents(text, source=source, limits=limits, positions=positions))


def load_one(text: str | bytes, *, source: str = "", limits: Limits = DEFAULT_LIMITS) -> JsonValue:
    """Read the first document of a text (None where there is none); raises BadInput."""
    for document in _documents(text, source=source, limits=limits, positions=False):
        return document.value
    return None


def dump(value: JsonValue) -> str:
    """Write one value as block YAML with sorted keys, the way Kubernetes tools print it."""
    return yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=True,
        default_flow_style=False,
        allow_unicode=True,
        width=2**30,
    )


def dump_all(values: list[JsonValue]) -> str:
    """Write several documents, separated by ``---``."""
    return "---\n".join(dump(value) for value in values)


def _documents(
    text: str | bytes, *, source: str, limits: Limits, positions: bool
) -> Iterator[Document]:
    if len(text) > limits.size:
        raise BadInput(
            f"text of {len(text)} bytes is over the limit of {limits.size}",
            where=Where(file=source),
        )
    try:
        data = text if isinstance(text, bytes) else text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            "not valid YAML: a character that is half of a pair", where=Where(file=source)
        ) from error
    loader = _Loader(data, limits.nodes)
    try:
        while loader.check_node():
            loader.composed = 0
            node = loader.get_node()
            if node is None:
                continue
            builder = _Builder(source, limits, {} if positions else None)
            value = builder.build(node, (), 0)
            if value is None and isinstance(node, yaml.ScalarNode) and not node.value:
                continue
            yield Document(value, source, node.start_mark.line + 1, builder.lines or {})
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadInput(
            f"not valid YAML: {error.problem or error.context}",
            where=Where(file=source, line=mark.line + 1 if mark else 0),
        ) from error
    except yaml.YAMLError as error:
        raise BadInput(f"not valid YAML: {error}", where=Where(file=source)) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise BadInput(
            "not valid YAML: bad encoding or too deeply nested", where=Where(file=source)
        ) from error
    finally:
        loader.dispose()


_PLAIN = "!plain"
_COMPOSED_DEPTH = 1000
_NOTE = 16
_MOST_NOTED = 8_000_000
"""Of the memory for lines, in words: about 64 MiB."""


class _Loader(yaml.CLoader):
    """libyaml's parser; plain scalars keep a tag of their own, so that a written ``!!str`` is told apart."""

    depth = 0
    composed = 0

    def __init__(self, data: bytes, limit: int) -> None:
        super().__init__(data)
        self._limit = limit

    def descend_resolver(self, current_node: yaml.Node | None, current_index: object) -> None:
        """Stop at a depth that is far from where libyaml's own recursion ends the process, and before memory ends."""
        self.depth += 1
        self.composed += 1
        if self.depth > _COMPOSED_DEPTH:
            raise RecursionError
        if self.composed > self._limit:
            raise yaml.composer.ComposerError(
                None,
                None,
                f"more than {self._limit} keys and values in one document",
                current_node.start_mark if current_node else None,
            )

    def ascend_resolver(self) -> None:
        self.depth -= 1

    def resolve(self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else "tag:yaml.org,2002:str"
        return "tag:yaml.org,2002:seq" if kind is yaml.SequenceNode else "tag:yaml.org,2002:map"


class _Builder:
    """Turns one node graph into plain values, counting as it goes."""

    def __init__(
        self, source: str, limits: Limits, lines: dict[tuple[str | int, ...], int] | None
    ) -> None:
        self.source = source
        self.limits = limits
        self.lines = lines
        self.nodes = 0
        self.noted = 0

    def fail(self, node: yaml.Node, message: str) -> BadInput:
        return BadInput(message, where=Where(file=self.source, line=node.start_mark.line + 1))

    def build(self, node: yaml.Node, path: tuple[str | int, ...], depth: int) -> JsonValue:
        self.count(node, depth)
        self.note(path, node)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [
                self.build(item, self.below(path, i), depth + 1)
                for i, item in enumerate(node.value)
            ]
        assert isinstance(node, yaml.MappingNode)
        return self.mapping(node, path, depth)

    def count(self, node: yaml.Node, depth: int) -> None:
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            raise self.fail(
                node, f"more than {self.limits.nodes} values, aliases counted each time"
            )
        if depth > self.limits.depth:
            raise self.fail(node, f"nested more than {self.limits.depth} levels deep")

    def below(self, path: tuple[str | int, ...], key: str | int) -> tuple[str | int, ...]:
        """The path of a member, where lines are asked for: else it would only cost time."""
        return () if self.lines is None else (*path, key)

    def note(self, path: tuple[str | int, ...], node: yaml.Node) -> None:
        """Remember a line; beyond a sensible amount fields have the line of their parent."""
        if self.lines is not None and self.noted < _MOST_NOTED:
            self.noted += _NOTE + len(path)
            self.lines[path] = node.start_mark.line + 1

    def mapping(
        self, node: yaml.MappingNode, path: tuple[str | int, ...], depth: int
    ) -> dict[str, JsonValue]:
        merged: dict[str, JsonValue] = {}
        own: dict[str, JsonValue] = {}
        for key_node, value_node in node.value:
            if (
                isinstance(key_node, yaml.ScalarNode)
                and key_node.value == "<<"
                and key_node.tag == _PLAIN
            ):
                for part in self.merge_parts(value_node, path, depth):
                    for key, value in part.items():
                        merged.setdefault(key, value)
                continue
            key = self.key(key_node)
            inner = self.below(path, key)
            own[key] = self.build(value_node, inner, depth + 1)
            self.note(inner, key_node)
        return {**merged, **own}

    def merge_parts(
        self, node: yaml.Node, path: tuple[str | int, ...], depth: int
    ) -> list[dict[str, JsonValue]]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        parts = []
        for item in nodes:
            if not isinstance(item, yaml.MappingNode):
                raise self.fail(node, "map merge requires map or sequence of maps as the value")
            self.count(item, depth + 1)
            parts.append(self.mapping(item, path, depth + 1))
        return parts

    def key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.fail(node, "a key of a map must be a plain value")
        value = self.scalar(node)
        if value is None:
            raise self.fail(node, "a key of a map must not be null")
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float):
            return _go_float(value)
        return str(value)

    def scalar(self, node: yaml.ScalarNode) -> JsonValue:
        text = str(node.value)
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind == "binary":
            try:
                return base64.b64decode(text).decode("utf-8", "replace")
            except ValueError as error:
                raise self.fail(node, "!!binary value is not base64") from error
        if kind not in (_PLAIN, "int", "float", "bool", "null"):
            return text
        value = resolve_plain(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise self.fail(node, f"{text!r} has no form in JSON")
        return value


_BOOLS = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_SHORT_BOOLS = {"y": True, "Y": True, "n": False, "N": False}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_INT = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"([-+]?)0([xXbBoO])([0-9a-fA-F]+)\Z")


def resolve_plain(text: str) -> JsonValue:
    """Give the value of a plain (unquoted) scalar as go-yaml v2 with sigs.k8s.io/yaml does."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if text in _SHORT_BOOLS:
        return _SHORT_BOOLS[text]
    first = text[0]
    if first in ".+-0123456789":
        return _number(text)
    return text


def _number(text: str) -> JsonValue:
    low = text.lower()
    if low in (".inf", "+.inf"):
        return math.inf
    if low == "-.inf":
        return -math.inf
    if low == ".nan":
        return math.nan
    bare = text.replace("_", "")
    if not bare:
        return text
    based = _BASED.match(bare)
    if based:
        base = {"x": 16, "b": 2, "o": 8}[based[2].lower()]
        whole = _whole(based[1] + based[3], base)
        return text if whole is None else whole
    if _INT.match(bare):
        digits = bare.lstrip("+-")
        is_octal = len(digits) > 1 and digits[0] == "0"
        whole = _whole(bare, 8) if is_octal else None
        if whole is None:
            whole = _whole(bare, 10)
        if whole is not None:
            return whole
    if _FLOAT.match(bare):
        value = float(bare)
        if math.isinf(value):
            return text
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    return text


_LONGEST_WHOLE = 100


def _whole(digits: str, base: int) -> int | None:
    """Read a whole number; None for one that has digits of another base or no room in 64 bits."""
    sign = digits[0] if digits[0] in "+-" else ""
    digits = digits[len(sign) :].lstrip("0") or "0"
    if len(digits) > _LONGEST_WHOLE:
        return None
    try:
        value = int(sign + digits, base)
    except ValueError:
        return None
    return value if -(2**63) <= value < 2**64 else None


def _go_float(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)


class _Dumper(yaml.CSafeDumper):
    """Quotes every string that Kubernetes' reader would take for something else."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_str(dumper: yaml.CSafeDumper, value: str) -> yaml.ScalarNode:
    if "\n" in value:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|")
    style = '"' if _needs_quotes(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _needs_quotes(value: str) -> bool:
    return (
        not isinstance(resolve_plain(value), str)
        or value in ("=", "<<")
        or bool(re.match(r"[-+]?[0-9][0-9_:.\-]*\Z", value))
    )


def _represent_number(dumper: yaml.CSafeDumper, value: float) -> yaml.ScalarNode:
    if not math.isfinite(value):
        return dumper.represent_float(value)
    if -(2**63) <= value < 2**64 and value == int(value):
        return dumper.represent_int(int(value))
    return dumper.represent_scalar("tag:yaml.org,2002:float", _shortest(value))


def _shortest(value: float) -> str:
    """Write a number as Go's ``%g`` does: with an exponent below 1e-04 and from 1e+06 on."""
    sign, figures, scale = decimal.Decimal(repr(float(value))).as_tuple()
    digits = "".join(map(str, figures)).rstrip("0") or "0"
    exponent = len(figures) + int(scale) - 1
    mark = "-" if sign else ""
    if -4 <= exponent < 6:
        return mark + f"{decimal.Decimal(repr(abs(float(value)))):f}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{mark}{digits[0]}{fraction}e{exponent:+03d}"


_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(float, _represent_number)
# Else the numbers that Go writes without a point would get a tag.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"-?[0-9](\.[0-9]+)?e[-+][0-9]+\Z"), list("-0123456789")
)
