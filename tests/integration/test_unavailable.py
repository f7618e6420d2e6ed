"""What a machine cannot give skips tests with one line, and fails them where nothing may be skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ONE_TEST = "tests/integration/test_controlplane.py::test_an_unknown_token_is_refused"
NO_GO = "no control plane binaries: no KUBEBUILDER_ASSETS, none built, and no Go to build them"


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """One test that wants a cluster, where there is neither Go nor anything built."""
    dropped = {"KUBEBUILDER_ASSETS", "FLEET_TEST_CONTEXTS", "CI", "PYTEST_XDIST_WORKER"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    settings = kept | {"PATH": str(folder), "XDG_CACHE_HOME": str(folder)} | environment
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ONE_TEST)
    return subprocess.run(command, cwd=REPOSITORY, env=settings, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        pytest.param({}, NO_GO, id="no Go"),
        pytest.param(
            {"KUBEBUILDER_ASSETS": "."}, "holds no etcd and no kube-apiserver", id="assets"
        ),
    ],
)
def test_a_missing_control_plane_skips(
    tmp_path: Path, environment: dict[str, str], reason: str
) -> None:
    done = run(tmp_path, **environment)
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
    assert [
        line for line in done.stdout.splitlines() if line.startswith("SKIPPED") and reason in line
    ]


def test_ci_fails_instead(tmp_path: Path) -> None:
    done = run(tmp_path, CI="true")
    assert done.returncode == 1
    assert f"not available, and CI=true: {NO_GO}" in done.stdout
