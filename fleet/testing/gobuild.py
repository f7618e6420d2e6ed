"""Runs the Go toolchain: what is built is static, stripped and says which version it is."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from fleet.errors import NotReady
from fleet.testing.cachefolder import progress

_VERSION_PACKAGE = "k8s.io/component-base/version"
_STILL_BUILDING_EVERY = 30.0


def build(package: str, output: Path, *, folder: Path, version: str) -> None:
    """Build one program statically, with the version that a release of Kubernetes would report."""
    major, minor, *_ = version.split(".")
    stamp = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    flags = " ".join(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in stamp.items())
    # without -buildvcs=false Go asks git about the checkout, which fails where another user owns it
    go(
        "build",
        "-buildvcs=false",
        "-trimpath",
        "-ldflags",
        f"-s -w {flags}",
        "-o",
        str(output),
        package,
        folder=folder,
    )


def go(*arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run the go command in ``folder`` and return its standard output; says every 30 s that it still runs."""
    settings = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", **(environment or {})}
    with subprocess.Popen(
        ("go", *arguments),
        cwd=folder,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        output, errors = _wait_visibly(process)
    if process.returncode:
        raise NotReady(
            f"go {arguments[0]} of {arguments[-1]} failed",
            hint=" | ".join(errors.strip().splitlines()[-5:]),
        )
    return output


def _wait_visibly(process: subprocess.Popen[str]) -> tuple[str, str]:
    started = time.monotonic()
    while True:
        try:
            return process.communicate(timeout=_STILL_BUILDING_EVERY)
        except subprocess.TimeoutExpired:
            progress(f"    still building, {time.monotonic() - started:.0f} s")
        except BaseException:
            process.kill()
            raise
