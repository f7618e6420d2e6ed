"""Where the control plane's programs come from.

``locate`` looks in this order:

1. the folder in ``KUBEBUILDER_ASSETS`` (envtest's convention); it usually lacks the scheduler and KWOK, so clusters
   whose Pods turn Ready are not to be had from it;
2. the cache folder ``controlplane/<version>-<hash>``, the hash being that of the go.mod and go.sum files that
   ``tests/controlplane`` pins them with;
3. only when asked to build: the Go toolchain, which fills that cache folder (minutes, once).

Nothing is downloaded except by Go's own module mechanism, verified against the committed go.sum.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import FleetError, NotReady
from fleet.testing.cachefolder import cache_root, filled
from fleet.testing.controlplane import build as builder


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """There are no binaries to start a control plane with, and why."""

    reason: str


class Lacking(NotReady):
    """This machine cannot start such a cluster; a test that needs one is skipped."""

    reason = "Lacking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """One folder with the programs of a control plane; every path in it may be absent but the first two."""

    folder: Path
    origin: str
    """Where the folder was found: ``KUBEBUILDER_ASSETS`` or ``cache``."""

    @property
    def etcd(self) -> Path:
        return self.folder / "etcd"

    @property
    def apiserver(self) -> Path:
        return self.folder / "kube-apiserver"

    @property
    def controller_manager(self) -> Path:
        return self.folder / "kube-controller-manager"

    @property
    def scheduler(self) -> Path:
        return self.folder / "kube-scheduler"

    @property
    def kwok(self) -> Path:
        return self.folder / "kwok"

    @property
    def stages(self) -> Path:
        """KWOK's own Stage definitions, ``{node,pod}/fast/*.yaml``."""
        return self.folder / "stage"

    def lacking(self, *, pods: bool, controllers: bool) -> str:
        """What keeps a cluster with these parts from being started, as one line; empty when nothing does."""
        wanted = [self.controller_manager] if controllers or pods else []
        wanted += [self.scheduler, self.kwok, self.stages] if pods else []
        absent = sorted(path.name for path in wanted if not path.exists())
        return f"{', '.join(absent)} not found in {self.folder} ({self.origin})" if absent else ""

    @staticmethod
    def locate(*, build: bool = False) -> Binaries | Missing:
        """Find the binaries, or build them when asked to and Go is there."""
        assets = os.environ.get("KUBEBUILDER_ASSETS", "")
        return _from_assets(Path(assets)) if assets else _from_cache(build=build)


def _from_assets(folder: Path) -> Binaries | Missing:
    binaries = Binaries(folder=folder, origin="KUBEBUILDER_ASSETS")
    absent = [
        path.name for path in (binaries.etcd, binaries.apiserver) if not os.access(path, os.X_OK)
    ]
    if absent:
        return Missing(reason=f"KUBEBUILDER_ASSETS={folder} holds no {' and no '.join(absent)}")
    return binaries


def _from_cache(*, build: bool) -> Binaries | Missing:
    module = builder.module_folder()
    if module is None:
        return Missing(
            reason="no KUBEBUILDER_ASSETS, and no tests/controlplane beside this package to build from"
        )
    folder = cache_root() / "controlplane" / builder.build_key(module)
    if not folder.is_dir():
        if shutil.which("go") is None:
            return Missing(
                reason="no control plane binaries: no KUBEBUILDER_ASSETS, none built, and no Go to build them"
            )
        if not build:
            return Missing(
                reason="control plane not built yet: run python -m fleet.testing.controlplane build"
            )
        try:
            filled(folder, lambda fresh: builder.build(module, fresh))
        except FleetError as error:
            return Missing(reason=str(error))
    return Binaries(folder=folder, origin="cache")
