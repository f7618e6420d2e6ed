"""What an operator may set about forges and plugins. Values only; files are read at each use."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmToken:
    """The file that stands for a key of a Secret which sets name (``tokenRef`` and the like)."""

    secret_name: str
    """As in ``tokenRef.secretName``."""
    key: str
    """As in ``tokenRef.key``."""
    file: Path
    """File with the token or password in its first line."""
    url_prefix: str
    """The API that may see it, such as https://api.github.com; without this a set could send it anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aws:
    """Credentials for AWS CodeCommit."""

    access_key_id_file: Path | None = None
    """File with the access key's id."""
    secret_access_key_file: Path | None = None
    """File with the secret access key."""
    session_token_file: Path | None = None
    """File with a session token, where the credentials are temporary."""
    region: str = "us-east-1"
    """For sets that name none."""
    endpoint: str = ""
    """Base URL instead of AWS's own, such as that of a VPC endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scm:
    """Forges that the generators scmProvider and pullRequest may ask."""

    enabled: bool = True
    """False refuses both generators."""
    allowed: tuple[str, ...] = ()
    """URL prefixes of APIs that may be asked; empty: every host that ``charts.hosts`` admits."""
    tokens: tuple[ScmToken, ...] = ()
    aws: Aws = field(default_factory=Aws)
    timeout: timedelta = timedelta(minutes=2)
    """For one answer with all of its pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A generator plugin."""

    name: str
    """As sets name it in ``plugin.configMapRef.name``."""
    base_url: str
    """The plugin answers POST requests below it, at /api/v1/getparams.execute."""
    token_file: Path
    """File with the bearer token in its first line."""
    timeout: timedelta = timedelta(seconds=30)
    """For one request."""
