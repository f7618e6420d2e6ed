"""Mirrors against git's own HTTP server: credentials, trust, failures, redirects, shutdown."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fleet.errors import BadInput, Denied, FleetError, Transient
from fleet.git.mirrors import Mirrors
from fleet.git.settings import GitSettings, RepositoryAccess
from fleet.testing.repos import Failure, GitHttpServer, RepoBuilder

CANARY = "canary-s3cret-%40word"

Open = Callable[..., Mirrors]


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    builder = RepoBuilder(tmp_path / "served" / "fleet.git")
    builder.commit({"a.yaml": "a: 1\n"})
    return builder


@pytest.fixture
async def open_mirrors(tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[Mirrors] = []

    def build(**changes: object) -> Mirrors:
        settings = GitSettings(
            state=tmp_path / f"state{len(opened)}", allow_http=True, timeout=timedelta(seconds=20)
        )
        opened.append(Mirrors(replace(settings, **changes)))  # type: ignore[arg-type]  # test rows name fields
        return opened[-1]

    yield build
    for mirrors in opened:
        await mirrors.close()


def access(
    tmp_path: Path, prefix: str, password: str = CANARY, username: str = ""
) -> RepositoryAccess:
    password_file = tmp_path / "password"
    password_file.write_text(f"{password}\n")
    if not username:
        return RepositoryAccess(url_prefix=prefix, password_file=password_file)
    username_file = tmp_path / "username"
    username_file.write_text(username)
    return RepositoryAccess(
        url_prefix=prefix, username_file=username_file, password_file=password_file
    )


async def test_credentials_come_from_files_and_are_read_again(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open
) -> None:
    async with GitHttpServer(repo.path.parent, username="robot", password=CANARY) as server:
        row = access(tmp_path, server.address, "old", "robot")
        mirrors = open_mirrors(access=(row,))
        with pytest.raises(Denied, match="refused the credentials"):
            await mirrors.resolve(server.url("fleet.git"), "main")
        (tmp_path / "password").write_text(CANARY)
        assert await mirrors.resolve(server.url("fleet.git"), "main") == repo.head()
        (tmp_path / "password").unlink()
        with pytest.raises(Denied, match=r"passwordFile .* cannot be read"):
            await mirrors.fetch(server.url("fleet.git"))


async def test_a_token_needs_no_user_name(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open
) -> None:
    async with GitHttpServer(repo.path.parent, username="git", password=CANARY) as server:
        mirrors = open_mirrors(access=(access(tmp_path, server.address),))
        assert await mirrors.resolve(server.url("fleet.git"), "main") == repo.head()


@pytest.mark.parametrize("prefix", ["/other", "/flee", "/fleet.git/below"])
async def test_credentials_of_another_prefix_are_not_sent(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open, prefix: str
) -> None:
    async with GitHttpServer(repo.path.parent, username="git", password=CANARY) as server:
        mirrors = open_mirrors(access=(access(tmp_path, server.address + prefix),))
        with pytest.raises(Denied, match="refused the credentials, or wants some"):
            await mirrors.fetch(server.url("fleet.git"))
        assert {request.authorization for request in server.requests} == {""}


async def test_the_longest_prefix_wins(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open
) -> None:
    async with GitHttpServer(repo.path.parent, username="git", password=CANARY) as server:
        (tmp_path / "wrong").write_text("wrong")
        wide = RepositoryAccess(url_prefix=server.address, password_file=tmp_path / "wrong")
        narrow = access(tmp_path, server.url("fleet"))
        mirrors = open_mirrors(access=(wide, narrow))
        assert await mirrors.fetch(server.url("fleet.git"))


async def test_a_redirect_is_not_followed_and_no_credential_leaks(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open
) -> None:
    async with (
        GitHttpServer(repo.path.parent) as other,
        GitHttpServer(repo.path.parent, username="git", password=CANARY) as server,
    ):
        server.failure, server.redirect_to = Failure.REDIRECT, other.address
        rows = (access(tmp_path, server.address),)
        with pytest.raises(Denied, match="answers with a redirect"):
            await open_mirrors(access=rows).fetch(server.url("fleet.git"))
        assert other.requests == []


async def test_a_password_in_the_url_is_refused_and_not_shown(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    async with GitHttpServer(repo.path.parent) as server:
        url = server.url("fleet.git").replace("://", f"://user:{CANARY}@")
        with pytest.raises(Denied, match="holds a password") as caught:
            await open_mirrors().fetch(url)
        assert CANARY not in str(caught.value)
        assert server.requests == []


FAILURES: list[tuple[Failure, type[FleetError], str]] = [
    (Failure.UNAUTHORIZED, Denied, "refused the credentials"),
    (Failure.SERVER_ERROR, Transient, "cannot be reached: .* 500"),
    (Failure.NOT_FOUND, BadInput, "was not found"),
]


@pytest.mark.parametrize(
    ("failure", "error", "text"), FAILURES, ids=[row[0].name for row in FAILURES]
)
async def test_each_failure_has_its_own_error_and_the_last_good_state_stays(
    tmp_path: Path,
    repo: RepoBuilder,
    open_mirrors: Open,
    failure: Failure,
    error: type[FleetError],
    text: str,
) -> None:
    async with GitHttpServer(repo.path.parent) as server:
        url = server.url("fleet.git")
        mirrors = open_mirrors(access=(access(tmp_path, server.address),))
        await mirrors.fetch(url)
        server.failure = failure
        with pytest.raises(error, match=text) as caught:
            await mirrors.fetch(url)
        assert type(caught.value) is error
        assert CANARY not in str(caught.value)
        assert mirrors.age(url).error is not None
        assert await mirrors.resolve(url, "main") == repo.head()
        server.failure = Failure.NONE
        await mirrors.fetch(url)
        assert mirrors.age(url).error is None
        with pytest.raises(BadInput, match="was not found"):
            await mirrors.fetch(server.url("missing.git"))


async def test_an_unreachable_server_is_transient(open_mirrors: Open, repo: RepoBuilder) -> None:
    async with GitHttpServer(repo.path.parent) as server:
        url = server.url("fleet.git")
    with pytest.raises(Transient, match="cannot be reached"):
        await open_mirrors().fetch(url)
    with pytest.raises(Transient, match="cannot be reached"):
        await open_mirrors().fetch("https://no-such-host.invalid/o/r")


@pytest.mark.parametrize("failure", [Failure.HANG, Failure.ENDLESS])
async def test_a_server_that_never_ends_is_cut_at_the_deadline(
    repo: RepoBuilder, open_mirrors: Open, failure: Failure
) -> None:
    async with GitHttpServer(repo.path.parent) as server:
        url = server.url("fleet.git")
        mirrors = open_mirrors(timeout=timedelta(seconds=1), clone_timeout=timedelta(seconds=1))
        server.failure = failure
        began = time.monotonic()
        with pytest.raises(Transient, match="did not answer within 1 s"):
            await mirrors.fetch(url)
        assert time.monotonic() - began < 5
        server.failure = Failure.NONE
        assert await mirrors.fetch(url) is True
    assert _left_behind() == []


async def test_a_helper_dies_with_a_git_process_that_was_killed(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    async with GitHttpServer(repo.path.parent) as server:
        server.failure = Failure.HANG
        mirrors = open_mirrors()
        fetching = asyncio.create_task(mirrors.fetch(server.url("fleet.git")))
        await server.seen(1)
        processes = {pid: _words(pid) for pid in _git_children()}
        (leader,) = (pid for pid, words in processes.items() if words[1:2] == [b"fetch"])
        assert len(processes) >= 2, "git has a helper"
        began = time.monotonic()
        os.kill(int(leader), signal.SIGKILL)
        with pytest.raises(Transient, match="cannot be reached"):
            await fetching
        assert time.monotonic() - began < 10, "not only at the deadline"
        assert _left_behind() == []
        server.failure = Failure.NONE
        assert await mirrors.fetch(server.url("fleet.git")) is True


async def test_a_hanging_repository_does_not_delay_another(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    RepoBuilder(repo.path.parent / "good.git").commit({"x": "y"})
    async with GitHttpServer(repo.path.parent) as bad, GitHttpServer(repo.path.parent) as good:
        bad.failure = Failure.HANG
        mirrors = open_mirrors()
        hanging = asyncio.create_task(mirrors.fetch(bad.url("fleet.git")))
        assert await mirrors.resolve(good.url("good.git"), "main")
        assert not hanging.done()
        await mirrors.close()
        with pytest.raises(Transient):
            await hanging
    assert _left_behind() == []


async def test_a_cancelled_caller_does_not_spoil_the_others(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    async with GitHttpServer(repo.path.parent) as server:
        mirrors = open_mirrors()
        url = server.url("fleet.git")
        first = asyncio.create_task(mirrors.fetch(url))
        second = asyncio.create_task(mirrors.fetch(url))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert await mirrors.resolve(url, "main") == repo.head()


async def test_no_secret_is_in_argv_environment_or_state(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open
) -> None:
    async with GitHttpServer(repo.path.parent, username="git", password=CANARY) as server:
        mirrors = open_mirrors(access=(access(tmp_path, server.address),))
        await mirrors.fetch(server.url("fleet.git"))
        server.failure = Failure.HANG
        fetching = asyncio.create_task(mirrors.fetch(server.url("fleet.git")))
        seen = len(server.requests)
        await server.seen(seen + 1)
        texts = [
            (Path("/proc") / process / kind).read_bytes()
            for process in _git_children()
            for kind in ("cmdline", "environ")
        ]
        assert len(texts) >= 4, "git and its helper were looked at"
        assert all(CANARY.encode() not in text for text in texts)
        await mirrors.close()
        with pytest.raises(Transient):
            await fetching
    files = [path for path in (tmp_path / "state0").rglob("*") if path.is_file()]
    assert files
    assert all(CANARY.encode() not in path.read_bytes() for path in files)


async def test_tls_is_verified_against_the_given_ca(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open
) -> None:
    certificate, key = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with GitHttpServer(repo.path.parent, ssl_context=context) as server:
        url = server.url("fleet.git")
        with pytest.raises(Denied, match="certificate that is not trusted"):
            await open_mirrors().fetch(url)
        trusting = RepositoryAccess(url_prefix=server.address, ca_file=certificate)
        assert await open_mirrors(access=(trusting,)).fetch(url)
        careless = RepositoryAccess(url_prefix=server.address, insecure=True)
        assert await open_mirrors(access=(careless,)).fetch(url)


def _self_signed(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "server.crt", folder / "server.key"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]
    words += ["-days", "2", "-subj", "/CN=git", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*words, "-keyout", key, "-out", certificate], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("needs openssl")
    return certificate, key


def _left_behind() -> list[str]:
    """Git processes that are still there after the moment that the kernel needs to end one."""
    ends = time.monotonic() + 2
    while (found := _git_children()) and time.monotonic() < ends:
        time.sleep(0.01)
    return found


def _words(process: str) -> list[bytes]:
    return Path("/proc", process, "cmdline").read_bytes().split(b"\0")


def _git_children() -> list[str]:
    """Ids of the git processes below this one, helpers too (not those of the test's server)."""
    found = []
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            words = (path / "cmdline").read_bytes()
            environ = (path / "environ").read_bytes()
        except OSError:
            continue
        if words and b"FLEET" not in words and b"GIT_HTTP_USER_AGENT=gitops-fleet" in environ:
            found.append(path.name)
    return found
