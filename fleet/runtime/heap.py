"""The collector of cycles and a large heap: each full collection walks through everything that lives, while all waits."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Collect nothing while something large that stays is built, and leave it out of all later collections.

    What it holds is still freed when nobody refers to it any more; only cycles that are in it now are not. After an
    error nothing is left out.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
