"""Reading one document: where its fields are, what was found, and whether it may be used.

A `Reader` collects everything that is wrong with a document, so that its owner sees all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fleet.argo.shapes import Finding, FindingKind, Path, Shape, check, dotted
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.codec.yamldoc import Document
from fleet.errors import BadInput, Where
from fleet.model.application import Warning as SpecWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something the owner of the fleet repo should see; ``fatal`` means that the object is not used."""

    reason: str
    message: str
    where: Where = field(default_factory=Where)
    fatal: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarks:
    """What an object that can be used carries along."""

    warnings: tuple[SpecWarning, ...] = ()
    unsupported: tuple[str, ...] = ()


NO_REMARKS = Remarks()

_REASONS = {
    FindingKind.UNKNOWN: "UnknownField",
    FindingKind.WRONG: "InvalidSpec",
    FindingKind.MISSING: "InvalidSpec",
    FindingKind.SAFE: "IgnoredField",
    FindingKind.UNSAFE: "Unsupported",
}


@dataclass(slots=True)
class Reader:
    """One document on its way into the model."""

    value: JsonValue
    where: Where
    line_of: Callable[[Path], int]
    strict: bool = False
    """Unknown fields are errors: our own kinds."""
    problems: list[Problem] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)

    @classmethod
    def of_document(cls, document: Document, *, file: str, strict: bool = False) -> Reader:
        """Read a document whose lines are known."""
        where = Where(object=described(document.value), file=file, line=document.line)
        return cls(document.value, where, document.line_of, strict)

    @classmethod
    def of_value(cls, value: JsonObject, *, where: Where, strict: bool = False) -> Reader:
        """Read a document of which only the place as a whole is known."""
        if not where.object:
            where = replace(where, object=described(value))
        return cls(value, where, lambda _path: where.line, strict)

    @property
    def is_refused(self) -> bool:
        """Whether something was found that forbids to use the document."""
        return any(problem.fatal for problem in self.problems)

    @property
    def remarks(self) -> Remarks:
        """What goes along with the object."""
        warnings = tuple(
            SpecWarning(reason=problem.reason, message=problem.message, where=problem.where)
            for problem in self.problems
            if not problem.fatal
        )
        return Remarks(warnings=warnings, unsupported=tuple(self.unsupported))

    def check(self, shape: Shape) -> JsonObject | None:
        """Compare the document with its shape; None when it cannot be used."""
        checked = check(self.value, shape)
        for finding in checked.findings:
            self.take(finding)
        value: JsonObject = checked.value
        return None if self.is_refused else value

    def take(self, finding: Finding) -> None:
        """Turn a finding into a problem."""
        fatal = finding.kind in (FindingKind.WRONG, FindingKind.MISSING) or (
            finding.kind is FindingKind.UNKNOWN and self.strict
        )
        if finding.kind is FindingKind.UNSAFE:
            self.unsupported.append(finding.field)
        self.add(_REASONS[finding.kind], finding.path, finding.message, fatal=fatal)

    def error(self, path: Path, message: str) -> None:
        """Note what forbids to use the document."""
        self.add("InvalidSpec", path, message, fatal=True)

    def add(self, reason: str, path: Path, message: str, *, fatal: bool) -> None:
        """Note something at the line of a field."""
        where = replace(self.where, line=self.line_of(path), field=dotted(path))
        self.problems.append(Problem(reason=reason, message=message, where=where, fatal=fatal))

    def raise_first(self) -> None:
        """Raise BadInput for what forbids to use the document, if anything does."""
        fatal = [problem for problem in self.problems if problem.fatal]
        if fatal:
            more = f" (and {len(fatal) - 1} more)" if len(fatal) > 1 else ""
            raise BadInput(fatal[0].message + more, where=fatal[0].where)


def described(value: JsonValue) -> str:
    """Name an object for people: ``Application/guestbook``."""
    if not isinstance(value, dict):
        return ""
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else ""
    return f"{value.get('kind', '')}/{name}" if name else str(value.get("kind", ""))
