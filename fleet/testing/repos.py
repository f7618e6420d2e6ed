"""Git repositories for tests, and a server that offers them over HTTP on loopback.

`RepoBuilder` writes a bare repository by ``git fast-import``: one process per commit, any path, any file kind,
fixed dates, so equal content gives equal commit ids. `GitHttpServer` runs git's own ``http-backend`` and can be
told to refuse, redirect, fail or hang. Both need git on PATH.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import os
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

_EPOCH = 1_700_000_000
_NO_CONFIG = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link as the content of a path."""

    target: str


@dataclass(frozen=True, slots=True)
class Executable:
    """An executable file as the content of a path."""

    content: str | bytes


Content = str | bytes | Symlink | Executable | None
"""What a path holds; None removes it."""


class RepoBuilder:
    """A bare repository that grows commit by commit."""

    def __init__(self, path: Path, *, branch: str = "main", object_format: str = "sha1") -> None:
        self.path = path
        self._branch = branch
        self._commits = 0
        path.mkdir(parents=True, exist_ok=True)
        words = ["--quiet", "--bare", "--template=", f"--initial-branch={branch}"]
        self._git("init", *words, f"--object-format={object_format}", ".")

    @property
    def url(self) -> str:
        """The file:// URL."""
        return self.path.resolve().as_uri()

    def commit(
        self,
        files: Mapping[str, Content],
        *,
        branch: str = "",
        message: str = "change",
        replace: bool = False,
        orphan: bool = False,
    ) -> str:
        """Commit changes to some paths (``replace``: to all) and return the commit id.

        ``orphan`` starts a new history, as a force-push would. Path bytes that are not UTF-8 are written with
        surrogate escapes.
        """
        ref = f"refs/heads/{branch or self._branch}"
        parent = "" if orphan else self._resolve(ref)
        self._commits += 1
        text = message.encode()
        lines = [
            f"commit refs/fleet-building\nmark :1\ncommitter Test <test@example.com> {_EPOCH + self._commits} +0000\n".encode(),
            b"data %d\n%s\n" % (len(text), text),
            f"from {parent}\n".encode() if parent else b"",
            b"deleteall\n" if replace else b"",
            *(_change(path, content) for path, content in files.items()),
            b"\nget-mark :1\n",
        ]
        self._git("update-ref", "-d", "refs/fleet-building")
        commit = self._git("fast-import", "--quiet", "--force", stdin=b"".join(lines)).strip()
        self._git("update-ref", ref, commit)
        self._git("update-ref", "-d", "refs/fleet-building")
        return commit

    def head(self, branch: str = "") -> str:
        """The commit id of a branch, or an empty text."""
        return self._resolve(f"refs/heads/{branch or self._branch}")

    def read(self, path: str, at: str = "") -> bytes:
        """Return a file at a commit (default: the head of the main branch)."""
        return self._git("cat-file", "blob", f"{at or self.head()}:{path}").encode(
            "utf-8", "surrogateescape"
        )

    def branch(self, name: str, at: str = "") -> None:
        """Create a branch, or move it, to a commit (default: the head of the main branch)."""
        self._git("update-ref", f"refs/heads/{name}", at or self.head())

    def tag(self, name: str, at: str = "", *, annotated: bool = False) -> None:
        """Create or move a tag."""
        more = ["-a", "-m", name] if annotated else []
        self._git("tag", "--force", *more, name, at or self.head())

    def delete(self, ref: str) -> None:
        """Delete a ref by its full name, for example ``refs/heads/old``."""
        self._git("update-ref", "-d", ref)

    def set_default(self, branch: str) -> None:
        """Make another branch the default one."""
        self._git("symbolic-ref", "HEAD", f"refs/heads/{branch}")

    def _resolve(self, ref: str) -> str:
        return self._git("for-each-ref", "--format=%(objectname)", ref).strip()

    def _git(self, *arguments: str, stdin: bytes = b"") -> str:
        person = {"NAME": "Test", "EMAIL": "test@example.com", "DATE": f"{_EPOCH} +0000"}
        who = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in person.items()
        }
        done = subprocess.run(
            ["git", f"--git-dir={self.path}", *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            cwd=self.path,
            env={**_plain_environ(), **_NO_CONFIG, **who},
        )
        if done.returncode:
            raise RuntimeError(f"git {arguments[0]}: {done.stderr.decode('utf-8', 'replace')}")
        return done.stdout.decode()


def _plain_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


class Failure(Enum):
    """How a server misbehaves."""

    NONE = auto()
    UNAUTHORIZED = auto()
    SERVER_ERROR = auto()
    HANG = auto()
    """Accept the request and never answer."""
    REDIRECT = auto()
    """Answer 302 to `GitHttpServer.redirect_to`."""
    NOT_FOUND = auto()
    ENDLESS = auto()
    """Answer 200 and send bytes that mean nothing, for ever."""


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request that reached the server."""

    method: str
    path: str
    authorization: str


class GitHttpServer:
    """Serves all bare repositories below a folder on a port of its own; use it as ``async with``."""

    def __init__(
        self,
        root: Path,
        *,
        username: str = "",
        password: str = "",
        ssl_context: ssl.SSLContext | None = None,
        writable: bool = False,
    ) -> None:
        self.failure = Failure.NONE
        self.redirect_to = ""
        self.requests: list[SeenRequest] = []
        self.address = ""
        self._root = root
        pair = f"{username}:{password}".encode()
        self._expected = f"Basic {base64.b64encode(pair).decode()}" if password else ""
        self._ssl = ssl_context
        self._writable = writable
        self._runner: web.AppRunner | None = None
        self._arrived = asyncio.Condition()

    def url(self, repository: str) -> str:
        """The URL of a repository by its folder's name."""
        return f"{self.address}/{repository}"

    async def seen(self, count: int) -> None:
        """Wait until that many requests have arrived since the start."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=256 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._ssl).start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"{'https' if self._ssl else 'http'}://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization", "")
        async with self._arrived:
            self.requests.append(SeenRequest(request.method, request.path, authorization))
            self._arrived.notify_all()
        match self.failure:
            case Failure.SERVER_ERROR:
                return web.Response(status=500, text="the server has a problem")
            case Failure.NOT_FOUND:
                return web.Response(status=404)
            case Failure.REDIRECT:
                return web.Response(
                    status=302, headers={"Location": self.redirect_to + request.path_qs}
                )
            case Failure.HANG:
                await asyncio.Event().wait()
            case Failure.ENDLESS:
                return await _endless(request)
            case _:
                pass
        refused = self.failure is Failure.UNAUTHORIZED or not hmac.compare_digest(
            self._expected, authorization if self._expected else ""
        )
        if refused:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        return await self._backend(request)

    async def _backend(self, request: web.Request) -> web.Response:
        process = await asyncio.create_subprocess_exec(
            *(
                "git",
                "-c",
                f"http.receivepack={str(self._writable).lower()}",
                "-c",
                "safe.directory=*",
            ),
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], **_NO_CONFIG, **self._cgi(request)},
        )
        try:
            output, _ = await process.communicate(await request.read())
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        return _cgi_response(output)

    def _cgi(self, request: web.Request) -> dict[str, str]:
        headers = request.headers
        return {
            "GIT_PROJECT_ROOT": str(self._root.resolve()),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": headers.get("Content-Type", ""),
            "HTTP_GIT_PROTOCOL": headers.get("Git-Protocol", ""),
            "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
            "REMOTE_USER": "test",
            "REMOTE_ADDR": "127.0.0.1",
        }


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "application/x-git-upload-pack-advertisement"}
    )
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        await response.write(b"001e# service=git-upload-pack\n0000")
        while True:
            await response.write(b"003b" + b"0" * 40 + b" refs/heads/x\n" * 1)
            await asyncio.sleep(0)
    return response


def _cgi_response(output: bytes) -> web.Response:
    head, _, body = output.partition(b"\r\n\r\n")
    lines = (line.partition(":") for line in head.decode("latin-1").splitlines())
    headers = {name.strip(): value.strip() for name, _, value in lines}
    status = int(headers.pop("Status", "200").split(" ", 1)[0])
    return web.Response(status=status, body=body, headers=headers)


def _change(path: str, content: Content) -> bytes:
    name = _quoted(path)
    match content:
        case None:
            return b"D " + name + b"\n"
        case Symlink(target):
            mode, data = b"120000", os.fsencode(target)
        case Executable(inner):
            mode, data = b"100755", inner.encode() if isinstance(inner, str) else inner
        case str():
            mode, data = b"100644", content.encode()
        case bytes():
            mode, data = b"100644", content
    return b"M %s inline %s\ndata %d\n%s\n" % (mode, name, len(data), data)


def _quoted(path: str) -> bytes:
    raw = path.encode("utf-8", "surrogateescape")
    plain = all(32 < byte < 127 and byte not in b'"\\' for byte in raw)
    return raw if plain else b'"' + b"".join(b"\\%03o" % byte for byte in raw) + b'"'
