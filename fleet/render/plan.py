"""Plan: what one source's render would read and run. Its digest is the closure.

The closure holds by construction: a child sees a folder made of exactly ``files`` and is run with exactly
``argv``, so equal plans have equal inputs. What a plan left out (an optional file that is absent, a pattern's
other matches) shows in the plan as soon as it appears, for planning looks at every new commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.codec.canonical import digest_value
from fleet.model.application import Source, Warning  # noqa: A004  # the field's word
from fleet.model.identity import Digest
from fleet.render.inputs import InputFile, Repository
from fleet.render.request import Capabilities

FORMAT = 1
"""Counts up when the same inputs would give another artifact: a change of reading, merging or writing."""


class SourceKind(StrEnum):
    """How a source becomes manifests."""

    DIRECTORY = "directory"
    KUSTOMIZE = "kustomize"
    HELM = "helm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One source, ready to be rendered."""

    kind: SourceKind
    files: tuple[InputFile, ...]
    """Sorted by path; for a plain directory in the order in which they are read."""
    argv: tuple[str, ...] = ()
    """Tool and arguments, paths relative to the folder; empty for a plain directory."""
    root: str = ""
    """The source's own directory in the folder: what a tool's message calls by another name."""
    chart: str = ""
    """The name that helm's messages use for ``root``."""
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceContext:
    """One source with everything that planning it may look at."""

    source: Source
    app_name: str
    namespace: str
    """The destination's."""
    environment: Mapping[str, str]
    capabilities: Capabilities
    repository: Repository | None
    """None for a chart from a chart repository."""
    references: Mapping[str, Repository] = field(default_factory=dict)
    """By ``ref`` name."""
    permits: Callable[[str], bool] = lambda url: True
    """Whether the project allows a repository that only a chart names."""


def closure_key(plan: Plan, tool: str) -> Digest:
    """Name everything that the plan's output depends on; ``tool`` is the tool with its version."""
    return digest_value(
        {
            "format": FORMAT,
            "tool": tool,
            "argv": list(plan.argv),
            "files": [[file.path, file.mode, file.object] for file in plan.files],
        }
    )
