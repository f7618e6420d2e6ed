"""The client that all providers share: JSON with paging, entity tags, rate limits, and errors that say what to do.

What is no JSON is a failure, also with status 200: a maintenance page must never look like an empty list.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from fleet.codec.canonical import decode
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput, Denied, Transient
from fleet.fetch.http import Answer, Get, Http
from fleet.fetch.settings import ChartAccess
from fleet.fetch.urls import FetchUrl, admit, follow, is_below
from fleet.model.answers import NOT_FOUND
from fleet.runtime.clock import Clock

PAGE_BYTES = 16 * 1024 * 1024
MAX_PAGES = 1000
ANSWER_BYTES = 128 * 1024 * 1024
"""Of all pages of one list."""
_MARK = b"\xef\xbb\xbf"
_JUDGED = frozenset({200, 203, 204, 304, 401, 403, 404, 410, 429})
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?next"?')


class NotFound(BadInput):
    """The server is there and does not know what was asked for."""

    reason = NOT_FOUND


@dataclass(slots=True)
class Pages:
    """Answers by URL with their entity tags, up to a number of bytes; what was used longest ago goes first."""

    limit: int = 32 * 1024 * 1024
    _held: OrderedDict[tuple[str, str], tuple[str, Answer]] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def tag(self, key: tuple[str, str]) -> str:
        """Return the tag of what is held; empty without."""
        return self._held[key][0] if key in self._held else ""

    def get(self, key: tuple[str, str]) -> Answer | None:
        """Return what is held."""
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][1]

    def put(self, key: tuple[str, str], tag: str, answer: Answer) -> None:
        """Hold an answer."""
        old = self._held.pop(key, None)
        self._bytes += len(answer.body) - (len(old[1].body) if old else 0)
        self._held[key] = (tag, answer)
        while self._bytes > self.limit:
            _, (_, dropped) = self._held.popitem(last=False)
            self._bytes -= len(dropped.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One API, with the credentials for it."""

    http: Http
    clock: Clock
    pages: Pages
    base: FetchUrl
    headers: Mapping[str, str] = field(default_factory=dict)
    account: str = ""
    """Tells credentials apart without showing them, so that what one may see is not held for another."""
    access: ChartAccess | None = None
    """Trust for the host."""

    def url(self, path: str, query: Mapping[str, str] | None = None) -> FetchUrl:
        """Make an URL of the API; ``path`` is quoted already (`quoted`)."""
        text = f"{self.base.origin}{self.base.path.rstrip('/')}/{path}"
        return admit(f"{text}?{urlencode(query)}" if query else text, self.http.rules)

    async def get(self, url: FetchUrl, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Get an URL, cheaply where nothing changed; raises NotFound, Denied, Transient or BadInput."""
        key = (str(url), self.account)
        tag = self.pages.tag(key)
        conditional = {"If-None-Match": tag} if tag else {}
        answer = await self._send(url, {**self.headers, **(headers or {}), **conditional})
        if answer.status == 304:
            held = self.pages.get(key)
            if held is None:
                raise Transient(f"{url.shown!r} answers 304 to what was never asked")
            return held
        if tag := answer.headers.get("etag", ""):
            self.pages.put(key, tag, answer)
        return answer

    async def post(self, url: FetchUrl, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body, which asks only."""
        return await self._send(url, {**self.headers, **headers}, body=body)

    async def _send(
        self, url: FetchUrl, headers: Mapping[str, str], *, body: bytes | None = None
    ) -> Answer:
        answer = await self.http.get(
            Get(
                url=url,
                limit=PAGE_BYTES,
                access=self.access,
                headers=headers,
                send_credentials=False,
                accept=_JUDGED | {400} if body is not None else _JUDGED,
                body=body,
            )
        )
        judge(answer, self.clock)
        return answer

    async def json(self, path: str, query: Mapping[str, str] | None = None) -> JsonObject:
        """Get one object."""
        answer = await self.get(self.url(path, query))
        return as_object(parsed(answer), answer.url)

    async def exists(self, path: str, query: Mapping[str, str] | None = None) -> bool:
        """Tell whether something is there; only a clear no is a no."""
        try:
            parsed(await self.get(self.url(path, query)))
        except NotFound:
            return False
        return True

    async def linked(
        self, path: str, query: Mapping[str, str] | None = None
    ) -> AsyncIterator[JsonObject]:
        """Go through lists whose ``Link`` header names the next page."""
        url: FetchUrl | None = self.url(path, query)
        count = size = 0
        for _ in range(MAX_PAGES):
            if url is None:
                return
            answer = await self.get(url)
            size = _added(size, answer)
            items = as_list(parsed(answer), answer.url)
            for item in items:
                yield item
            count += len(items)
            total = answer.headers.get("x-total-count", answer.headers.get("x-total", ""))
            url = self._next(answer, _NEXT.search(answer.headers.get("link", "")))
            if url is None and total.isdecimal() and int(total) > count:
                raise Transient(f"{answer.url.shown!r} gave {count} of {total} items")
        raise too_long(self.base)

    async def paged(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        items: str,
        more: Callable[[JsonObject, Answer], Mapping[str, str] | str | None],
    ) -> AsyncIterator[JsonObject]:
        """Go through objects that hold a list; ``more`` gives the next page's URL or query, or None at the end."""
        url, size = self.url(path, query), 0
        for _ in range(MAX_PAGES):
            answer = await self.get(url)
            size = _added(size, answer)
            page = as_object(parsed(answer), answer.url)
            if items not in page:
                raise strange(answer.url, f"it has no {items!r}")
            for item in as_list(page[items], answer.url):
                yield item
            following = more(page, answer)
            if following is None:
                return
            url = (
                self._below(answer, following)
                if isinstance(following, str)
                else self.url(path, {**query, **following})
            )
        raise too_long(self.base)

    def _next(self, answer: Answer, found: re.Match[str] | None) -> FetchUrl | None:
        return self._below(answer, found[1]) if found else None

    def _below(self, answer: Answer, reference: str) -> FetchUrl:
        """Admit a link to another page: it gets the credentials, so it must stay with the API."""
        url = follow(answer.url, reference, self.http.rules)
        if not is_below(url, self.base.origin):
            raise Denied(f"{answer.url.shown!r} names another host for its next page")
        return url


def _added(size: int, answer: Answer) -> int:
    """Return the size of all pages so far; raises BadInput when they are too large."""
    size += len(answer.body)
    if size > ANSWER_BYTES:
        raise BadInput(f"{answer.url.shown!r} gives more than {ANSWER_BYTES} bytes of pages")
    return size


def quoted(*parts: str) -> str:
    """Quote the parts of a path, slashes in them included."""
    return "/".join(quote(part, safe="") for part in parts)


def quoted_path(path: str) -> str:
    """Quote a file's path and leave its slashes."""
    return "/".join(quote(part, safe="") for part in path.split("/"))


def judge(answer: Answer, clock: Clock) -> None:
    """Raise what a status means."""
    status, shown = answer.status, answer.url.shown
    if status in (200, 204, 304, 400):
        return
    if status in (403, 429):
        wait = _rate_limited(answer, clock)
        if wait is not None:
            raise Transient(
                f"{shown!r} has had its limit of requests", retry_after=wait, hint="use a token"
            )
    if status == 429:
        raise Transient(f"{shown!r} answers 429")
    if status in (404, 410):
        raise NotFound(
            f"{shown!r} was not found", hint="check the name, and what the token may see"
        )
    raise Denied(
        f"{shown!r} refused the token, or wants one (status {status})",
        hint="name the file of its token under scm.tokens in the hub's settings",
    )


def _rate_limited(answer: Answer, clock: Clock) -> float | None:
    """Return the seconds to wait; None where it is no matter of limits."""
    headers = answer.headers
    after = headers.get("retry-after", "")
    if after.isdecimal() and len(after) < 8:
        return float(after)
    for prefix in ("x-ratelimit-", "ratelimit-"):
        reset = headers.get(f"{prefix}reset", "")
        if headers.get(f"{prefix}remaining", "") == "0" and reset.isdecimal() and len(reset) < 12:
            return max(1.0, float(reset) - clock.now().timestamp())
    return None


def parsed(answer: Answer) -> JsonValue:
    """Read a body as JSON; raises Transient where it is something else: also NaN, and halves of characters."""
    try:
        return decode(answer.body.removeprefix(_MARK))
    except BadInput as error:
        raise strange(answer.url, "it is no JSON") from error


def as_object(value: JsonValue, url: FetchUrl) -> JsonObject:
    """Return an object; raises Transient."""
    if not isinstance(value, dict):
        raise strange(url, "it is no object")
    return value


def as_list(value: JsonValue, url: FetchUrl) -> list[JsonObject]:
    """Return a list of objects; raises Transient."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise strange(url, "it is no list of objects")
    return value


def strange(url: FetchUrl, what: str) -> Transient:
    """The error for an answer that cannot be understood."""
    return Transient(f"{url.shown!r} answers something unexpected: {what}")


def too_long(url: FetchUrl) -> BadInput:
    """The error for a list without an end."""
    return BadInput(f"{url.shown!r} gives more than {MAX_PAGES} pages")


def text(item: JsonObject, *path: str) -> str:
    """Return a text or number in an item; raises Transient where it is not there."""
    value: JsonValue = item
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Transient(f"an answer lacks {'.'.join(path)}")
    return str(value)


def maybe(item: JsonObject, *path: str) -> str:
    """Return a text in an item; empty where it is not there."""
    try:
        return text(item, *path)
    except Transient:
        return ""


def texts(value: JsonValue) -> list[str]:
    """Return the texts of a list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def names(value: JsonValue) -> list[str]:
    """Return the names of a list of objects."""
    items = value if isinstance(value, list) else []
    return texts([item.get("name") for item in items if isinstance(item, dict)])
