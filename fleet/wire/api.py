"""The API for people: what the hub answers and the CLI prints as ``-o json``. Keys are only ever added.

Paths are below ``/api/v1``; every call but the probes and the webhook wants ``Authorization: Bearer TOKEN``.

| call | answer |
|---|---|
| ``GET apps``, ``GET apps/NAME`` | `AppList`, `AppDetail` |
| ``POST apps/NAME/sync`` (`SyncRequest`), ``POST apps/NAME/refresh`` (`RefreshRequest`) | `OperationAnswer` |
| ``POST apps/NAME/terminate`` | `OperationAnswer` |
| ``GET apps/NAME/history`` | `HistoryList` |
| ``POST apps/NAME/rollback`` (`RollbackRequest`) | `RollbackAnswer` |
| ``DELETE apps/NAME`` | `Message` |
| ``GET apps/NAME/logs|events|resources|manifests|diff`` | frames of `fleet.wire.requests`, one a line, from its cluster |
| ``GET appsets``, ``GET appsets/NAME`` | `AppSetList`, `AppSetRow` |
| ``GET appsets/NAME/diff`` | `AppSetDiff` |
| ``GET clusters``, ``GET clusters/NAME`` | `ClusterList`, `ClusterRow` |
| ``POST clusters`` (`AddCluster`) | `JoinInstructions` |
| ``DELETE clusters/NAME?cascade=true``, ``POST clusters/NAME/revoke`` | `Message` |
| ``GET holds``, ``POST approve`` (`ApproveRequest`) | `HoldList`, `Message` |
| ``GET explain/CLUSTER/APP`` | `Explanation` |
| ``GET graph?cluster=NAME`` | `Graph` |
| ``GET problems`` | `ProblemList` |
| ``GET repositories`` | `RepositoryList` |

Rollouts are in `fleet.wire.rollouts`.

Errors are ``{"error": {"reason", "message"}}`` with status 400 (bad input), 401, 403, 404, 409, 500 or 503.
"""

from __future__ import annotations

import msgspec

from fleet.wire.rows import Row


class AppRow(Row, frozen=True, kw_only=True):
    name: str
    cluster: str
    set: str
    project: str
    sync: str
    health: str
    revision: str
    digest: str
    """Artifact assigned."""
    waiting_for: tuple[str, ...]
    message: str
    age_seconds: int | None
    """Since the cluster was last heard of; null: never."""
    operation: str = ""
    """Phase of its operation, or of its last one; Pending: asked for, and not taken up yet."""


class AppList(Row, frozen=True, kw_only=True):
    items: tuple[AppRow, ...]


class ObjectRow(Row, frozen=True, kw_only=True):
    ref: str
    sync: str
    health: str | None
    message: str


class WindowRow(Row, frozen=True, kw_only=True):
    """A sync window of the project that matches an application."""

    kind: str
    schedule: str
    duration: str
    time_zone: str
    open: bool
    changes_at: str
    """When it closes, or opens next, in its time zone (RFC 3339); empty: not foreseen."""
    manual_sync: bool
    """Whether a sync that a person asks for passes it."""
    description: str = ""


class Windows(Row, frozen=True, kw_only=True):
    """What sync windows allow right now, by the hub's clock; the agent decides by its own."""

    automated: bool
    """Whether automated syncs and healing are allowed."""
    manual: bool
    """Whether ``fleet app sync`` is."""
    message: str
    items: tuple[WindowRow, ...]


class AppDetail(Row, frozen=True, kw_only=True):
    app: AppRow
    namespace: str
    server: str
    sources: tuple[str, ...]
    automated: bool
    prune: bool
    self_heal: bool
    deletion: str
    applied: str
    """Digest that the cluster reports as applied completely."""
    phase: str
    objects: int
    problems: tuple[ObjectRow, ...]
    warnings: tuple[str, ...]
    operation: str
    operation_state: OperationRow | None = None
    """The operation under way, or the last one, as the cluster reports it."""
    pinned: str = ""
    """Why it stays at an earlier deployment; empty where git decides."""
    parents: tuple[str, ...] = ()
    """The Applications whose manifests brought it (app of apps), the outermost first."""
    children: tuple[ChildRow, ...] = ()
    """What its own manifests bring to the fleet."""
    children_in_force: bool = True
    """Whether these are in force as it renders them, or as they were when a person brought it back to that."""
    windows: Windows | None = None
    """Null: no sync window of its project matches it."""


class ChildRow(Row, frozen=True, kw_only=True):
    """A document of the fleet that an Application renders."""

    kind: str
    """Application, ApplicationSet or AppProject."""
    name: str
    wave: int
    sync: str
    """Synced: in force as it is rendered."""
    health: str
    """Of an Application that is in force."""
    message: str


class ResultRow(Row, frozen=True, kw_only=True):
    """What an operation did with one object."""

    ref: str
    status: str
    phase: str
    hook: bool
    message: str


class OperationRow(Row, frozen=True, kw_only=True):
    id: str
    kind: str
    phase: str
    """Running, Terminating, Succeeded, Failed, Error or Expired."""
    message: str
    started_at: str
    finished_at: str
    retries: int
    resources: tuple[ResultRow, ...]


