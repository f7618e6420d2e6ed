"""What stays is left out of collections; the collector is on again afterwards, also after an error."""

from __future__ import annotations

import gc

import pytest

from fleet.runtime import heap


def test_what_is_made_meanwhile_is_frozen() -> None:
    gc.unfreeze()
    with heap.lasting():
        assert not gc.isenabled()
        kept: list[object] = [[] for _ in range(1000)]
    try:
        assert gc.isenabled()
        assert gc.get_freeze_count() > len(kept)
    finally:
        gc.unfreeze()


def test_an_error_leaves_the_collector_as_it_was() -> None:
    gc.unfreeze()
    with pytest.raises(ValueError, match="bad"), heap.lasting():
        raise ValueError("bad")
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    gc.disable()
    try:
        with heap.lasting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
