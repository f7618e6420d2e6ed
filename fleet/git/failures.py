"""What git's words mean: its error output (LC_ALL=C) to one of our errors, as a table.

Pure. The text shown to people is the line that says most, redacted and in one line. ssh is asked for debug
output, because only there it names the fingerprint of a host key that it does not know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fleet.codec.redaction import one_line
from fleet.errors import BadInput, Denied, FleetError, Transient


@dataclass(frozen=True, slots=True)
class _Row:
    words: re.Pattern[str]
    error: type[FleetError]
    problem: str
    hint: str


def _row(words: str, error: type[FleetError], problem: str, hint: str = "") -> _Row:
    return _Row(re.compile(words, re.IGNORECASE), error, problem, hint)


_ROWS = (
    _row(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        Denied,
        "has another host key than the known one",
        "if the change is expected, replace the line in knownHostsFile",
    ),
    _row(
        r"Host key verification failed",
        Denied,
        "has an unknown host key",
        "compare the fingerprint with the server's and add the key to knownHostsFile",
    ),
    _row(
        r"returned error: 30\d|unable to update url base from redirection",
        Denied,
        "answers with a redirect, which is not followed",
        "write the final URL; most forges want the .git suffix",
    ),
    _row(
        r"could not read (Username|Password)|Authentication failed|returned error: 40[13]"
        r"|Permission denied|Too many authentication failures|Invalid username or (password|token)"
        r"|HTTP Basic: Access denied|Load key .*: (error|invalid|Permission|bad)",
        Denied,
        "refused the credentials, or wants some",
        "check the files of access for this URL",
    ),
    _row(
        r"SSL certificate problem|certificate verif|SSL: no alternative certificate|self.signed"
        r"|unable to get local issuer|error setting certificate",
        Denied,
        "has a TLS certificate that is not trusted",
        "name the CA's certificate as caFile in access",
    ),
    _row(
        r"transport '.*' not allowed|protocol .* (not supported|disabled)",
        Denied,
        "uses a protocol that is not allowed",
    ),
    _row(
        r"dubious ownership",
        Denied,
        "belongs to another user of this machine",
        "give the folder to the user that the hub runs as",
    ),
    _row(
        r"repository .* not found|Repository not found|returned error: 404"
        r"|does not appear to be a git repository|not valid: is this a git repository"
        r"|project you were looking for could not be found",
        BadInput,
        "was not found",
        "check repoURL; forges answer so too when the credentials may not read it",
    ),
    _row(
        r"fsck error|fsckObjects|error in packed object|: (?:has|contains) '?\.git|zero-padded",
        BadInput,
        "holds an object that git's checks refuse",
        "repair the history of the repository",
    ),
    _row(r"Out of memory|malloc failed", Transient, "needs more memory than git.limits allow"),
    _row(
        r"File too large|invalid index-pack output",
        BadInput,
        "is larger than git.limits allow",
        "raise the limit, or see whether the machine ran out of memory",
    ),
)

_DAMAGE = re.compile(
    r"object file .* is empty|loose object .* is corrupt|bad object|missing object|unable to read tree"
    r"|packfile .* (cannot be accessed|is far too short|does not match|claims to have)"
    r"|pack .* (corrupt|is corrupted)|index file .* (corrupt|too small|is corrupt)|not a git repository: "
    r"|inflate: data stream error|unable to unpack|bad config|bad ref|broken ref|wrong index v|non-monotonic"
    r"|unable to normalize alternate|missing blob|missing tree|reference broken|fatal: unable to parse object"
    r"|ignoring broken ref|couldn't be accessed|delta base offset|error in sideband demultiplexer"
    r"|did not receive expected object|not have the object|could not open pack",
    re.IGNORECASE,
)
_FINGERPRINT = re.compile(r"Server host key: (\S+ SHA256:[A-Za-z0-9+/=]+)")
_LOUD = re.compile(r"^(?:fatal|error|ERROR)\b|Permission denied|verification failed|ssh: ")
_GENERIC = ("fatal: Could not read from remote repository", "fatal: the remote end hung up")


def is_damage(errors: str) -> bool:
    """Say whether the words speak of broken files on our own disk, which a new clone repairs."""
    own = (line for line in errors.splitlines() if not line.startswith(("debug1: ", "remote: ")))
    return bool(_DAMAGE.search("\n".join(own)))


def translate(url: str, errors: str, *, timed_out: bool, seconds: float) -> FleetError:
    """Make our error from what a git process wrote while it talked to a remote."""
    where = f"repository {url!r}"
    if timed_out:
        return Transient(f"{where} did not answer within {seconds:g} s")
    text = _without_debug(errors)
    detail = one_line(_most_telling(text))
    for row in _ROWS:
        if row.words.search(text):
            key = _FINGERPRINT.search(errors) if "host key" in row.problem else None
            shown = f"{row.problem} ({key[1]})" if key else row.problem
            return row.error(f"{where} {shown}: {detail}", hint=row.hint)
    return Transient(f"{where} cannot be reached: {detail or 'git failed without a word'}")


def _without_debug(errors: str) -> str:
    return "\n".join(line for line in errors.splitlines() if not line.startswith("debug1: "))


def _most_telling(text: str) -> str:
    """The first line of git's own that says something, with what the server added."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    loud = [line for line in lines if _LOUD.search(line) and not line.startswith(_GENERIC)]
    remote = next((line for line in lines if line.startswith("remote: ")), "")
    said = (loud or [line for line in lines if line != remote] or [""])[0]
    return "; ".join(part for part in (said, remote) if part)
