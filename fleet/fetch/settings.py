"""What an operator may set about charts and other things fetched over HTTP. Values only.

Credentials are named by file and read at each use, so a rotated file counts at the next request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartAccess:
    """Credentials and trust for everything below one URL prefix (on a path-segment boundary).

    ``https://host/path`` covers Helm repositories, ``oci://host/path`` registries; the longest prefix wins.
    """

    url_prefix: str
    username_file: Path | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    insecure: bool = False
    """Do not verify the server's TLS certificate."""
    pass_credentials: bool = False
    """Send the credentials also to other hosts that the repository's index points to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """Bounds that hold whatever a server sends."""

    index_bytes: int = 64 * MEBIBYTE
    chart_bytes: int = 32 * MEBIBYTE
    manifest_bytes: int = 4 * MEBIBYTE
    """Manifests, tag lists and tokens of a registry."""
    tags: int = 20_000
    concurrent: int = 16
    cache_bytes: int = 1024 * MEBIBYTE
    """Charts that are kept on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartSettings:
    """Everything that the fetch room is told by settings."""

    state: Path
    """The folder of downloaded charts."""
    access: tuple[ChartAccess, ...] = ()
    hosts: tuple[str, ...] = ()
    """Patterns of hosts that may be contacted (``*.example.com``); empty = all but this machine's own."""
    realm_hosts: tuple[str, ...] = ()
    """Hosts that a registry may send us to for a token, besides itself and the well-known ones."""
    allow_http: bool = False
    allow_loopback: bool = False
    """Admit this machine itself, which tests and demos need."""
    timeout: timedelta = timedelta(seconds=60)
    """Of one request with its retries."""
    attempts: int = 3
    index_age: timedelta = timedelta(seconds=60)
    """How long an index or a list of tags is used before the server is asked again."""
    limits: FetchLimits = field(default_factory=FetchLimits)
