"""``fleet diff`` as a comment of a pull request: a summary that is read, and details that are opened. Pure.

Forges cut or refuse long comments, so the page never exceeds `LIMIT`: details that do not fit are left out and
named. Whatever comes from documents is escaped or inside a fence that it cannot close.
"""

from __future__ import annotations

import re

from fleet.cli.difftext import SIGNS, Group, groups, names, place, summary, what
from fleet.cli.output import plain
from fleet.wire.difference import ApplicationChange, FleetDiff, RevisionRow

LIMIT = 60_000
"""Bytes of a page; GitHub takes 65,536 characters, GitLab a million."""
MARKER = "<!-- fleet diff -->"
"""First line of every page, by which a comment is found again and replaced."""
_ROWS = 200
_MESSAGES = 20
_NOTE = 400
"""Bytes kept for the sentence that says what was left out."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def page(found: FleetDiff) -> str:
    """Return the whole page."""
    parts = [MARKER, f"### Fleet: {summary(found)}", _revisions(found)]
    parts += _messages("🛑", [f"{place(p)}: {p.message}" for p in found.problems if p.fatal])
    parts += _messages("✋", [f"{h.message} ({h.subject})" for h in found.held])
    parts += _table(found.applications)
    parts += _messages("⚠️", [f"{place(p)}: {p.message}" for p in found.problems if not p.fatal])
    parts += _messages("not compared:", list(found.unchecked))
    head = _cut("\n\n".join(parts), LIMIT - _NOTE)
    return _with_details(head, found.applications) + "\n"


def _with_details(head: str, items: tuple[ApplicationChange, ...]) -> str:
    """Add details as long as they fit."""
    text = head
    left_out = 0
    for group in groups(items):
        detail = _detail(group)
        if not detail:
            continue
        if _size(text) + _size(detail) + 2 > LIMIT - _NOTE:
            left_out += len(group)
        else:
            text += f"\n\n{detail}"
    if left_out:
        text += (
            f"\n\n*Details of {left_out} applications are left out: this page would be too long. "
            "`fleet diff` shows all of them.*"
        )
    return text


def _revisions(found: FleetDiff) -> str:
    base, head = found.base, found.head
    return f"From {_revision(base)} to {_revision(head)}"


def _revision(row: RevisionRow) -> str:
    commit = f" ({row.commit[:12]})" if row.commit else ""
    return f"`{_code(row.revision)}`{commit}"


def _messages(sign: str, texts: list[str]) -> list[str]:
    shown = [f"- {sign} {_escaped(text)}" for text in texts[:_MESSAGES]]
    if len(texts) > _MESSAGES:
        shown.append(f"- {sign} and {len(texts) - _MESSAGES} more")
    return ["\n".join(shown)] if shown else []


def _table(items: tuple[ApplicationChange, ...]) -> list[str]:
    if not items:
        return []
    rows = [
        f"| {SIGNS[item.change]} | {_escaped(item.cluster)} | {_escaped(item.name)} "
        f"| {_escaped(item.set)} | {item.change} | {_escaped(what(item))} |"
        for item in items[:_ROWS]
    ]
    more = [f"\n*and {len(items) - _ROWS} more*"] if len(items) > _ROWS else []
    heading = ["| | cluster | application | set | change | what |", "|---|---|---|---|---|---|"]
    return ["\n".join([*heading, *rows, *more])]


def _detail(group: Group) -> str:
    item = group[0]
    blocks = [("Application", item.document)] if item.document else []
    blocks += [(f"{change.ref} {change.change}", change.diff) for change in item.objects]
    if not blocks:
        return ""
    title = f"{SIGNS[item.change]} {names(group)}: {item.change}"
    inner = "\n\n".join(f"{_escaped(name)}\n{_fenced(diff)}" for name, diff in blocks)
    return f"<details><summary>{_html(title)}</summary>\n\n{inner}\n\n</details>"


def _fenced(diff: str) -> str:
    text = plain(diff)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}diff\n{text}{fence}"


def _escaped(text: str) -> str:
    """Make text that means nothing to Markdown, on one line; nobody is mentioned by it."""
    line = " ".join(plain(text).split())
    return _SPECIAL.sub(r"\\\1", line).replace("@", "@\u200b")


def _code(text: str) -> str:
    return plain(text).replace("`", "'").replace("\n", " ")


def _html(text: str) -> str:
    line = " ".join(plain(text).split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, limit: int) -> str:
    data = text.encode()
    if len(data) <= limit:
        return text
    kept = data[:limit].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\n*The rest is left out: this page would be too long.*"


def _size(text: str) -> int:
    return len(text.encode())
