"""Settings of rendering: which tools, how many at once, and the limits of one child."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """All have defaults; sizes are bytes, times are seconds."""

    helm: Path | None = None
    """None: looked up on PATH."""
    kubectl: Path | None = None
    """Used as ``kubectl kustomize`` unless ``kustomize`` is given; None: looked up on PATH."""
    kustomize: Path | None = None
    concurrency: int = 2
    """Children at once; they are bound by the processor, so cores are a good number."""
    timeout: float = 60.0
    """Wall time of one child; its processor time is limited to the same."""
    memory: int = 512 * MIB
    """Resident memory of one child."""
    max_output: int = 64 * MIB
    """Bytes of manifests of one source, before they are parsed."""
    max_input: int = 256 * MIB
    """Bytes of all files that one source may put into a child's folder."""
    max_objects: int = 20_000
    max_object_size: int = 3 * MIB // 2
    """Bytes of one object as JSON; an API server refuses more than that."""
    parse_in_child_above: int = 128 * 1024
    """Manifests larger than this are parsed in a child, so that the event loop stays free."""
    allow_chart_dependencies: bool = True
    """Fetch dependencies that a chart names but does not carry."""
    allow_remote_bases: bool = False
    require_sandbox: bool = True
    """Refuse to start where the kernel gives no way to cut a child from the network."""
    temporary: Path | None = None
    """Where children get their folders; None: the system's folder for temporary files."""
