"""The one admission of URLs that are fetched over HTTP, and their comparison with prefixes. Pure.

security.md rows 36-38: a URL may come from an index, a header or a repository, so it is checked wherever it comes
from: scheme, host pattern, no user information, no address of this machine or of a metadata service. Names are
checked again when they are resolved (`fleet.fetch.http`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import unquote, urljoin

from fleet.codec.redaction import redact
from fleet.errors import Denied
from fleet.fetch.settings import ChartSettings
from fleet.model.addresses import host_refusal

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?"
)
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]")
_BAD = re.compile(r"[\x00-\x20\x7f-\uffff\\]")
_HIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_PORTS = {"https": 443, "http": 80}
_MAX_LENGTH = 8192  # signed links of object stores are long


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchUrl:
    """An admitted URL in its parts."""

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""

    def __str__(self) -> str:
        return f"{self.origin}{self.path}{self.query}"

    @property
    def origin(self) -> str:
        """Scheme, host and port; the default port is left out."""
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    @property
    def shown(self) -> str:
        """What may be printed: the query of a signed link is a credential."""
        return redact(f"{self.origin}{self.path}{'?…' if self.query else ''}")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRules:
    """Which URLs are admitted."""

    hosts: tuple[str, ...] = ()
    allow_http: bool = False
    allow_loopback: bool = False

    @classmethod
    def of(cls, settings: ChartSettings) -> UrlRules:
        """The rules that settings give."""
        return cls(
            hosts=settings.hosts,
            allow_http=settings.allow_http,
            allow_loopback=settings.allow_loopback,
        )


def admit(url: str, rules: UrlRules) -> FetchUrl:
    """Take a URL apart; raises Denied with what is wrong."""
    match = _URL.fullmatch(url) if len(url) <= _MAX_LENGTH and not _BAD.search(url) else None
    if not match:
        raise _denied(url, "is not an http URL")
    scheme = match["scheme"].lower()
    if scheme == "http" and not rules.allow_http:
        raise _denied(url, "is not encrypted; only https is allowed")
    if scheme not in _PORTS:
        raise _denied(url, f"has the protocol {scheme[:40]!r}; only https is allowed")
    if "@" in match["authority"]:
        raise _denied(url, "holds credentials; put them into files named by settings")
    host, port = _host_and_port(url, match["authority"], scheme)
    if rules.hosts and not any(fnmatchcase(host, pattern.lower()) for pattern in rules.hosts):
        raise _denied(url, "has a host that settings do not allow")
    if refusal := host_refusal(host, loopback=rules.allow_loopback):
        raise _denied(url, refusal)
    path = match["path"] or "/"
    _check_path(url, path)
    return FetchUrl(scheme=scheme, host=host, port=port, path=path, query=match["query"] or "")


def follow(base: FetchUrl, reference: str, rules: UrlRules) -> FetchUrl:
    """Admit a reference found in the answer of another URL: absolute, or relative to it."""
    if _BAD.search(reference) or len(reference) > _MAX_LENGTH:
        raise _denied(reference, "is not an http URL")
    try:
        joined = urljoin(str(base), reference)
    except ValueError as error:
        raise _denied(reference, "is not an http URL") from error
    return admit(joined, rules)


def is_below(url: FetchUrl, prefix: str) -> bool:
    """Say whether a URL lies below a prefix: same scheme, host and port, whole path segments.

    ``oci://`` prefixes speak of the registry's API, whose paths begin with ``/v2``.
    """
    text = prefix.rstrip("/")
    is_registry = text.lower().startswith("oci://")
    if is_registry:
        text = f"{url.scheme}://{text[6:]}"
    try:
        base = admit(text, UrlRules(allow_http=True, allow_loopback=True))
    except Denied:
        return False
    path = url.path.removeprefix("/v2") if is_registry else url.path
    below = base.path.rstrip("/")
    return base.origin == url.origin and (path.rstrip("/") == below or path.startswith(f"{below}/"))


def _host_and_port(url: str, authority: str, scheme: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?", authority)
    host = match[1].lower().rstrip(".") if match else ""
    port = int(match[2]) if match and match[2] else _PORTS[scheme]
    if not _HOST.fullmatch(host) or not 0 < port < 65536:
        raise _denied(url, "has no valid host and port")
    return host, port


def _check_path(url: str, path: str) -> None:
    decoded = unquote(path)
    if _HIDDEN.search(decoded):
        raise _denied(url, "hides a control character or a backslash in percent-encoding")
    if {".", ".."} & set(decoded.split("/")):
        raise _denied(url, "has a path segment '.' or '..'")


def _denied(url: str, problem: str) -> Denied:
    return Denied(f"URL {redact(url.partition('?')[0])[:200]!r} {problem}")
