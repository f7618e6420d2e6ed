"""Mirrors against a real sshd on loopback: keys, known hosts, and what is said when they do not fit."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from fleet.errors import BadInput, Denied, Transient
from fleet.git.mirrors import Mirrors
from fleet.git.settings import GitSettings, RepositoryAccess
from fleet.testing.repos import RepoBuilder


@dataclass(frozen=True, slots=True, kw_only=True)
class Sshd:
    port: int
    host_key: str
    """As it stands in known_hosts, without the host."""
    fingerprint: str
    folder: Path

    def url(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if not program:
        pytest.skip("needs sshd (package openssh-server)")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user", "stranger"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
        )
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = {
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "ListenAddress": "127.0.0.1",
    }
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    words = [program, "-D", "-e", "-f", "/dev/null", "-p", str(port)]
    words += [f"-o{name}={value}" for name, value in options.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stderr=log)
        try:
            _wait_for(port, process, folder / "log")
            host_key = (folder / "host.pub").read_text().rsplit(" ", 1)[0]
            printed = subprocess.check_output(["ssh-keygen", "-lf", folder / "host.pub"], text=True)
            fingerprint = printed.split()[1]
            yield Sshd(port=port, host_key=host_key, fingerprint=fingerprint, folder=folder)
        finally:
            process.terminate()
            process.wait(5)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + 10
    while time.monotonic() < ends and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    pytest.skip(f"sshd does not start here: {log.read_text()[-200:]}")


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    builder = RepoBuilder(tmp_path / "it's a repo" / "fleet.git")
    builder.commit({"a.yaml": "a: 1\n"})
    return builder


Open = Callable[[str | None, str], Mirrors]


@pytest.fixture
async def open_mirrors(tmp_path: Path, sshd: Sshd) -> AsyncIterator[Open]:
    opened: list[Mirrors] = []

    def build(known_hosts: str | None, key: str = "user") -> Mirrors:
        known_hosts_file = tmp_path / "with blank %d known"
        known_hosts_file.write_text(known_hosts or "")
        row = RepositoryAccess(
            url_prefix=sshd.url(Path("/")),
            ssh_key_file=sshd.folder / key,
            known_hosts_file=None if known_hosts is None else known_hosts_file,
        )
        settings = GitSettings(
            state=tmp_path / "state", access=(row,), timeout=timedelta(seconds=20)
        )
        opened.append(Mirrors(settings))
        return opened[-1]

    yield build
    for mirrors in opened:
        await mirrors.close()


def known(sshd: Sshd, key: str = "") -> str:
    return f"[127.0.0.1]:{sshd.port} {key or sshd.host_key}\n"


def _canaries(folder: Path) -> list[Path]:
    """Files that a shell would have made: in its home, or where git was started."""
    return [*Path.home().glob("canary*"), *folder.rglob("canary*")]


def quoted(path: Path) -> Path:
    return Path(str(path).replace(" ", "%20"))


async def test_a_known_host_and_a_right_key_work(
    sshd: Sshd, repo: RepoBuilder, open_mirrors: Open
) -> None:
    mirrors = open_mirrors(known(sshd), "user")
    url = sshd.url(quoted(repo.path))
    assert await mirrors.resolve(url, "main") == repo.head()
    pushed = repo.commit({"a.yaml": "a: 2\n"})
    assert await mirrors.fetch(url) is True
    assert await mirrors.resolve(url, "main") == pushed


async def test_a_wrong_key_is_denied(sshd: Sshd, repo: RepoBuilder, open_mirrors: Open) -> None:
    with pytest.raises(Denied, match="refused the credentials"):
        await open_mirrors(known(sshd), "stranger").fetch(sshd.url(quoted(repo.path)))


async def test_an_unknown_host_key_is_denied_with_its_fingerprint(
    sshd: Sshd, repo: RepoBuilder, open_mirrors: Open
) -> None:
    with pytest.raises(Denied, match="unknown host key") as caught:
        await open_mirrors("", "user").fetch(sshd.url(quoted(repo.path)))
    assert sshd.fingerprint in str(caught.value)
    assert "knownHostsFile" in str(caught.value)


async def test_a_changed_host_key_is_denied(
    sshd: Sshd, repo: RepoBuilder, open_mirrors: Open
) -> None:
    other = (sshd.folder / "stranger.pub").read_text().rsplit(" ", 1)[0]
    with pytest.raises(Denied, match="another host key than the known one"):
        await open_mirrors(known(sshd, other), "user").fetch(sshd.url(quoted(repo.path)))


async def test_without_known_hosts_nothing_is_asked(
    sshd: Sshd, repo: RepoBuilder, open_mirrors: Open
) -> None:
    before = (sshd.folder / "log").stat().st_size
    with pytest.raises(Denied, match="no knownHostsFile for 127"):
        await open_mirrors(None, "user").fetch(sshd.url(quoted(repo.path)))
    assert (sshd.folder / "log").stat().st_size == before


@pytest.mark.parametrize("name", ["$(touch${IFS}canary)", "a'b", "a;b", "`x`"])
async def test_a_shell_in_the_path_reaches_the_server_as_text(
    sshd: Sshd, open_mirrors: Open, tmp_path: Path, name: str
) -> None:
    folder = quoted(tmp_path / name)
    with pytest.raises(BadInput, match="was not found"):
        await open_mirrors(known(sshd), "user").fetch(sshd.url(folder))
    assert not _canaries(tmp_path)


async def test_a_server_that_is_gone_is_transient(
    sshd: Sshd, open_mirrors: Open, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    hosts = tmp_path / "hosts"
    hosts.write_text(f"[127.0.0.1]:{port} {sshd.host_key}\n")
    row = RepositoryAccess(
        url_prefix=f"ssh://127.0.0.1:{port}",
        ssh_key_file=sshd.folder / "user",
        known_hosts_file=hosts,
    )
    mirrors = Mirrors(GitSettings(state=tmp_path / "state-gone", access=(row,)))
    try:
        with pytest.raises(Transient, match="cannot be reached"):
            await mirrors.fetch(f"ssh://git@127.0.0.1:{port}/o/r")
    finally:
        await mirrors.close()
