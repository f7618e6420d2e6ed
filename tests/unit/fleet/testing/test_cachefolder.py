"""Cache folders appear whole, once, and never half filled."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fleet.testing.cachefolder import cache_root, filled


def test_the_root_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "gitops-fleet"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "gitops-fleet"


def test_a_folder_is_filled_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def fill(folder: Path) -> None:
        calls.append(folder)
        (folder / "program").write_text("1")

    for _ in range(2):
        assert (filled(tmp_path / "a" / "key", fill) / "program").read_text() == "1"
    assert len(calls) == 1


def test_two_at_a_time_fill_it_once(tmp_path: Path) -> None:
    calls: list[Path] = []
    both = threading.Barrier(2)

    def fill(folder: Path) -> None:
        calls.append(folder)

    def want() -> None:
        both.wait()
        filled(tmp_path / "key", fill)

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("1")
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        filled(tmp_path / "key", fill)
    assert [path.name for path in tmp_path.iterdir()] == ["key.lock"]


def test_what_a_killed_builder_left_is_removed(tmp_path: Path) -> None:
    stale = tmp_path / "key.new-abc"
    stale.mkdir()
    filled(tmp_path / "key", lambda folder: None)
    assert not stale.exists()
