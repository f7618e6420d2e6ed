"""An admission webhook that does what a test tells it: let pass, reject, change, or never answer.

    with AdmissionWebhook() as webhook:
        webhook.register(plane, "guard", namespace_label={"guarded": "yes"}, resources=["configmaps"])
        webhook.mode = Mode.REJECT

A real HTTPS server on loopback that a real API server calls; its configuration objects go with it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path

from aiohttp import web

from fleet.codec.jsontypes import JsonObject
from fleet.pki.certificates import PrivateKey, create_ca, issue_server
from fleet.testing.controlplane.plane import ControlPlane
from fleet.testing.served import Served

HOST = "127.0.0.1"
_LIFETIME = timedelta(days=1)
_KINDS = ("validating", "mutating")


class Mode(Enum):
    """What happens to a request."""

    ALLOW = auto()
    REJECT = auto()
    CHANGE = auto()
    """A label ``injected: yes`` is added, or what ``patch`` says is done."""
    HANG = auto()


class AdmissionWebhook(Served):
    """A webhook; a context manager that takes its registrations away."""

    def __init__(self, message: str = "not on a Friday") -> None:
        self.mode = Mode.ALLOW
        self.message = message
        self.patch: list[JsonObject] = []
        """JSON patch operations."""
        self.asked: list[str] = []
        """``OPERATION kind namespace/name`` of every request."""
        now = datetime.now(UTC)
        ca = create_ca("admission test", _LIFETIME, now)
        key = PrivateKey.generate()
        certificate = issue_server(ca, key.public, [HOST], _LIFETIME, now)
        self._ca = ca.certificate.pem()
        self._registered: list[tuple[ControlPlane, str]] = []
        super().__init__(tls=_tls(certificate.pem(), key.pem().decode()))

    def register(
        self,
        plane: ControlPlane,
        name: str,
        *,
        namespaces: Mapping[str, str],
        resources: Sequence[str],
        groups: Sequence[str] = ("",),
        timeout: int = 10,
    ) -> None:
        """Have it asked about resources in namespaces with these labels, both as validating and as mutating."""
        for kind in _KINDS:
            configuration: JsonObject = {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": f"{kind.capitalize()}WebhookConfiguration",
                "metadata": {"name": name},
                "webhooks": [
                    {
                        "name": f"{kind}.{name}.example.com",
                        "clientConfig": {
                            "url": f"https://{HOST}:{self.port}/{kind}",
                            "caBundle": base64.b64encode(self._ca.encode()).decode(),
                        },
                        "rules": [
                            {
                                "apiGroups": list(groups), "apiVersions": ["*"],
                                "operations": ["CREATE", "UPDATE"], "resources": list(resources),
                            }
                        ],
                        "namespaceSelector": {"matchLabels": dict(namespaces)},
                        "failurePolicy": "Fail",
                        "sideEffects": "None",
                        "admissionReviewVersions": ["v1"],
                        "timeoutSeconds": timeout,
                    }
                ],
            }  # fmt: skip
            path = f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations"
            answer = plane.request("POST", path, configuration)
            assert answer.is_success(), answer
            self._registered.append((plane, f"{path}/{name}"))

    def __exit__(self, *error: object) -> None:
        for plane, path in self._registered:
            plane.request("DELETE", path)
        super().__exit__(*error)

    def application(self) -> web.Application:
        """Both kinds of reviews."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        for kind in _KINDS:
            app.router.add_post(f"/{kind}", self._review)
        return app

    async def _review(self, request: web.Request) -> web.Response:
        review = (await request.json())["request"]
        place = f"{review.get('namespace', '')}/{review.get('name', '')}"
        self.asked.append(f"{review['operation']} {review['kind']['kind']} {place}")
        answer: JsonObject = {"uid": review["uid"], "allowed": True}
        is_mutating = request.path == "/mutating"
        match self.mode:
            case Mode.HANG:
                await asyncio.sleep(60)
            case Mode.REJECT if not is_mutating:
                answer |= {"allowed": False, "status": {"code": 403, "message": self.message}}
            case Mode.CHANGE if is_mutating:
                patch = _encoded(self.patch) if self.patch else _injection(review["object"])
                answer |= {"patchType": "JSONPatch", "patch": patch}
            case _:
                pass
        return web.json_response(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        )


def _injection(body: JsonObject) -> str:
    path = "/metadata/labels"
    patch: list[JsonObject] = [{"op": "add", "path": f"{path}/injected", "value": "yes"}]
    if not body["metadata"].get("labels"):
        patch = [{"op": "add", "path": path, "value": {"injected": "yes"}}]
    return _encoded(patch)


def _encoded(patch: list[JsonObject]) -> str:
    return base64.b64encode(json.dumps(patch).encode()).decode()


def _tls(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        file.touch(mode=0o600)
        file.write_text(certificate + key)
        context.load_cert_chain(file)
    return context
