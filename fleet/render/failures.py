"""What a tool's error text says: which file and line, which file it missed. Pure.

A tool speaks of the folder it ran in; users know their repository. Text is cut, redacted, and free of our paths.
"""

from __future__ import annotations

import re

from fleet.codec.redaction import one_line
from fleet.errors import BadInput, Where
from fleet.render.plan import Plan, SourceKind

_LIMIT = 1_500
_ERROR = re.compile(r"^error: ", re.IGNORECASE | re.MULTILINE)
_NOT_FOUND = re.compile(
    r"no such file or directory|doesn't exist|does not exist|not found|evalsymlink failure|file not found"
)
_PATH = re.compile(r"(?:source|ref\d+|chart|options)/[^\s'\":,;()<>]*[^\s'\":,;()<>.]")
_QUOTED = re.compile(r"['\"]([^'\"\s]+)['\"]")
_TEMPLATE = re.compile(
    r"(?P<file>[^\s:\"'()]+/(?:templates|charts|crds)/[^\s:\"'()]+)(?::(?P<line>\d+))?"
)
_YAML_LINE = re.compile(r"(?:yaml: )?line (?P<line>\d+)")
_SOURCE_FILE = re.compile(r"\bsource/(?P<file>[^\s'\":,;()<>]+)")


def tidy(text: str, folder: str) -> str:
    """A tool's message without our folder, in one line, at most 1,500 characters."""
    text = text.replace(f"{folder}/work/", "").replace(f"{folder}/", "").replace(folder, "")
    parts = _ERROR.split(text)
    return one_line(parts[-1] if len(parts) > 1 else text, _LIMIT)


def failure(plan: Plan, errors: str, folder: str) -> BadInput:
    """The error of a tool that failed."""
    message = tidy(errors, folder)
    where = (
        _helm_place(plan, message) if plan.kind is SourceKind.HELM else _kustomize_place(message)
    )
    shown = message.replace("source/", "")
    return BadInput(f"{plan.kind} failed: {shown or 'without a message'}", where=where)


def missing_paths(plan: Plan, errors: str, folder: str) -> tuple[str, ...]:
    """Paths in the folder that the tool looked for in vain; empty when that is not why it failed."""
    text = errors.replace(f"{folder}/work/", "").replace(folder, "")
    if not _NOT_FOUND.search(text):
        return ()
    inside = {match[0] for match in _PATH.finditer(text)}
    relative = {
        f"{plan.root}/{match[1].lstrip('./')}"
        for match in _QUOTED.finditer(text)
        if "://" not in match[1] and not _PATH.match(match[1])
    }
    present = {file.path for file in plan.files}
    return tuple(sorted((inside | relative) - present))


def _helm_place(plan: Plan, message: str) -> Where:
    # helm names templates by the chart's name, the innermost one last
    places = [
        match for match in _TEMPLATE.finditer(message) if match["file"].startswith(plan.chart)
    ]
    if not places:
        return _kustomize_place(message)
    best = next((match for match in places if match["line"]), places[0])
    inside = best["file"].removeprefix(plan.chart).lstrip("/")
    root = plan.root.partition("/")[2] if plan.root.startswith("source") else ""
    return Where(file=f"{root}/{inside}".lstrip("/"), line=int(best["line"] or 0))


def _kustomize_place(message: str) -> Where:
    files = _SOURCE_FILE.findall(message)
    lines = _YAML_LINE.findall(message)
    named = [file for file in files if file.endswith((".yaml", ".yml", ".json"))]
    if not named:
        return Where()
    return Where(file=named[-1], line=int(lines[-1]) if lines else 0)
