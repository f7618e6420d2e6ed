"""What the controllers of a real cluster put into every new namespace: its default ServiceAccount and the cluster's CA."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.api import Api
from fleet.embedded.conform import Write
from fleet.embedded.errors import Refusal
from fleet.embedded.store import Change

_MANAGER = "kube-controller-manager"
_NAMESPACES = ("", "namespaces")


class Inhabitants:
    """Furnishes namespaces as they come."""

    def __init__(self, api: Api, ca_pem: str) -> None:
        self._api = api
        self._ca_pem = ca_pem
        api.store.listeners.append(self._note)

    def _note(self, change: Change) -> None:
        if change.key != _NAMESPACES or change.type != "ADDED":
            return
        name = change.after["metadata"]["name"]
        self._put("serviceaccounts", name, {"metadata": {"name": "default"}})
        certificate = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": self._ca_pem}}
        self._put("configmaps", name, certificate)

    def _put(self, plural: str, namespace: str, body: JsonObject) -> None:
        kind = self._api.kinds.at("", "v1", plural)
        if kind is None:
            return
        try:
            self._api.create(kind, namespace, body, Write(manager=_MANAGER))
        except Refusal:
            return  # it is there already
