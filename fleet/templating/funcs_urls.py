"""Sprig's functions on URLs and paths, by Go's rules for both."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from fleet.templating.errors import GoError
from fleet.templating.functions import Table
from fleet.templating.values import GoValue, from_bytes, kind_name, to_bytes

URLS = Table()
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_PORT = re.compile(r"(?::[0-9]*)?")
_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
_IN_PATH = frozenset(f"{_UNRESERVED}$&+,/:;=@")
_IN_FRAGMENT = _IN_PATH | frozenset("?!()*")
_IN_HOST = frozenset(f"{_UNRESERVED}!$&'()*+,;=:[]<>\"")
_IN_USER = frozenset(f"{_UNRESERVED}$&+,;=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """The parts of a URL, unescaped."""

    scheme: str = ""
    opaque: str = ""
    user: tuple[str, str | None] | None = None
    host: str = ""
    path: str = ""
    query: str = ""
    fragment: str = ""


def parse_url(text: str) -> Url:
    """Read a URL as Go's url.Parse; raises GoError."""
    try:
        return _parse(text)
    except GoError as error:
        raise GoError(f'parse "{text}": {error}') from error


def _parse(text: str) -> Url:
    text, _, fragment = text.partition("#")
    if any(char < " " or char == "\x7f" for char in text):
        raise GoError("net/url: invalid control character in URL")
    found = _SCHEME.match(text)
    if text.startswith(":"):
        raise GoError("missing protocol scheme")
    scheme = found.group(1).lower() if found else ""
    rest, _, query = (text[found.end() :] if found else text).partition("?")
    url = Url(scheme=scheme, query=query, fragment=_unescape(fragment))
    if not rest.startswith("/"):
        if scheme:
            return replace(url, opaque=rest)
        if ":" in rest.partition("/")[0]:
            raise GoError("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        user, host = _authority(authority)
        return replace(url, user=user, host=host, path=_unescape(slash + path))
    return replace(url, path=_unescape(rest))


def _authority(text: str) -> tuple[tuple[str, str | None] | None, str]:
    before, at, host = text.rpartition("@")
    host = _host(host)
    if not at:
        return None, host
    if not set(before) <= _IN_USER | frozenset(":%!*'()@"):
        raise GoError("net/url: invalid userinfo")
    name, colon, password = before.partition(":")
    return (_unescape(name), _unescape(password) if colon else None), host


def _host(text: str) -> str:
    if text.startswith("["):
        end = text.rfind("]")
        if end < 0:
            raise GoError("missing ']' in host")
        port = text[end + 1 :]
    else:
        port = text[text.find(":") :] if ":" in text else ""
    if not _PORT.fullmatch(port):
        raise GoError(f'invalid port "{port}" after host')
    foreign = next((c for c in text if c.isascii() and c not in _IN_HOST and c != "%"), None)
    if foreign is not None:
        raise GoError(f'invalid character "{foreign}" in host name')
    return _unescape(text)


def _unescape(text: str) -> str:
    bad = _BAD_ESCAPE.search(text)
    if bad:
        raise GoError(f'invalid URL escape "{bad.group()}"')
    return from_bytes(unquote_to_bytes(to_bytes(text))) if "%" in text else text


def _escape(text: str, kept: frozenset[str]) -> str:
    return "".join(
        chr(byte) if byte < 0x80 and chr(byte) in kept else f"%{byte:02X}"
        for byte in to_bytes(text)
    )


def _userinfo(user: tuple[str, str | None]) -> str:
    name, password = user
    colon = "" if password is None else f":{_escape(password, _IN_USER)}"
    return _escape(name, _IN_USER) + colon


def format_url(url: Url) -> str:
    """Write a URL as Go's URL.String."""
    text = f"{url.scheme}:" if url.scheme else ""
    if url.opaque:
        text += url.opaque
    else:
        text = _hierarchical(url, text)
    text += f"?{url.query}" if url.query else ""
    return text + (f"#{_escape(url.fragment, _IN_FRAGMENT)}" if url.fragment else "")


def _hierarchical(url: Url, text: str) -> str:
    if url.scheme or url.host or url.user:
        if url.host or url.path or url.user:
            text += "//"
        text += f"{_userinfo(url.user)}@" if url.user else ""
        text += _escape(url.host, _IN_HOST)
    path = url.path if url.path == "*" else _escape(url.path, _IN_PATH)
    if path and not path.startswith("/") and url.host:
        text += "/"
    if not text and ":" in path.partition("/")[0]:
        text = "./"
    return text + path


@URLS.define("urlParse", "string -> map")
def _url_parse(text: str) -> GoValue:
    try:
        url = parse_url(text)
    except GoError as error:
        raise GoError(f"unable to parse url: {error}") from error
    return {
        "scheme": url.scheme,
        "host": url.host,
        "hostname": _hostname(url.host),
        "path": url.path,
        "query": url.query,
        "opaque": url.opaque,
        "fragment": url.fragment,
        "userinfo": _userinfo(url.user) if url.user else "",
    }


def _hostname(host: str) -> str:
    if host.startswith("[") and "]" in host:
        return host[1 : host.index("]")]
    name, colon, port = host.rpartition(":")
    return name if colon and (port.isdigit() or not port) else host


@URLS.define("urlJoin", "map -> string")
def _url_join(parts: dict[str, GoValue]) -> GoValue:
    def part(key: str) -> str:
        value = parts.get(key, "")
        if type(value) is not str:
            found = kind_name(value)
            raise GoError(f"unable to parse {key} key, must be of type string, but {found} found")
        return value

    userinfo = part("userinfo")
    user = parse_url(f"proto://{userinfo}@host").user if userinfo else None
    return format_url(
        Url(
            scheme=part("scheme"),
            host=part("host"),
            path=part("path"),
            query=part("query"),
            opaque=part("opaque"),
            fragment=part("fragment"),
            user=user,
        )
    )


# -- paths


def _clean(path: str) -> str:
    if not path:
        return "."
    rooted = path.startswith("/")
    kept: list[str] = []
    for part in path.split("/"):
        is_up = part == ".."
        if is_up and kept and kept[-1] != "..":
            kept.pop()
        elif part not in ("", ".") and not (is_up and rooted):
            kept.append(part)
    return ("/" if rooted else "") + "/".join(kept) or "."


def _base(path: str) -> str:
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def _ext(path: str) -> str:
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:] if dot >= 0 else ""


URLS.add("base osBase", "string -> string", _base)
URLS.add("clean osClean", "string -> string", _clean)
URLS.add("dir osDir", "string -> string", lambda path: _clean(path[: path.rfind("/") + 1]))
URLS.add("ext osExt", "string -> string", _ext)
URLS.add("isAbs osIsAbs", "string -> bool", lambda path: path.startswith("/"))