class SyncRequest(Row, frozen=True, kw_only=True):
    prune: bool = False
    dry_run: bool = False
    """Ask the API server what would change; nothing is written."""
    force: bool = False
    replace: bool = False
    strategy: str = "hook"
    """``hook``, or ``apply``: without hooks."""
    resources: tuple[str, ...] = ()
    """``group/Kind:namespace/name``, the namespace optional; empty: everything."""
    options: tuple[str, ...] = ()
    """Sync options on top of the Application's."""
    retry_limit: int | None = None


class HistoryRow(Row, frozen=True, kw_only=True):
    id: int
    revision: str
    digest: str
    sources: tuple[str, ...]
    started_at: str
    """RFC 3339; empty where that is not known."""
    deployed_at: str
    initiated_by: str
    current: bool
    pinned: bool


class HistoryList(Row, frozen=True, kw_only=True):
    items: tuple[HistoryRow, ...]
    """Newest first."""


class RollbackRequest(Row, frozen=True, kw_only=True):
    id: int = 0
    """Of a deployment; 0: the one before the one in force."""
    pin: bool = False
    """Although automated sync is on: stay there until somebody syncs."""
    prune: bool = False
    reason: str = ""


class RollbackAnswer(Row, frozen=True, kw_only=True):
    target: str
    operation: str
    """Empty where no agent has anything to do: the hub brings documents back by itself."""
    deployment: HistoryRow


class RefreshRequest(Row, frozen=True, kw_only=True):
    hard: bool = False


class NoArguments(Row, frozen=True, kw_only=True):
    """A body that says nothing."""


class OperationAnswer(Row, frozen=True, kw_only=True):
    id: str
    target: str
    kind: str


class AppSetRow(Row, frozen=True, kw_only=True):
    name: str
    applications: tuple[str, ...]
    reason: str
    errors: tuple[str, ...]
    held: str
    last_good: bool
    rollout: str = ""
    """How its RollingSync goes, in one sentence; empty where it has none."""


class AppSetList(Row, frozen=True, kw_only=True):
    items: tuple[AppSetRow, ...]


class ClusterRow(Row, frozen=True, kw_only=True):
    name: str
    server: str
    project: str
    labels: dict[str, str]
    source: str
    """git, hub, or none: an identity that no record declares."""
    management: bool
    state: str
    """NotJoined, Connected, Disconnected, Detached or Removing."""
    health: str
    """The worst of its targets."""
    targets: int
    synced: int
    healthy: int
    generation: int
    age_seconds: int | None
    kube_version: str
    agent_version: str


class ClusterList(Row, frozen=True, kw_only=True):
    items: tuple[ClusterRow, ...]


class AddCluster(Row, frozen=True, kw_only=True):
    name: str
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    server: str = ""
    project: str = ""


class JoinInstructions(Row, frozen=True, kw_only=True):
    name: str
    token: str
    hub: str
    """URL for agents."""
    expires: str


class HoldRow(Row, frozen=True, kw_only=True):
    subject: str
    message: str
    removed: tuple[str, ...]
    digest: str
    added: tuple[str, ...] = ()
    """Applications that wait together with the removals; an ApplicationSet's result is held as a whole."""
    changed: tuple[str, ...] = ()


class HoldList(Row, frozen=True, kw_only=True):
    items: tuple[HoldRow, ...]


class AppSetDiff(Row, frozen=True, kw_only=True):
    name: str
    holds: tuple[HoldRow, ...]
    """What waits for an approval of this set, of the fleet as a whole, and of its applications' objects."""


class ApproveRequest(Row, frozen=True, kw_only=True):
    subject: str
    digest: str = ""
    """What is approved must still be this; empty approves what is held now."""
    reason: str = ""


class Message(Row, frozen=True, kw_only=True):
    message: str


class EdgeRow(Row, frozen=True, kw_only=True):
    reference: str
    targets: tuple[str, ...]
    satisfied: bool
    message: str


class Explanation(Row, frozen=True, kw_only=True):
    target: str
    exists: bool
    why: str
    """Where it comes from, or why it is not a target."""
    set: str
    row: str
    file: str
    line: int
    decision: str
    edges: tuple[EdgeRow, ...]
    needed_by: tuple[str, ...]
    app: AppRow | None
    parents: tuple[str, ...] = ()
    windows: Windows | None = None
    """Null: no sync window of its project matches it."""


class GraphNode(Row, frozen=True, kw_only=True):
    target: str
    level: int | None
    """Null for members of a cycle and what needs them."""
    sync: str
    health: str


class GraphEdge(Row, frozen=True, kw_only=True):
    source: str
    """The dependent."""
    target: str
    reference: str
    satisfied: bool


class Graph(Row, frozen=True, kw_only=True):
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    cycles: tuple[tuple[str, ...], ...]


class ProblemRow(Row, frozen=True, kw_only=True):
    reason: str
    message: str
    object: str
    file: str
    line: int
    field: str
    fatal: bool


class ProblemList(Row, frozen=True, kw_only=True):
    items: tuple[ProblemRow, ...]


class RepositoryRow(Row, frozen=True, kw_only=True):
    url: str
    revision: str
    path: str
    commit: str
    files: int
    error: str
    fleet: bool
    """Whether fleet documents are read from it."""


class RepositoryList(Row, frozen=True, kw_only=True):
    items: tuple[RepositoryRow, ...]
