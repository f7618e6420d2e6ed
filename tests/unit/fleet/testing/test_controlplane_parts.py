"""The parts of a control plane that need no control plane: finding binaries, ports, programs, files."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.errors import BadInput, NotReady
from fleet.testing.controlplane import Binaries, GivenClusters, Lacking, Missing, Options, settings
from fleet.testing.controlplane.build import build_key, kubernetes_version, module_folder
from fleet.testing.controlplane.ports import PortLease
from fleet.testing.controlplane.processes import Program, Watchdog
from fleet.testing.controlplane.settings import kwok_config

READY_STAGE = "kind: Stage\nspec:\n  selector: {}\n  next:\n    statusTemplate: x\n"


@pytest.fixture
def watchdog(tmp_path: Path) -> Iterator[Watchdog]:
    watchdog = Watchdog(tmp_path / "folder")
    yield watchdog
    watchdog.close()


def executables(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch(mode=0o755)
    return folder


# where binaries come from


def test_given_assets_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(executables(tmp_path, "etcd", "kube-apiserver")))
    found = Binaries.locate()
    assert isinstance(found, Binaries)
    assert found.folder == tmp_path
    assert found.lacking(pods=False, controllers=False) == ""
    lacking = "kube-controller-manager, kube-scheduler, kwok, stage not found in"
    assert found.lacking(pods=True, controllers=False).startswith(lacking)


def test_assets_without_an_api_server_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(executables(tmp_path, "etcd")))
    reason = f"KUBEBUILDER_ASSETS={tmp_path} holds no kube-apiserver"
    assert Binaries.locate(build=True) == Missing(reason=reason)


@pytest.mark.parametrize(
    ("has_go", "reason"),
    [
        pytest.param(True, "not built yet", id="may be built"),
        pytest.param(False, "no Go to build them", id="cannot be built"),
    ],
)
def test_nothing_is_built_unasked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, has_go: bool, reason: str
) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(executables(tmp_path, "go") if has_go else tmp_path))
    found = Binaries.locate(build=not has_go)
    assert isinstance(found, Missing)
    assert reason in found.reason


def test_the_cache_key_follows_every_pin(tmp_path: Path) -> None:
    (tmp_path / "kwok").mkdir()
    for name in ("go.mod", "go.sum", "kwok/go.mod", "kwok/go.sum"):
        (tmp_path / name).write_text("require k8s.io/kubernetes v1.35.4\n")
    keys = {build_key(tmp_path)}
    for name in ("go.mod", "go.sum", "kwok/go.mod", "kwok/go.sum"):
        (tmp_path / name).write_text("require k8s.io/kubernetes v1.35.4\n\n")
        keys.add(build_key(tmp_path))
    assert len(keys) == 5
    assert all(key.startswith("1.35.4-") for key in keys)


def test_staging_modules_have_the_version_of_the_release() -> None:
    module = module_folder()
    assert module is not None
    minor_and_patch = kubernetes_version(module).removeprefix("1.")
    lines = (module / "go.mod").read_text().splitlines()
    replaced = [line.split() for line in lines if "=>" in line]
    assert len(replaced) == 31
    assert {(words[0] == words[2], words[3]) for words in replaced} == {
        (True, f"v0.{minor_and_patch}")
    }


# ports and programs


def test_a_leased_port_is_free_and_leased_once() -> None:
    leases = [PortLease() for _ in range(20)]
    assert len({lease.port for lease in leases}) == 20
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", leases[0].port))
    for lease in leases:
        lease.release()


def test_a_program_that_dies_is_reported_with_its_last_words(
    watchdog: Watchdog, tmp_path: Path
) -> None:
    argv = (sys.executable, "-S", "-c", "raise SystemExit('no such flag')")
    program = Program("etcd", argv, log=tmp_path / "log", watchdog=watchdog)
    program.start()
    with pytest.raises(NotReady, match=r"etcd ended while it was starting(.|\n)*no such flag"):
        program.wait_until(lambda: False, timeout=10)
    program.kill()


def test_a_program_that_is_never_ready_is_given_up(watchdog: Watchdog, tmp_path: Path) -> None:
    program = Program("etcd", ("sleep", "60"), log=tmp_path / "log", watchdog=watchdog)
    program.start()
    pid = program.pid
    with pytest.raises(NotReady, match="etcd was not ready after 0 s"):
        program.wait_until(lambda: False, timeout=0)
    program.kill()
    assert program.pid is None
    assert not Path(f"/proc/{pid}").exists()


def test_the_watchdog_kills_what_is_left_and_removes_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    watchdog = Watchdog(folder)
    left, gone = (
        subprocess.Popen(("sleep", "60"), start_new_session=True),
        subprocess.Popen(("sleep", "60"), start_new_session=True),
    )
    watchdog.watch(left.pid)
    watchdog.watch(gone.pid)
    watchdog.forget(gone.pid)
    watchdog.close()
    assert left.wait(timeout=10) == -9
    assert gone.poll() is None
    gone.kill()
    gone.wait()
    assert not folder.exists()


# files


def stages(folder: Path, text: str) -> Path:
    (folder / "pod" / "fast").mkdir(parents=True)
    (folder / "pod" / "fast" / "pod-ready.yaml").write_text(text)
    (folder / "pod" / "fast" / "pod-delete.yaml").write_text("kind: Stage\nspec:\n  next:\n")
    return folder


def test_the_delay_goes_into_the_ready_stage_alone(tmp_path: Path) -> None:
    deleting, ready = kwok_config(stages(tmp_path, READY_STAGE), 2.5).split("---\n")
    assert "delay" not in deleting
    assert "  delay:\n    durationMilliseconds: 2500\n" in ready
    assert ready.index("delay:") < ready.index("next:")


def test_a_stage_of_another_form_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="pod-ready stage has another form"):
        kwok_config(stages(tmp_path, "kind: Stage\n"), 1)


def test_every_user_has_a_token_and_groups() -> None:
    options = Options(users={"reader": ("readers", "people")})
    tokens = settings.new_tokens(options)
    assert len(set(tokens.values())) == len(tokens)
    lines = settings.token_file(tokens, options).splitlines()
    assert f'{tokens["reader"]},reader,reader,"readers,people"' in lines
    assert f'{tokens["admin"]},admin,admin,"system:masters"' in lines


def test_given_contexts_run_out() -> None:
    with GivenClusters([]) as source, pytest.raises(Lacking, match="no context is left"):
        source.start("one")


def test_given_contexts_have_no_audit_log() -> None:
    with GivenClusters(["kind-a"]) as source, pytest.raises(Lacking, match="no audit log"):
        source.start("one", audit=True)
