"""The programs and files of one cluster that was started here.

The order is: files, API server until it says ready, kubeconfigs (the API server makes its own certificate authority), then
the controller manager, scheduler and KWOK, until each has made what shows that it works.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from fleet.errors import BadInput, NotReady, Transient
from fleet.testing.controlplane import arguments, settings
from fleet.testing.controlplane.access import Access
from fleet.testing.controlplane.binaries import Binaries
from fleet.testing.controlplane.ports import PortLease
from fleet.testing.controlplane.processes import Program, Watchdog
from fleet.testing.controlplane.settings import Options

_START = 90.0
_TRIES = 3


class StartedCluster:
    """One cluster's programs; the ``Machinery`` of a ``ControlPlane``."""

    def __init__(
        self, name: str, options: Options, *, folder: Path, binaries: Binaries, watchdog: Watchdog
    ) -> None:
        self.name = name
        self.kubeconfig = folder / "kubeconfig"
        self.audit_log = folder / "audit.log" if options.audit else None
        self.is_stopped = False
        self._options = options
        self._folder = folder
        self._binaries = binaries
        self._watchdog = watchdog
        self._tokens = settings.new_tokens(options)
        self._lease = PortLease()
        self._apiserver = self._new_apiserver()
        self._followers: list[Program] = []

    def access_of(self, user: str) -> Access:
        """The credentials of one of the users made at the start."""
        if user not in self._tokens:
            raise BadInput(
                f"cluster {self.name} has no user {user}; it has {', '.join(sorted(self._tokens))}"
            )
        return Access(
            name=self.name,
            server=f"https://127.0.0.1:{self._lease.port}",
            ca_file=settings.ca_file(self._folder),
            token=self._tokens[user],
        )

    def start(self) -> None:
        """Write the files, start everything and wait until it works."""
        self._write_files()
        self._start_apiserver_on_some_port()
        self._write_kubeconfigs()
        self._start_followers()
        self._wait_for_followers()

    def kill_apiserver(self) -> None:
        """SIGKILL the API server."""
        self._apiserver.kill()

    def start_apiserver(self) -> None:
        """Start the API server on its old port and wait until it is ready."""
        if self._apiserver.is_running():
            return
        self._apiserver.start()
        self._apiserver.wait_until(self._is_ready, timeout=_START)

    def stop(self) -> None:
        """Kill every program; may be called twice."""
        if self.is_stopped:
            return
        self.is_stopped = True
        for program in (*self._followers, self._apiserver):
            program.kill()
        self._lease.release()

    def pids(self) -> Mapping[str, int]:
        """The running programs by name."""
        programs = (self._apiserver, *self._followers)
        return {program.name: program.pid for program in programs if program.pid is not None}

    def _new_apiserver(self) -> Program:
        argv = arguments.apiserver(
            self._binaries,
            self._folder,
            etcd=self._folder.parent / "etcd" / "client.sock",
            port=self._lease.port,
            options=self._options,
        )
        return self._program("kube-apiserver", argv)

    def _program(self, name: str, argv: Iterable[str]) -> Program:
        return Program(name, tuple(argv), log=self._folder / f"{name}.log", watchdog=self._watchdog)

    def _write_files(self) -> None:
        files = {
            "tokens.csv": settings.token_file(self._tokens, self._options),
            "service-accounts.key": settings.signing_key(),
            "audit-policy.json": json.dumps(settings.audit_policy()),
            "scheduler.json": settings.scheduler_config(self._folder),
        }
        if self._options.pods:
            files["stages.yaml"] = settings.kwok_config(
                self._binaries.stages, self._options.ready_delay
            )
        for name, text in files.items():
            (self._folder / name).write_text(text)

    def _start_apiserver_on_some_port(self) -> None:
        for attempt in range(1, _TRIES + 1):
            self._apiserver.start()
            try:
                self._apiserver.wait_until(self._is_ready, timeout=_START)
            except NotReady as error:
                self._apiserver.kill()
                if "address already in use" not in str(error) or attempt == _TRIES:
                    raise
                self._lease.release()
                self._lease = PortLease()
                self._apiserver = self._new_apiserver()
            else:
                return

    def _is_ready(self) -> bool:
        access = self.access_of(settings.ADMIN)
        try:  # the certificate is written before the port listens, but not at the very start
            return access.ca_file.exists() and access.request("GET", "/readyz").is_success()
        except (Transient, OSError):
            return False

    def _write_kubeconfigs(self) -> None:
        self.access_of(settings.ADMIN).write_kubeconfig(self.kubeconfig)
        users = {
            "controllers": settings.CONTROLLERS,
            "scheduler": settings.SCHEDULER,
            "kubelet": settings.KUBELET,
        }
        for name, user in users.items():
            self.access_of(user).write_kubeconfig(self._folder / f"{name}.kubeconfig")

    def _start_followers(self) -> None:
        binaries, folder = self._binaries, self._folder
        if self._options.controllers or self._options.pods:
            argv = arguments.controller_manager(binaries, folder)
            self._followers.append(self._program("kube-controller-manager", argv))
        if self._options.pods:
            self._followers.append(
                self._program("kube-scheduler", arguments.scheduler(binaries, folder))
            )
            self._followers.append(self._program("kwok", arguments.kwok(binaries, folder)))
        for program in self._followers:
            program.start()

    def _wait_for_followers(self) -> None:
        admin = self.access_of(settings.ADMIN)
        if self._options.pods:
            admin.request("POST", "/api/v1/nodes", settings.node())
        for program in self._followers:
            path = _SIGN_OF_LIFE.get(program.name)
            if path is not None:
                program.wait_until(partial(_is_there, admin, path), timeout=_START)


_SIGN_OF_LIFE = {
    "kube-controller-manager": "/api/v1/namespaces/default/serviceaccounts/default",
    "kwok": "/api/v1/nodes/node-1",
}
"""What a program makes once it works."""


def _is_there(access: Access, path: str) -> bool:
    answer = access.request("GET", path)
    if not answer.is_success():
        return False
    if answer.body.get("kind") != "Node":
        return True
    conditions = answer.body.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
