"""Bytes of the agents' listener: bodies in with limits that hold before parsing, blobs and errors out."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

from aiohttp import hdrs, web

from fleet.codec.canonical import Digest
from fleet.errors import FleetError, Transient
from fleet.wire import codec, errors

BODY_SECONDS = 30.0
"""For a whole request body to arrive."""

_REASONS = {
    404: errors.NOT_FOUND,
    405: errors.NOT_FOUND,
    408: "Timeout",
    413: "TooLarge",
    415: "UnsupportedEncoding",
}
_JSON = "application/json"


async def read_body(request: web.Request, limit: int, *, unpacked: int = 0) -> bytes:
    """Return a body of at most ``limit`` bytes, and ``unpacked`` after gzip; raises 408, 413, 415, BadInput."""
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise web.HTTPRequestEntityTooLarge(limit, len(body))
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    match request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower():
        case "identity":
            return bytes(body)
        case "gzip":
            return codec.decompress(bytes(body), limit=unpacked or limit)
        case _:
            raise web.HTTPUnsupportedMediaType


def message(data: bytes, *, etag: str = "") -> web.Response:
    """Answer with JSON."""
    response = web.Response(body=data, content_type=_JSON)
    if etag:
        response.headers[hdrs.ETAG] = f'"{etag}"'
    return response


def blob(request: web.Request, digest: Digest, data: bytes) -> web.Response:
    """Answer with content that is named by its digest."""
    response = web.Response(content_type=_JSON)
    response.headers[hdrs.ETAG] = f'"{digest}"'
    if len(data) >= codec.GZIP_FROM and takes_gzip(request):
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        data = codec.compress(data)
    response.body = data
    return response


async def stream(request: web.Request, parts: AsyncIterator[bytes]) -> web.StreamResponse:
    """Answer with parts as they come, at the pace the other side takes them."""
    response = web.StreamResponse()
    response.content_type = "application/octet-stream"
    packer = zlib.compressobj(1, zlib.DEFLATED, 31) if takes_gzip(request) else None
    if packer is not None:
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    await response.prepare(request)
    async for part in parts:
        if data := packer.compress(part) if packer else part:
            await response.write(data)
    if packer is not None:
        await response.write(packer.flush())
    await response.write_eof()
    return response


def takes_gzip(request: web.Request) -> bool:
    """Whether the agent understands gzip."""
    return "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower()


def failure(error: FleetError) -> web.Response:
    """Answer with an error of ours."""
    response = web.Response(
        status=errors.status_of(error), body=errors.body_of(error), content_type=_JSON
    )
    if isinstance(error, Transient) and error.retry_after is not None:
        response.headers[hdrs.RETRY_AFTER] = str(max(1, round(error.retry_after)))
    return response


def http_failure(error: web.HTTPException) -> web.Response:
    """Answer with an error of HTTP in our form; a wrong method tells no more than a wrong path."""
    status = 404 if error.status == 405 else error.status
    reason = _REASONS.get(error.status, "InvalidRequest")
    text = "not found" if status == 404 else error.reason
    return web.Response(status=status, body=errors.error_body(reason, text), content_type=_JSON)
