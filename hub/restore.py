"""What a hub needs after its state was put back from a backup: a higher epoch.

Agents refuse a generation that is not above the last one they have accepted, and a restored hub counts on from an
older one. Within a new epoch it counts anew, and every agent takes its next assignment and reports in full.
"""

from __future__ import annotations

from fleet.errors import BadInput
from fleet.store.port import Kind, Put
from fleet.store.sql import SqlStore
from hub.settings import HubSettings

EPOCH = "epoch"


async def raise_epoch(settings: HubSettings) -> int:
    """Raise the epoch of the hub's state by one and return it; the hub must not run meanwhile. Raises BadInput."""
    file = settings.state / "hub.db"
    if not settings.database and not file.exists():
        raise BadInput(
            f"{file} is not there", hint="put the state folder back first, then call this again"
        )
    store = await SqlStore.open(settings.database or f"sqlite+aiosqlite:///{file}")
    try:
        epoch = int(await store.get(Kind.META, EPOCH) or b"1") + 1
        await store.commit(Put(Kind.META, EPOCH, str(epoch).encode()))
    finally:
        await store.close()
    return epoch
