"""The API for people, part rollouts: what ``fleet rollout`` shows and says. Keys are only ever added.

| call, below ``/api/v1`` | answer |
|---|---|
| ``GET rollouts``, ``GET rollouts/NAME`` | `RolloutList`, `RolloutDetail` |
| ``POST rollouts/NAME/ORDER`` (`RolloutOrder`) | `Message`; orders are pause, resume, promote, retry and abort |
"""

from __future__ import annotations

from fleet.wire.rows import Row


class RolloutRow(Row, frozen=True, kw_only=True):
    name: str
    """Of the ApplicationSet."""
    state: str
    """Progressing, Soaking, Paused, Returning, Stopped, Aborted, Done; Invalid: its plan cannot be used."""
    version: int
    step: int
    """The open one, from 1; 0: all are done, or none was looked at."""
    steps: int
    targets: int
    waiting: int
    moving: int
    healthy: int
    failed: int
    """Those included that went back to what they had."""
    set_aside: int
    unmatched: int
    """Targets that match no step: they are never synced."""
    message: str


class RolloutList(Row, frozen=True, kw_only=True):
    items: tuple[RolloutRow, ...]


class RolloutStepRow(Row, frozen=True, kw_only=True):
    number: int
    state: str
    """Done, Open, Soaking or Closed; Held: open, and it lets nothing go before it is promoted (maxUpdate 0)."""
    max_update: str
    """As written; empty: all at once."""
    room: int
    """How many targets that are right now."""
    soak_seconds: int
    soaks_until: str
    """RFC 3339, while it soaks."""
    targets: int
    waiting: int
    moving: int
    healthy: int
    failed: int
    set_aside: int


class RolloutTargetRow(Row, frozen=True, kw_only=True):
    target: str
    step: int
    """From 1; 0: none."""
    state: str
    """Waiting, Pending, Progressing, Healthy, Failed, Returned, SetAside; Unmatched."""
    digest: str
    """The artifact that it is about."""
    previous: str
    """What it had before it was let go."""
    since: str
    message: str


class RolloutDetail(Row, frozen=True, kw_only=True):
    rollout: RolloutRow
    started: str
    """RFC 3339: when this version began."""
    health_window_seconds: int | None
    max_failures: str
    on_failure: str
    offline: str
    deletion_order: str
    steps: tuple[RolloutStepRow, ...]
    targets: tuple[RolloutTargetRow, ...]
    """By step and name; those that match no step last."""


class RolloutOrder(Row, frozen=True, kw_only=True):
    reason: str = ""
    full: bool = False
    """Of promote: open all steps at once."""
    take_back: bool = False
    """Of abort: what moved in this version goes back to what it had."""
