"""A whole fleet on this machine: a hub process, agent processes and a fleet repository, over given clusters.

Nothing is faked: the daemons are started as an operator starts them and talked to through their listeners. Tests
judge by the API servers; this module only starts, stops, kills and asks. Synchronous, one caller.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from fleet.codec import canonical, yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.errors import NotReady
from fleet.testing.controlplane.ports import PortLease
from fleet.testing.controlplane.processes import Watchdog
from fleet.wire import api

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_START_SECONDS = 30.0


def wait_until(
    question: Callable[[], T], *, timeout: float = 30.0, what: str = "", poll: float = 0.02
) -> T:
    """Ask until the answer is true and return it; raises NotReady with the last answer."""
    deadline = time.monotonic() + timeout
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise NotReady(
                f"{what or 'a condition'} was not met within {timeout:.0f} s: {answer!r}"
            )
        time.sleep(poll)


class Daemon:
    """One process of ours with its log."""

    def __init__(
        self,
        name: str,
        argv: list[str],
        *,
        log: Path,
        watchdog: Watchdog,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._argv = argv
        self._watchdog = watchdog
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._file: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id; raises NotReady when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise NotReady(f"{self.name} does not run: {self.tail()}")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, **environment: str) -> None:
        """Start it; the log is appended to."""
        self._file = self.log.open("ab")
        self._process = subprocess.Popen(
            self._argv,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**self._environment, **environment},
            start_new_session=True,
        )
        self._watchdog.watch(self._process.pid)

    def stop(self, *, timeout: float = 30.0) -> int:
        """Ask it to stop and wait; returns its exit status."""
        return self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """Kill it at once."""
        self._end(signal.SIGKILL, 10.0)

    def wait(self, *, timeout: float = 60.0) -> int:
        """Wait for it to end by itself."""
        assert self._process is not None
        return self._process.wait(timeout)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP."""
        os.kill(self.pid, number)

    def tail(self, lines: int = 15) -> str:
        """Return the end of the log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def rss_mib(self) -> float:
        """Resident memory in MiB, from /proc."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise NotReady(f"{self.name} has no VmRSS")

    def cpu_seconds(self) -> float:
        """Processor time so far, that of ended children included, from /proc."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(fields[n]) for n in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")

    def _end(self, number: signal.Signals, timeout: float) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.wait(10)
            raise NotReady(
                f"{self.name} did not end within {timeout:.0f} s: {self.tail()}"
            ) from error
        self._watchdog.forget(self._process.pid)
        if self._file is not None:
            self._file.close()
        return status


@dataclass(slots=True)
class Member:
    """A cluster of the estate and the agent in it."""

    name: str
    kubeconfig: Path
    agent: Daemon
    config: Path


@dataclass(slots=True, kw_only=True)
class Estate:
    """The hub, its agents and where they live."""

    folder: Path
    repositories: list[JsonObject]
    """``repositories`` of hub.yaml."""
    hub_settings: JsonObject = field(default_factory=dict)
    """Merged over the hub's settings."""
    agent_settings: JsonObject = field(default_factory=dict)
    """Merged over every agent's settings."""
    environment: Mapping[str, str] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    _hub: Daemon | None = None
    _watchdog: Watchdog | None = None
    _leases: list[PortLease] = field(default_factory=list)
    api_port: int = 0
    agents_port: int = 0

    # the hub

    @property
    def hub(self) -> Daemon:
        """The hub's process."""
        assert self._hub is not None, "start_hub first"
        return self._hub

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def agents_url(self) -> str:
        """The agents' address."""
        return f"https://127.0.0.1:{self.agents_port}"

    @property
    def token_file(self) -> Path:
        """The administrators' token."""
        return self.folder / "hub" / "admin.token"

    def start_hub(self) -> None:
        """Start the hub (again) and wait until it has evaluated the fleet."""
        if self._hub is None:
            self._hub = self._new_hub()
        self._hub.start(**self.environment)
        self.wait_ready()

    def wait_ready(self, *, timeout: float = _START_SECONDS) -> None:
        """Wait until the hub is ready."""

        def is_ready() -> bool:
            if not self.hub.is_running:
                raise NotReady(f"the hub ended: {self.hub.tail()}")
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer,
            ):
                return bool(answer.status == 200)
            return False

        wait_until(is_ready, timeout=timeout, what="the hub's readiness", poll=0.05)

    def call(self, method: str, path: str, kind: type[S], body: msgspec.Struct | None = None) -> S:
        """Call the API; raises NotReady with the hub's error."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}",
            method=method,
            data=msgspec.json.encode(body) if body is not None else None,
            headers={
                "Authorization": f"Bearer {self.token_file.read_text().strip()}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return msgspec.json.decode(answer.read(), type=kind)
        except urllib.error.HTTPError as error:
            raise NotReady(f"{method} {path}: {error.status} {error.read().decode()}") from error

    def apps(self) -> dict[str, api.AppRow]:
        """All applications by ``cluster/name``."""
        rows = self.call("GET", "apps", api.AppList).items
        return {f"{row.cluster}/{row.name}": row for row in rows}

    def wait_good(self, *names: str, timeout: float = 60.0) -> None:
        """Wait until the named targets (none: all there are) are Synced and Healthy."""

        def lacking() -> dict[str, str]:
            rows = self.apps()
            chosen = {name: rows.get(name) for name in names or rows}
            if not chosen:
                return {"": "there are no applications"}
            return {
                name: f"{row.sync}, {row.health}: {row.message}" if row else "absent"
                for name, row in chosen.items()
                if row is None or (row.sync, row.health) != ("Synced", "Healthy")
            }

        deadline = time.monotonic() + timeout
        while missing := lacking():
            if time.monotonic() > deadline:
                raise NotReady(f"not good after {timeout:.0f} s: {missing}")
            time.sleep(0.05)

    def push(self, repo_url: str) -> None:
        """Tell the hub, as a forge would, that a repository has news."""
        body = canonical.canonical_bytes(
            {"ref": "refs/heads/main", "repository": {"clone_url": repo_url}}
        )
        request = urllib.request.Request(
            f"{self.url}/webhook",
            method="POST",
            data=body,
            headers={"X-GitHub-Event": "push", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20):
            pass

    # agents

    def add_cluster(
        self, name: str, kubeconfig: Path, *, start: bool = True, **add: object
    ) -> Member:
        """Add a cluster to the hub, join its agent with the token, and start it."""
        asked = api.AddCluster(name=name, **add)  # type: ignore[arg-type]  # labels, server, project
        token = self.call("POST", "clusters", api.JoinInstructions, asked).token
        home = self.folder / name
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "token").write_text(token)
        config = self._agent_config(name, home, kubeconfig)
        argv = [sys.executable, "-P", "-m", "agents"]
        joined = subprocess.run(
            [*argv, "join", "--hub", self.agents_url, "--token-file", str(home / "token"),
             "--config", str(config)],
            capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, **self.environment},
        )  # fmt: skip
        if joined.returncode:
            raise NotReady(f"agent of {name} did not join: {joined.stderr}{joined.stdout}")
        agent = Daemon(
            f"agent of {name}",
            [*argv, "run", "--config", str(config)],
            log=home / "agent.log",
            watchdog=self._watch(),
            environment=self.environment,
        )
        member = self.members[name] = Member(name, kubeconfig, agent, config)
        if start:
            agent.start()
        return member

    def stop(self) -> None:
        """Stop everything."""
        for member in self.members.values():
            member.agent.kill()
        if self._hub is not None:
            self._hub.kill()
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None
        for lease in self._leases:
            lease.release()

    def __enter__(self) -> Estate:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _watch(self) -> Watchdog:
        if self._watchdog is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._watchdog = Watchdog(self.folder)
        return self._watchdog

    def _port(self) -> int:
        lease = PortLease()
        self._leases.append(lease)
        return lease.port

    def _new_hub(self) -> Daemon:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.api_port, self.agents_port = self._port(), self._port()
        settings: JsonObject = {
            "state": str(self.folder / "hub"),
            "externalURL": self.agents_url,
            "agents": {"listen": f"127.0.0.1:{self.agents_port}"},
            "api": {"listen": f"127.0.0.1:{self.api_port}"},
            "repositories": self.repositories,
            "git": {"allowFile": True, "allowHTTP": True},
            "webhook": {"allowUnsigned": True},
            "log": {"level": "info"},
            **self.hub_settings,
        }
        config = self.folder / "hub.yaml"
        config.write_text(yamldoc.dump(settings))
        return Daemon(
            "hub",
            [sys.executable, "-P", "-m", "hub", "run", "--config", str(config)],
            log=self.folder / "hub.log",
            watchdog=self._watch(),
        )

    def _agent_config(self, name: str, home: Path, kubeconfig: Path) -> Path:
        state = {"path": str(home / "state"), **self.agent_settings.get("state", {})}
        settings: JsonObject = {
            "hub": self.agents_url,
            "kubeconfig": str(kubeconfig),
            "tokenFile": str(home / "token"),
            "probes": {"listen": f"127.0.0.1:{self._port()}"},
            **self.agent_settings,
            "state": state,
        }
        config = home / "agent.yaml"
        config.write_text(yamldoc.dump(settings))
        return config
