"""What an operator may set about git: where mirrors live, who may read what, and the limits.

Values only. Credentials are named by *file*: the files are read by git's own helper processes at the moment
of use, so a rotated file counts at the next fetch and no secret ever passes through this process.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryAccess:
    """Credentials and trust for all repositories below one URL prefix (on a path-segment boundary).

    Several may match: the longest prefix wins as a whole, nothing is mixed from two.
    """

    url_prefix: str
    username_file: Path | None = None
    """HTTPS user name; without it ``git`` is sent, which every forge takes beside a token."""
    password_file: Path | None = None
    """HTTPS password or token."""
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    """Required for ssh: an unknown host key is refused, never learned."""
    ca_file: Path | None = None
    insecure: bool = False
    """Do not verify the server's TLS certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitLimits:
    """Bounds that hold whatever a repository or a server does."""

    blob_bytes: int = 16 * MEBIBYTE
    """The largest single file that is read."""
    blobs_bytes: int = 256 * MEBIBYTE
    """All files of one call together."""
    listing_bytes: int = 256 * MEBIBYTE
    """Output of one listing (about two million paths)."""
    repository_bytes: int = 4096 * MEBIBYTE
    """The largest file that git may write while fetching (RLIMIT_FSIZE)."""
    memory_bytes: int = 2048 * MEBIBYTE
    """Data segment of a git process (RLIMIT_DATA)."""
    cached_entries: int = 400_000
    """Tree entries that are kept in memory over all listings; two listings stay in any case."""
    fetches: int = 16
    """Fetches at the same time, over all repositories."""
    reads: int = 4
    """Local git reads at the same time."""
    packs: int = 50
    """Packs of a mirror before they are combined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSettings:
    """Everything that the git room is told by settings."""

    state: Path
    """The folder of the mirrors; created with mode 0700."""
    access: tuple[RepositoryAccess, ...] = ()
    allow_file: bool = False
    """Accept ``file:///…`` URLs: whoever writes an Application may then read local repositories."""
    allow_http: bool = False
    """Accept ``http://…`` URLs, unencrypted."""
    timeout: timedelta = timedelta(seconds=60)
    """Of one fetch of a known repository and of one local read."""
    clone_timeout: timedelta = timedelta(minutes=10)
    """Of the first fetch of a repository."""
    limits: GitLimits = GitLimits()
