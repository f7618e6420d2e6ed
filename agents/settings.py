"""What an operator may set about an agent: the shape of ``agent.yaml``, its defaults, and its meaning.

Required: ``hub``, ``kubeconfig``, ``state`` and ``tokenFile``; everything else has a default that is right for a
first installation. Keys are written in camelCase; relative paths are relative to the file. The commented sample is
``config/agent.yaml`` and a test keeps the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from fleet.errors import BadInput

IN_CLUSTER: Literal["in-cluster"] = "in-cluster"


class Backend(StrEnum):
    """Where what must survive the disk is kept."""

    KUBERNETES = "kubernetes"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSettings:
    """What the agent keeps: a cache on disk, and identity and inventory in the cluster or beside the cache."""

    path: Path
    """Folder for the last assignment and its artifacts (and, with ``backend: file``, for everything). Mode 0700."""
    backend: Backend = Backend.KUBERNETES
    """``kubernetes``: inventory in ConfigMaps and identity in a Secret of the agent's namespace; ``file``: both on disk."""
    namespace: str = "gitops-fleet"
    """The agent's namespace, for ``backend: kubernetes``; made where it is missing and the rights allow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """How hard the API server may be used."""

    context: str = ""
    """Context of the kubeconfig; default: its current one."""
    namespaces: tuple[str, ...] = ()
    """The namespaces that the agent may work in, where its rights end there; none: all, and cluster-wide objects."""
    concurrency: int = 20
    """Applies in flight at the same time."""
    qps: float = 400.0
    """Requests a second on average."""
    burst: int = 800
    """Requests at once before ``qps`` counts."""
    request_timeout: timedelta = timedelta(seconds=35)
    """For one request."""
    stall_timeout: timedelta = timedelta(seconds=100)
    """Silence on a watch after which it is opened again; API servers send a sign of life each minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """How applications are kept."""

    workers: int = 20
    """Applications worked on at the same time."""
    compare_every: timedelta = timedelta(minutes=10)
    """How often everything is compared in full, besides the watches; spread by a fifth."""
    not_ready_retry: timedelta = timedelta(seconds=2)
    """How often something that is still missing (a namespace, a kind) is looked for."""
    first_retry: timedelta = timedelta(seconds=1)
    """The longest wait before the first repetition of a failed sync; it doubles each time."""
    last_retry: timedelta = timedelta(seconds=30)
    """The longest wait between repetitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How the hub is spoken to."""

    poll: timedelta = timedelta(seconds=25)
    """How long to let the hub hold a question for news; also the agent's sign of life."""
    timeout: timedelta = timedelta(seconds=15)
    """For an answer beyond that."""
    first_retry: timedelta = timedelta(seconds=1)
    """The longest wait before the hub is dialled again; it doubles each time."""
    last_retry: timedelta = timedelta(seconds=60)
    """The longest wait between tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """``/healthz``, ``/readyz`` and ``/metrics``."""

    listen: str = "127.0.0.1:8081"
    """HOST:PORT; empty: off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Log lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines to write: debug, info, warning or error."""
    form: Literal["json", "console"] = "json"
    """One JSON object a line, or ``console``: text for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Settings of the agent of one cluster: every key, with its default where it has one.

    Fill in what is in angle brackets; uncomment what you change. Durations are written 30s, 5m, 2h or 7d; relative
    paths are relative to this file.
    """

    hub: str
    """The hub's URL for agents, https://HOST:PORT."""
    kubeconfig: Literal["in-cluster"] | Path
    """Path of a kubeconfig, or ``in-cluster`` inside a pod."""
    state: StateSettings
    token_file: Path
    """The join token that ``fleet cluster add`` printed; read while there is no identity yet."""
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    sync: SyncSettings = field(default_factory=SyncSettings)
    link: LinkSettings = field(default_factory=LinkSettings)
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    log: LogSettings = field(default_factory=LogSettings)
    grace: timedelta = timedelta(seconds=20)
    """How long a stop waits for the step under way."""

    def __post_init__(self) -> None:
        check_hub_url(self.hub)


def check_hub_url(url: str) -> str:
    """Return the hub's URL; raises BadInput for anything but ``https://HOST[:PORT]``."""
    parts = urlsplit(url)
    try:
        bad_port = parts.port == 0
    except ValueError:
        bad_port = True
    if (
        parts.scheme != "https"
        or not parts.hostname
        or bad_port
        or parts.username
        or parts.query
        or parts.fragment
        or parts.path not in ("", "/")
    ):
        raise BadInput("the hub's address must be https://HOST or https://HOST:PORT")
    return url.rstrip("/")
