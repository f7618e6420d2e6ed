"""What a render is asked and what it answers: resolved sources, cluster capabilities, and the result.

These are values without behaviour; the hub keeps them between evaluations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.model.application import Source, Warning  # noqa: A004  # the field's word
from fleet.model.identity import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSource:
    """One of an Application's sources at an exact revision."""

    source: Source
    revision: str
    """A commit id, or the version of a chart."""
    digest: str = ""
    """Digest of the chart archive, where the repository names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What charts may ask about the cluster; enters a render only where a chart asks."""

    kube_version: str = ""
    api_versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """Rendered manifests, by name, with what decisions need to know about them."""

    artifact: Digest
    objects: int
    kinds: Mapping[str, int]
    """``group/Kind`` (the core group is empty) to the number of its objects."""
    warnings: tuple[Warning, ...]
    revision: str
    """For display: the revision of the first source that renders."""
    closure: Digest
    """Name of everything that the manifests depend on."""
    from_cache: bool
    nondeterministic: bool = False
    """Rendered again from the same closure, it came out otherwise; the first result stays."""
