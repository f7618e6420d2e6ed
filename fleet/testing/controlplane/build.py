"""Builds the control plane's programs from the Go modules in ``tests/controlplane``.

The modules pin everything by go.sum; this file only knows which packages become which programs, and the cache key.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import BadInput
from fleet.testing import gobuild
from fleet.testing.cachefolder import progress

_RECIPE = b"1"
"""Goes into the cache key: count it up when the same modules are built in another way."""


def module_folder() -> Path | None:
    """The Go module that pins the control plane, if this package runs from a checkout."""
    folder = Path(__file__).resolve().parents[3] / "tests" / "controlplane"
    return folder if (folder / "go.mod").is_file() else None


def build_key(module: Path) -> str:
    """The cache folder's name: the Kubernetes version and a hash of everything that pins the binaries."""
    digest = hashlib.sha256(_RECIPE)
    for name in ("go.mod", "go.sum", "kwok/go.mod", "kwok/go.sum"):
        digest.update((module / name).read_bytes())
    return f"{kubernetes_version(module)}-{digest.hexdigest()[:12]}"


def kubernetes_version(module: Path) -> str:
    """The pinned version of k8s.io/kubernetes, without the leading ``v``."""
    found = re.search(
        r"^\s*(?:require )?k8s\.io/kubernetes v(\S+)", (module / "go.mod").read_text(), re.MULTILINE
    )
    if found is None:
        raise BadInput(f"{module / 'go.mod'} requires no k8s.io/kubernetes")
    return found.group(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One ``go build``: a package of the module in ``folder``, written to a file ``name``."""

    name: str
    package: str
    folder: Path


def build(module: Path, target: Path) -> None:
    """Build every program and copy KWOK's stages into ``target``; takes minutes."""
    version = kubernetes_version(module)
    steps = list(_steps(module))
    started = time.monotonic()
    progress(
        f"building a Kubernetes {version} control plane, once; some minutes on a small machine"
    )
    for number, step in enumerate(steps, start=1):
        progress(f"[{number}/{len(steps)}] {step.name}")
        gobuild.build(step.package, target / step.name, folder=step.folder, version=version)
    kwok = gobuild.go(
        "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok", folder=module / "kwok"
    ).strip()
    for part in ("node/fast", "pod/fast"):
        _copy_stages(Path(kwok) / "kustomize/stage" / part, target / "stage" / part)
    progress(f"built in {time.monotonic() - started:.0f} s")


def _steps(module: Path) -> Iterator[_Step]:
    yield _Step(name="etcd", package="go.etcd.io/etcd/server/v3", folder=module)
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        yield _Step(name=name, package=f"k8s.io/kubernetes/cmd/{name}", folder=module)
    yield _Step(name="kwok", package="sigs.k8s.io/kwok/cmd/kwok", folder=module / "kwok")


def _copy_stages(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in sorted(source.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            (target / path.name).write_bytes(
                path.read_bytes()
            )  # not its mode: the module cache is read-only
