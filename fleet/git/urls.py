"""Repository URLs: which ones are admitted, and when two of them name the same repository.

Accepted are ``https://``, ``ssh://``, the scp form ``user@host:path``, and ``http://`` and ``file://`` where
settings say so. Everything that git, ssh or curl could read as something else (an option, another helper, a
second host, a path that climbs) is refused here, before any process sees it: security.md rows 21-24, 30.
Pure: resolves no names, opens nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from fleet.codec.redaction import redact
from fleet.errors import Denied
from fleet.model.addresses import host_refusal

__all__ = ["RepositoryUrl", "canonical", "is_below", "parse", "redact", "same_repository"]

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/]*)(?P<path>/.*)?")
_SCP = re.compile(
    r"(?:(?P<user>[^@:/]+)@)?(?P<host>[^@:/\[\]]+|\[[0-9A-Fa-f:.]+\]):(?P<path>[^:].*)"
)
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_BAD_CHARACTERS = re.compile(r"[\x00-\x20\x7f-\x9f\\?#\u2028\u2029]")
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029]")
_DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22}
_MAX_LENGTH = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryUrl:
    """An admitted URL in its parts; ``str()`` gives what git is called with, free of secrets."""

    scheme: str
    user: str
    host: str
    port: int
    """0 = the default of the scheme."""
    path: str
    """Begins with a slash; as written, so still percent-encoded."""
    relative: bool = False
    """Written in the scp form with a path relative to the user's home, which ``ssh://`` cannot say."""

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        if self.relative:
            return f"{user}{self.host}:{self.path[1:]}"
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{user}{self.host}{port}{self.path}"

    @property
    def key(self) -> str:
        """One text for all spellings: no ``.git``, no trailing slash; the same key, the same mirror."""
        user = f"{self.user}@" if self.user else ""
        home = "/~" if self.relative else ""
        return self.origin.replace("://", f"://{user}", 1) + home + _bare_path(self.path)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.host}{f':{self.port}' if self.port else ''}"


def parse(url: str, *, allow_file: bool = False, allow_http: bool = False) -> RepositoryUrl:
    """Admit a repository URL; raises Denied with what is wrong and what to write instead."""
    if not url or len(url) > _MAX_LENGTH:
        raise Denied(f"repository URL is {'longer than 2048 characters' if url else 'empty'}")
    if _BAD_CHARACTERS.search(url) or not url.isprintable():
        raise _denied(url, "holds a blank, a character that cannot be seen, or one of \\ ? #")
    if url.startswith("-"):
        raise _denied(url, "starts with a dash")
    if match := _URL.fullmatch(url):
        return _parse_url(url, match, allow_file=allow_file, allow_http=allow_http)
    if "://" not in url and "::" not in url and (match := _SCP.fullmatch(url)):
        path = "/" + match["path"].lstrip("/")
        found = _checked(url, "ssh", match["user"] or "", match["host"], 0, path)
        return replace(found, relative=not match["path"].startswith("/"))
    raise _denied(url, "is not a repository URL", "write https://host/path or ssh://git@host/path")


def canonical(url: str, *, allow_file: bool = True, allow_http: bool = True) -> str:
    """Give the text that identifies a repository; raises Denied."""
    return parse(url, allow_file=allow_file, allow_http=allow_http).key


def same_repository(first: str, second: str) -> bool:
    """Say whether two URLs probably name one repository, over different protocols too.

    A hint (a push event names the https form, an Application uses ssh), never a permission: letter case
    is ignored, and so is the port when the schemes differ. A URL that is not admitted equals none.
    """
    try:
        one, two = (parse(url, allow_file=True, allow_http=True) for url in (first, second))
    except Denied:
        return False
    ports = one.scheme != two.scheme or one.port == two.port
    return ports and one.host == two.host and _loose_path(one) == _loose_path(two)


def is_below(url: RepositoryUrl, prefix: str) -> bool:
    """Say whether a URL lies below a prefix: same scheme, host and port, whole path segments."""
    try:
        base = parse(prefix.rstrip("/") + "/", allow_file=True, allow_http=True)
    except Denied:
        return False
    if base.origin != url.origin or (base.user and base.user != url.user):
        return False
    path, below = _bare_path(base.path), _bare_path(url.path)
    return not path or below == path or below.startswith(f"{path}/")


def _parse_url(
    url: str, match: re.Match[str], *, allow_file: bool, allow_http: bool
) -> RepositoryUrl:
    scheme, authority, path = match["scheme"].lower(), match["authority"], match["path"] or "/"
    if scheme == "file":
        if not allow_file:
            raise _denied(url, "is a local path, which settings do not allow", "set git.allowFile")
        if authority or path == "/":
            raise _denied(url, "is not of the form file:///absolute/path")
        _check_path(url, path)
        return RepositoryUrl(scheme="file", user="", host="", port=0, path=path)
    if scheme == "http" and not allow_http:
        raise _denied(url, "is not encrypted", "use https, or set git.allowHTTP")
    if scheme not in _DEFAULT_PORTS:
        raise _denied(url, f"has the protocol {scheme[:40]!r}", "https and ssh are allowed")
    userinfo, _, hostport = authority.rpartition("@")
    if ":" in userinfo:
        raise _denied(url, "holds a password", "put credentials into files named by access")
    host, port = _split_port(url, hostport, scheme)
    user = unquote(userinfo) if scheme == "ssh" else ""
    return _checked(url, scheme, user, host, port, path)


def _checked(url: str, scheme: str, user: str, host: str, port: int, path: str) -> RepositoryUrl:
    host = host.lower().rstrip(".")
    if not _HOST.fullmatch(host):
        raise _denied(url, "has no valid host name")
    if user and not _USER.fullmatch(user):
        raise _denied(url, "has no valid user name")
    if refusal := host_refusal(host, loopback=True):
        raise _denied(url, refusal)
    _check_path(url, path)
    return RepositoryUrl(scheme=scheme, user=user, host=host, port=port, path=path)


def _split_port(url: str, hostport: str, scheme: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{0,5}))?", hostport)
    if not match or int(match[2] or 0) > 65535:
        raise _denied(url, "has no valid host and port")
    port = int(match[2] or 0)
    return match[1], 0 if port == _DEFAULT_PORTS[scheme] else port


def _check_path(url: str, path: str) -> None:
    decoded = unquote(path)
    if _HIDDEN.search(decoded) or not decoded.isprintable():
        raise _denied(
            url, "hides a character that cannot be seen, or a backslash, in percent-encoding"
        )
    if decoded.count("/") != path.count("/"):
        raise _denied(url, "hides a slash in percent-encoding")
    if {".", ".."} & set(decoded.split("/")):
        raise _denied(url, "has a path segment '.' or '..'")
    if decoded.lstrip("/").startswith("-"):
        raise _denied(url, "has a path that starts with a dash")


def _bare_path(path: str) -> str:
    return path.rstrip("/").removesuffix(".git").rstrip("/")


def _loose_path(url: RepositoryUrl) -> str:
    return unquote(_bare_path(url.path)).casefold()


def _denied(url: str, problem: str, hint: str = "") -> Denied:
    return Denied(f"repository URL {redact(url)[:200]!r} {problem}", hint=hint)
