"""Watches: a stream of changes after a version, seen through selectors, with bookmarks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from aiohttp import web

from fleet.codec.jsontypes import JsonObject
from fleet.embedded import errors, forms
from fleet.embedded.answers import encoded
from fleet.embedded.forms import Form
from fleet.embedded.lists import Lists, Query
from fleet.embedded.requests import Call
from fleet.embedded.store import Change, Store

_LONGEST = 3600.0
_USUAL = 1800.0
_BATCH = 64 * 1024


class Watches:
    """The watches of one server."""

    def __init__(self, store: Store, lists: Lists, *, bookmark_every: float = 60.0) -> None:
        self._store = store
        self._lists = lists
        self._bookmark_every = bookmark_every
        self._tasks: set[asyncio.Task[None]] = set()

    def break_all(self) -> None:
        """End all streams, as a server does at their time limit."""
        for task in self._tasks:
            task.cancel()

    async def serve(self, call: Call, *, stalled: bool = False) -> web.StreamResponse:
        """Answer a watch; returns when its time is over or the client leaves."""
        query, form = call.query(), call.form
        seconds = min(float(call.number("timeoutSeconds") or _USUAL), _LONGEST)
        stream = self._lines(call, query, form, stalled=stalled)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(call.http)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(seconds):
                    async for data in stream:
                        await response.write(data)
            with contextlib.suppress(ConnectionError):
                await response.write_eof()
        finally:
            self._tasks.discard(task)
        return response

    async def _lines(
        self, call: Call, query: Query, form: Form, *, stalled: bool
    ) -> AsyncIterator[bytes]:
        collection = self._store.collection(call.kind.store_key)
        bookmarks = call.flag("allowWatchBookmarks")
        begin, position = self._beginning(call, query, form)
        if begin is None:
            yield _line(_expired(call.option("resourceVersion")))
            return
        if begin:
            yield begin
        if stalled:
            await asyncio.sleep(_LONGEST)
        due = time.monotonic() + self._bookmark_every
        while True:
            news = collection.news
            changes = collection.log.since(position)
            if changes is None:
                yield _line(_expired(str(position)))
                return
            data = b""
            for change in changes:
                found = as_event(change, query)
                if found is not None:
                    data += encoded(forms.event(*found, call.kind, form)) + b"\n"
                if len(data) > _BATCH:
                    yield data
                    data = b""
            position += len(changes)
            if data:
                yield data
            if bookmarks and time.monotonic() >= due:
                due = time.monotonic() + self._bookmark_every
                yield _line(forms.bookmark(self._store.version, call.kind, form))
            wait = max(due - time.monotonic(), 0.01) if bookmarks else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await news.wait()

    def _beginning(self, call: Call, query: Query, form: Form) -> tuple[bytes | None, int]:
        """What comes before the changes, and the first change's number; None where the version is forgotten."""
        log = self._store.collection(call.kind.store_key).log
        text = call.option("resourceVersion")
        initial = call.flag("sendInitialEvents")
        if text in ("", "0") or initial:
            position = log.position_after(self._store.version)
            data = b""
            if initial or call.option("sendInitialEvents") == "":
                for obj in self._lists.select(call.kind, query):
                    data += encoded(forms.event("ADDED", obj, call.kind, form)) + b"\n"
            if initial and call.flag("allowWatchBookmarks"):
                end = forms.bookmark(self._store.version, call.kind, form, ends_initial=True)
                data += _line(end)
            return data, position
        if not text.isdigit():
            raise errors.bad_request(f"resourceVersion: Invalid value: {text!r}")
        version = int(text)
        if version < log.forgotten:
            return None, 0
        return b"", log.position_after(version)


def as_event(change: Change, query: Query) -> tuple[str, JsonObject] | None:
    """How a change looks through selectors: leaving them is a deletion, entering them an addition."""
    was = change.before is not None and query.takes(change.before)
    if change.type == "DELETED":
        return ("DELETED", change.after) if was or query.takes(change.after) else None
    if query.takes(change.after):
        return ("MODIFIED" if was else "ADDED"), change.after
    if not was or change.before is None:
        return None
    # what leaves a selection is shown as it was, at the version of the change
    version = change.after["metadata"]["resourceVersion"]
    metadata = {**change.before["metadata"], "resourceVersion": version}
    return "DELETED", {**change.before, "metadata": metadata}


def _expired(version: str) -> JsonObject:
    return {"type": "ERROR", "object": errors.gone(f"too old resource version: {version}").status()}


def _line(event: JsonObject) -> bytes:
    return encoded(event) + b"\n"
