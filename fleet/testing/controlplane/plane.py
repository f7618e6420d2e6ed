"""One running cluster: what a test asks it, and how a test breaks it.

A ``ControlPlane`` was either started by ``ControlPlanes`` (then it has programs, which may be killed and started, and an
audit log where that was asked for) or given as a context of the user's kubeconfig (then it has neither).
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput, NotReady
from fleet.testing import tools
from fleet.testing.controlplane.access import APPLY_PATCH, JSON, Access, Response

_WAIT = 30.0
_POLL = 0.03


class Machinery(Protocol):
    """What stands behind a cluster that was started here."""

    audit_log: Path | None

    def access_of(self, user: str) -> Access:
        """The credentials of one of the users made at the start."""

    def kill_apiserver(self) -> None:
        """SIGKILL the API server."""

    def start_apiserver(self) -> None:
        """Start the API server on its old port and wait until it is ready."""

    def stop(self) -> None:
        """Kill every program of this cluster."""

    def pids(self) -> Mapping[str, int]:
        """The running programs by name."""


class ControlPlane:
    """One cluster with administrator's access to it."""

    def __init__(
        self, access: Access, kubeconfig: Path, machinery: Machinery | None = None
    ) -> None:
        self.access = access
        self.kubeconfig = kubeconfig
        self._machinery = machinery

    @property
    def name(self) -> str:
        """The name it was started with, or the context's."""
        return self.access.name

    @property
    def server(self) -> str:
        """The API server's address."""
        return self.access.server

    @property
    def token(self) -> str:
        """The administrator's token; empty for a given context that uses client certificates."""
        return self.access.token

    @property
    def ca_file(self) -> Path:
        """The authorities to trust, as PEM."""
        return self.access.ca_file

    @property
    def is_given(self) -> bool:
        """Whether it is the user's own cluster: no audit log, nothing to kill, and objects of others in it."""
        return self._machinery is None

    # asking

    def request(
        self, method: str, path: str, body: JsonValue = None, *, content_type: str = JSON
    ) -> Response:
        """Send one request as the administrator."""
        return self.access.request(method, path, body, content_type=content_type)

    def get(self, path: str) -> JsonObject | None:
        """The object or list at ``path``; None when it is not there, BadInput when the server refuses."""
        answer = self.request("GET", path)
        if answer.status == 404:
            return None
        return self._body(answer, f"get {path}")

    def apply(
        self, path: str, manifest: JsonObject, *, manager: str = "fleet-testing"
    ) -> JsonObject:
        """Server-side apply ``manifest``, whose address is ``path``."""
        target = f"{path}?fieldManager={manager}&force=true"
        return self._body(
            self.request("PATCH", target, manifest, content_type=APPLY_PATCH), f"apply {path}"
        )

    def wait_for(
        self, path: str, is_met: Callable[[JsonObject | None], bool], *, timeout: float = _WAIT
    ) -> JsonObject | None:
        """Read ``path`` until ``is_met`` (None: not there), and return what was read last."""
        deadline = time.monotonic() + timeout
        while not is_met(found := self.get(path)):
            if time.monotonic() > deadline:
                state = json.dumps(found)[:2000]
                raise NotReady(
                    f"cluster {self.name}: {path} is not as expected after {timeout:.0f} s: {state}"
                )
            time.sleep(_POLL)
        return found

    def kubectl(
        self, *arguments: str, stdin: str | None = None, as_user: Path | None = None
    ) -> str:
        """Run kubectl against this cluster and return its standard output; BadInput with its errors when it fails."""
        command = (
            str(tools.find_tools(build=True).kubectl),
            f"--kubeconfig={as_user or self.kubeconfig}",
            *arguments,
        )
        done = subprocess.run(
            command, check=False, input=stdin, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise BadInput(
                f"kubectl {' '.join(arguments)} failed on cluster {self.name}: {done.stderr.strip()}"
            )
        return done.stdout

    def audit_events(self) -> list[JsonObject]:
        """Everything in the audit log so far, oldest first (order of completion)."""
        if self.audit_log is None:
            raise BadInput(f"cluster {self.name} has no audit log; start it with audit=True")
        # the last line may be half written
        lines = self.audit_log.read_text().split("\n")[:-1] if self.audit_log.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def audit_log(self) -> Path | None:
        """The audit log's file, one JSON event a line; None where none was asked for."""
        return self._machinery.audit_log if self._machinery else None

    # being somebody else

    def kubeconfig_of(self, user: str) -> Path:
        """A kubeconfig for one of the users made at the start, such as ``fleet-agent`` or ``developer``."""
        return (
            self._built()
            .access_of(user)
            .write_kubeconfig(self.kubeconfig.with_name(f"user-{user}.kubeconfig"))
        )

    def kubeconfig_of_service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a fresh token of a ServiceAccount, valid for an hour."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        answer = self._body(self.request("POST", path, request), f"token of {namespace}/{name}")
        access = Access(
            name=self.name,
            server=self.server,
            ca_file=self.ca_file,
            token=str(answer["status"]["token"]),
        )
        return access.write_kubeconfig(
            self.kubeconfig.with_name(f"sa-{namespace}-{name}.kubeconfig")
        )

    # breaking it

    def kill_apiserver(self) -> None:
        """SIGKILL the API server; its clients see refused connections."""
        self._built().kill_apiserver()

    def start_apiserver(self) -> None:
        """Start the API server again, on the same port with the same data, and wait until it is ready."""
        self._built().start_apiserver()

    def pids(self) -> Mapping[str, int]:
        """The running programs by name."""
        return self._built().pids()

    def stop(self) -> None:
        """End it; a given cluster is left as it is."""
        if self._machinery:
            self._machinery.stop()

    def _built(self) -> Machinery:
        if self._machinery is None:
            raise BadInput(
                f"cluster {self.name} was given, not started here: it cannot be asked for this"
            )
        return self._machinery

    def _body(self, answer: Response, what: str) -> JsonObject:
        if not answer.is_success():
            message = answer.body.get("message") or answer.body.get("text") or ""
            raise BadInput(f"cluster {self.name} refused to {what}: {answer.status} {message}")
        return answer.body
