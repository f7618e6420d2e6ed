"""What a git process gets to see: configuration, protocols, credentials, trust.

Nothing of the machine's or the user's own git configuration counts. Credentials reach git by an askpass program
that prints a *file* and only for the host it was made for: no secret is in argv, in the environment, in a URL or
in this process. ssh gets its whole configuration on its command line and refuses unknown host keys.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from fleet.errors import Denied
from fleet.git.settings import GitSettings, RepositoryAccess
from fleet.git.urls import RepositoryUrl, is_below, redact

_ASKPASS = """#!/bin/sh
# Answers git's question for a user name or a password, for one host only.
case "$1" in
"Username for '$FLEET_GIT_SCHEME://$FLEET_GIT_HOST': ")
  if [ -n "$FLEET_GIT_USERNAME_FILE" ]; then exec cat -- "$FLEET_GIT_USERNAME_FILE"; fi
  echo git ;;
"Password for '$FLEET_GIT_SCHEME://"*"@$FLEET_GIT_HOST': ")
  if [ -n "$FLEET_GIT_PASSWORD_FILE" ]; then exec cat -- "$FLEET_GIT_PASSWORD_FILE"; fi
  exit 1 ;;
*) exit 1 ;;
esac
"""

_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.askPass": "",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",
    "transfer.fsckObjects": "true",
    # Old and harmless mistakes in the history of many public repositories.
    "fetch.fsck.badTimezone": "warn",
    "fetch.fsck.missingSpaceBeforeDate": "warn",
    "fetch.fsck.zeroPaddedFilemode": "warn",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "30",
    "http.maxRequests": "2",
    "protocol.allow": "never",
    "safe.directory": "*",
    "submodule.recurse": "false",
}

_OPERATORS = {"GIT_EXEC_PATH", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"}
"""What whoever starts the hub may set for git: where it is installed, and the default trust."""


def protocols(settings: GitSettings) -> tuple[str, ...]:
    """Name the transports that git may use."""
    optional = (("http", settings.allow_http), ("file", settings.allow_file))
    return ("https", "ssh", *(name for name, allowed in optional if allowed))


def prepare(state: Path) -> None:
    """Make the folder of the mirrors with what every git process needs: an empty home, askpass."""
    (state / "home").mkdir(mode=0o700, parents=True, exist_ok=True)
    state.chmod(0o700)
    program = state / "askpass"
    fresh = state / "askpass.new"
    fresh.write_text(_ASKPASS)
    fresh.chmod(0o700)
    fresh.replace(program)


def access_for(url: RepositoryUrl, rows: tuple[RepositoryAccess, ...]) -> RepositoryAccess | None:
    """Choose the row with the longest prefix that the URL lies below."""
    found = [row for row in rows if is_below(url, row.url_prefix)]
    return max(found, key=lambda row: len(row.url_prefix.rstrip("/")), default=None)


def local(settings: GitSettings) -> dict[str, str]:
    """The environment of a git process that reads a mirror and reaches no network."""
    allowed = protocols(settings)
    config = _CONFIG | {f"protocol.{name}.allow": "always" for name in allowed}
    numbered = {
        key: text
        for index, (name, value) in enumerate(sorted(config.items()))
        for key, text in ((f"GIT_CONFIG_KEY_{index}", name), (f"GIT_CONFIG_VALUE_{index}", value))
    }
    return numbered | {
        "GIT_CONFIG_COUNT": str(len(config)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(allowed),
        "GIT_HTTP_USER_AGENT": "gitops-fleet",
        "HOME": str(settings.state / "home"),
        "XDG_CONFIG_HOME": str(settings.state / "home"),
    }


def remote(settings: GitSettings, url: RepositoryUrl) -> dict[str, str]:
    """Add what is needed to reach one repository; raises Denied when trust or a file is missing."""
    access = access_for(url, settings.access)
    if access:
        _check_files(url, access)
    added = _ssh(url, access) if url.scheme == "ssh" else _https(settings, url, access)
    return local(settings) | added


def foreign_names(ours: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Name the git variables of our own process that a child must not inherit."""
    foreign = {name for name in environ if name.startswith("GIT_")}
    return sorted(foreign - _OPERATORS - ours.keys())


def _https(
    settings: GitSettings, url: RepositoryUrl, access: RepositoryAccess | None
) -> dict[str, str]:
    if not access:
        # An askpass that always fails: git asks nobody and the error is the server's.
        return {"GIT_ASKPASS": "/bin/false", "SSH_ASKPASS": "/bin/false"}
    added = {
        "GIT_ASKPASS": str(settings.state / "askpass"),
        "FLEET_GIT_SCHEME": url.scheme,
        "FLEET_GIT_HOST": f"{url.host}:{url.port}" if url.port else url.host,
        "FLEET_GIT_USERNAME_FILE": str(access.username_file or ""),
        "FLEET_GIT_PASSWORD_FILE": str(access.password_file or ""),
    }
    if access.ca_file:
        added["GIT_SSL_CAINFO"] = str(access.ca_file)
    if access.insecure:
        added["GIT_SSL_NO_VERIFY"] = "1"
    return added


def _ssh(url: RepositoryUrl, access: RepositoryAccess | None) -> dict[str, str]:
    where = f"repository {redact(str(url))!r}"
    if not access or not access.known_hosts_file:
        raise Denied(
            f"{where} cannot be trusted: no knownHostsFile for {url.host}",
            hint="add the server's host key to a file and name it in access",
        )
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _ssh_path(access.known_hosts_file),
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": _ssh_path(access.ssh_key_file) if access.ssh_key_file else "none",
        "ConnectTimeout": "15",
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "3",
        "ForwardAgent": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        # The only place where ssh names the fingerprint of a key that it does not know.
        "LogLevel": "DEBUG1",
    }
    words = ["ssh", "-F", "/dev/null", *(f"-o{name}={value}" for name, value in options.items())]
    return {"GIT_SSH_COMMAND": shlex.join(words), "GIT_SSH_VARIANT": "ssh"}


def _ssh_path(path: Path) -> str:
    """Write a path for ssh's option parser, which knows quotes, escapes and % tokens of its own."""
    text = str(path)
    if set(text) & set("\"'\\\n\r"):
        raise Denied(f"path of an ssh file holds a quote or a backslash: {text!r}")
    return f'"{text.replace("%", "%%")}"'


def _check_files(url: RepositoryUrl, access: RepositoryAccess) -> None:
    files = {
        "usernameFile": access.username_file,
        "passwordFile": access.password_file,
        "sshKeyFile": access.ssh_key_file,
        "knownHostsFile": access.known_hosts_file,
        "caFile": access.ca_file,
    }
    for name, path in files.items():
        if path and not os.access(path, os.R_OK):
            raise Denied(
                f"{name} {str(path)!r} for repository {redact(str(url))!r} cannot be read",
                hint="check the path and the mode of the file",
            )
