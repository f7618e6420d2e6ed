"""What a tool's error text says: which file and line, which file it missed. Pure.

A tool speaks of the folder it ran in; users know their repository. Text is cut, redacted, and free of our paths.
"""

from __future__ import annotations

import re
from dataclasses import replace

from fleet.codec.redaction import one_line
from fleet.errors import BadInput, Where
from fleet.render.inputs import posix_join
from fleet.render.plan import Plan, SourceKind

_LIMIT = 1_500
_ERROR = re.compile(r"^error: ", re.IGNORECASE | re.MULTILINE)
_NO_FILE = re.compile(r"no such file or directory|evalsymlink failure")
_PATH = re.compile(r"(?:source|ref\d+|chart|options)/[^\s'\":,;()<>]*[^\s'\":,;()<>.]")
_QUOTED = re.compile(r"['\"]([^'\"\s]+)['\"]")
_TEMPLATE = re.compile(
    r"(?P<file>[^\s:\"'()]+/(?:templates|charts|crds)/[^\s:\"'()]+)(?::(?P<line>\d+))?"
)
_YAML_LINE = re.compile(r"(?:yaml: )?line (?P<line>\d+)")
_NAMED_FILE = re.compile(r"[^\s'\":,;()<>]+\.(?:yaml|yml|json)\b")


def tidy(text: str, folder: str) -> str:
    """A tool's message without our folder, in one line, at most 1,500 characters."""
    text = text.replace(f"{folder}/source/", "").replace(f"{folder}/", "").replace(folder, "")
    parts = _ERROR.split(text)
    return one_line(parts[-1] if len(parts) > 1 else text, _LIMIT)


def failure(plan: Plan, errors: str, folder: str) -> BadInput:
    """The error of a tool that failed."""
    message = tidy(errors, folder)
    where = (
        _helm_place(plan, message) if plan.kind is SourceKind.HELM else _named_place(plan, message)
    )
    shown = message.replace("source/", "")
    return BadInput(f"{plan.kind} failed: {shown or 'without a message'}", where=where)


def is_missing_file(errors: str) -> bool:
    """Whether the tool failed because a file was not there."""
    return _NO_FILE.search(errors) is not None


def missing_paths(plan: Plan, errors: str, folder: str) -> tuple[str, ...]:
    """Paths in the folder that the tool's message names and that are not there."""
    text = errors.replace(f"{folder}/source/", "").replace(folder, "")
    inside = {match[0] for match in _PATH.finditer(text)}
    relative = {
        f"{plan.root}/{match[1].lstrip('./')}"
        for match in _QUOTED.finditer(text)
        if "://" not in match[1] and not _PATH.match(match[1])
    }
    present = {file.path for file in plan.files}
    return tuple(sorted((inside | relative) - present))


def in_repository(plan: Plan, where: Where) -> Where:
    """Name the template that helm's output speaks of by its path in the repository."""
    if not plan.chart or not where.file.startswith(f"{plan.chart}/"):
        return where
    inside = where.file.removeprefix(plan.chart).lstrip("/")
    return replace(where, file=posix_join(_shown(plan.root), inside))


def _shown(path: str) -> str:
    """A path of the folder as a user knows it; a fetched chart has no place in a repository."""
    return path.partition("/")[2] if path.startswith("source") else ""


def _helm_place(plan: Plan, message: str) -> Where:
    # helm names templates by the chart's name, the innermost one last
    places = [each for each in _TEMPLATE.finditer(message) if each["file"].startswith(plan.chart)]
    if not places:
        return _named_place(plan, message)
    best = next((match for match in places if match["line"]), places[0])
    return in_repository(plan, Where(file=best["file"], line=int(best["line"] or 0)))


def _named_place(plan: Plan, message: str) -> Where:
    """The file that a message names last, if it is one of the folder's and no other has its name."""
    lines = _YAML_LINE.findall(message)
    for name in reversed(_NAMED_FILE.findall(message)):
        found = [f.path for f in plan.files if f.path == name or f.path.endswith(f"/{name}")]
        if len(found) == 1:
            return Where(file=_shown(found[0]), line=int(lines[-1]) if lines else 0)
    return Where()
