"""What an operator may set about the hub: the shape of ``hub.yaml``, its defaults, and its meaning.

Required: ``state``, ``externalURL``, ``agents``, ``api`` and at least one repository; everything else has a
default that is right for a first installation. Keys are written in camelCase; relative paths are relative to the
file. The commented sample is ``config/hub.yaml`` and a test keeps the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from fleet.fetch.scm.settings import Plugin, Scm
from fleet.git.settings import GitLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsListener:
    """Where agents dial in: mutual TLS, so a load balancer must pass TCP through."""

    listen: str
    """HOST:PORT."""
    handshakes_per_second: int = 400
    """Admission of new TLS connections; a reconnect storm waits in line instead of taking the processor."""
    names: tuple[str, ...] = ()
    """More names or addresses for the listener's certificate, besides that of externalURL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiListener:
    """Where people, probes, metrics and webhooks come in."""

    listen: str
    """HOST:PORT; anything but a loopback address needs ``certFile`` and ``keyFile``."""
    cert_file: Path | None = None
    """PEM file with the listener's certificate chain."""
    key_file: Path | None = None
    """PEM file with its key."""
    token_file: Path | None = None
    """The administrators' token; default ``<state>/admin.token``, made at the first start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRepository:
    """A place where the documents of the fleet are: clusters, projects, Applications, ApplicationSets."""

    repo_url: str
    """https://, ssh://, or git@HOST:PATH; file:// and http:// only where ``git`` below allows them."""
    revision: str = "HEAD"
    """A branch, a tag, a commit or a range of versions; HEAD is the default branch."""
    path: str = "."
    """The folder of the documents; folders in it are read too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Credentials and trust for repositories (git, Helm, OCI) below one URL prefix; the longest wins."""

    url_prefix: str
    """What the repository's URL begins with; the longest prefix wins."""
    username_file: Path | None = None
    """File with the user's name. This and all files below are read again when they change."""
    password_file: Path | None = None
    """File with a password or token."""
    ssh_key_file: Path | None = None
    """Private key without a passphrase, mode 0600."""
    known_hosts_file: Path | None = None
    """Host keys to trust, as ssh-keyscan prints them; an unknown host is refused."""
    ca_file: Path | None = None
    """Certificate authorities to trust instead of the system's."""
    insecure: bool = False
    """Do not verify the server's certificate."""
    pass_credentials: bool = False
    """Send the credentials also to other hosts that a Helm repository's index points to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """How git repositories are reached."""

    allow_file: bool = False
    """Accept ``file://`` repositories."""
    allow_http: bool = False
    """Accept unencrypted ``http://`` repositories."""
    poll_interval: timedelta = timedelta(seconds=120)
    """How often each repository is asked for news, with jitter; webhooks only make it sooner."""
    timeout: timedelta = timedelta(seconds=60)
    """For one fetch."""
    clone_timeout: timedelta = timedelta(minutes=10)
    """For the first fetch of a repository."""
    limits: GitLimits = field(default_factory=GitLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Render:
    """How manifests are made."""

    helm: Path | None = None
    """The helm program; default: from PATH."""
    kubectl: Path | None = None
    """kubectl, for ``kubectl kustomize``; default: from PATH."""
    concurrency: int = 2
    """Renders at the same time."""
    timeout: timedelta = timedelta(seconds=90)
    """For one render."""
    require_sandbox: bool = True
    """Refuse to start where a render child cannot be cut off from the network."""
    allow_remote_bases: bool = False
    """Kustomizations with bases or resources by URL: not built yet, the hub refuses ``true`` at its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """Helm repositories and OCI registries."""

    hosts: tuple[str, ...] = ()
    """Patterns of hosts that may be contacted (``*.example.com``); empty: all but this machine's own."""
    realm_hosts: tuple[str, ...] = ()
    """Hosts that a registry may send us to for a token, besides itself and the well-known ones."""
    allow_loopback: bool = False
    """Admit this machine itself, which tests and demos need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Lifetimes of what the hub issues."""

    certificate_lifetime: timedelta = timedelta(hours=24)
    """Of an agent's certificate; it renews itself long before."""
    renew_expired_for: timedelta = timedelta(days=30)
    """How long an expired certificate may still be exchanged for a new one, by proof of its key."""
    join_token_lifetime: timedelta = timedelta(hours=1)
    """How long a token of ``fleet cluster add`` may be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """``POST /webhook``: a push event makes the hub look at the repository at once."""

    secret_file: Path | None = None
    """The shared secret; without it events are refused."""
    allow_unsigned: bool = False
    """Accept events that nobody signed; they only make the hub look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Log lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines to write: debug, info, warning or error."""
    form: Literal["json", "console"] = "json"
    """One JSON object a line, or ``console``: text for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Settings of the hub: every key, with its default where it has one.

    Fill in what is in angle brackets; uncomment what you change. Durations are written 30s, 5m, 2h or 7d; relative
    paths are relative to this file. ``fleet hub check FILE`` names a mistake with its line.
    """

    state: Path
    """The folder of everything durable: database, artifacts, keys, mirrors. Mode 0700."""
    external_url: str
    """https://HOST:PORT as agents reach ``agents.listen``."""
    agents: AgentsListener
    api: ApiListener
    repositories: tuple[FleetRepository, ...]
    """Where the documents of the fleet are: clusters, projects, Applications, ApplicationSets."""
    templated_projects: tuple[str, ...] = ()
    """Patterns of AppProjects that ApplicationSets may choose by a template; empty: a set's project is written out."""
    database: str = ""
    """SQLAlchemy URL; default: SQLite in the state folder."""
    access: tuple[Access, ...] = ()
    git: Git = field(default_factory=Git)
    charts: Charts = field(default_factory=Charts)
    scm: Scm = field(default_factory=Scm)
    plugins: tuple[Plugin, ...] = ()
    """Servers that the generator ``plugin`` asks."""
    render: Render = field(default_factory=Render)
    identity: Identity = field(default_factory=Identity)
    webhook: Webhook = field(default_factory=Webhook)
    log: Log = field(default_factory=Log)
    lease: timedelta = timedelta(seconds=90)
    """A cluster that was not heard of for this long is shown as Unknown."""
    grace: timedelta = timedelta(seconds=20)
    """How long a stop waits for work under way."""
