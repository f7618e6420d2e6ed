"""Records in the cluster itself: ConfigMaps of bounded size in the agent's namespace, and a Secret for the identity.

A record stays in the ConfigMap it was first put into as long as there is room; a batch costs one request for each
ConfigMap it touches. Every request names the resource version it builds on: a second agent with the same identity
that writes to the same state is noticed at its first write, and this one stops (``Denied``).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.records import Changes
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Corrupt, Denied
from fleet.kube.errors import AlreadyExists, Conflict, NoNamespace, NotFound
from fleet.kube.port import ClusterPort, Resource

SHARD_LIMIT = 512 * 1024
_LABEL = "gitopsfleet.io/agent-state"
_IDENTITY = "fleet-agent-identity"


@dataclass(slots=True)
class _Shard:
    """One ConfigMap as this agent wrote it last."""

    name: str
    version: str = ""
    """Resource version; empty: not made yet."""
    data: dict[str, str] = field(default_factory=dict)
    unsent: dict[str, str | None] = field(default_factory=dict)
    """What of it the cluster has not confirmed yet; kept where a write fails, so that the next one brings it."""

    @property
    def size(self) -> int:
        return sum(len(key) + len(text.encode()) for key, text in self.data.items())


class KubeRecords:
    """`agents.records.Records` in a cluster."""

    def __init__(self, cluster: ClusterPort, namespace: str, *, limit: int = SHARD_LIMIT) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._limit = limit
        self._shards: list[_Shard] = []
        self._count = 0

    async def load(self) -> dict[str, str]:
        """Read all records; of one that is in two ConfigMaps after a crash, what was written last counts."""
        self._shards = []
        pages = self._cluster.pages(
            await self._resource("ConfigMap"), namespace=self._namespace, selector=_LABEL
        )
        async for page in pages:
            for item in page.items:
                self._shards.append(
                    _Shard(
                        name=str(item["metadata"]["name"]),
                        version=str(item["metadata"]["resourceVersion"]),
                        data=dict(item.get("data") or {}),
                    )
                )
        self._shards.sort(key=lambda shard: shard.name)
        found: dict[str, tuple[int, str]] = {}
        for shard in self._shards:
            for text in shard.data.values():
                header, _, value = text.partition("\n")
                name, _, number = header.rpartition(" ")
                if number.isascii() and number.isdigit():
                    found[name] = max(found.get(name, (0, "")), (int(number), value))
        self._count = max((number for number, _ in found.values()), default=0)
        return {name: value for name, (_, value) in found.items()}

    async def write(self, changes: Changes) -> None:
        """Write a batch, and what an earlier one left behind; new places come before old ones are given up."""
        self._place_all(changes)
        for is_removal in (False, True):
            for shard in self._shards:
                patch = {k: t for k, t in shard.unsent.items() if (t is None) is is_removal}
                if patch:
                    await self._send(shard, patch)
                    for key in patch:
                        del shard.unsent[key]

    async def load_identity(self) -> bytes | None:
        """Read the identity."""
        try:
            found = await self._cluster.get(
                await self._resource("Secret"), self._namespace, _IDENTITY
            )
        except NotFound:
            return None
        text = (found.get("data") or {}).get("identity.json")
        if not isinstance(text, str):
            raise Corrupt(
                f"secret {self._namespace}/{_IDENTITY} holds no identity",
                hint="delete it and join again",
            )
        return base64.b64decode(text)

    async def save_identity(self, data: bytes) -> None:
        """Keep the identity."""
        body = self._body("Secret", _IDENTITY)
        body["data"] = {"identity.json": base64.b64encode(data).decode()}
        resource = await self._resource("Secret")
        try:
            await self._cluster.apply(resource, body, force=True, metadata_only=True)
        except NoNamespace:
            await self._make_namespace()
            await self._cluster.apply(resource, body, force=True, metadata_only=True)

    def _place_all(self, changes: Changes) -> None:
        """Distribute a batch over the ConfigMaps, to be sent."""
        for name, value in changes.items():
            key = _key(name)
            homes = [shard for shard in self._shards if key in shard.data]
            place = None
            if value is not None:
                self._count += 1
                text = f"{name} {self._count}\n{value}"
                place = self._place(key, text, homes)
                place.data[key] = place.unsent[key] = text
            for home in homes:
                if home is not place:
                    del home.data[key]
                    home.unsent[key] = None

    def _place(self, key: str, text: str, homes: list[_Shard]) -> _Shard:
        need = len(key) + len(text.encode())
        for shard in (*homes, *self._shards):
            known = shard.data.get(key)
            used = shard.size - (len(key) + len(known.encode()) if known is not None else 0)
            if used + need <= self._limit:
                return shard
        fresh = _Shard(name=f"fleet-agent-state-{len(self._shards):03d}")
        self._shards.append(fresh)
        return fresh

    async def _send(self, shard: _Shard, patch: Mapping[str, str | None]) -> None:
        resource = await self._resource("ConfigMap")
        if not shard.version:
            await self._create(resource, shard)
            return
        try:
            live = await self._cluster.patch(
                resource,
                self._namespace,
                shard.name,
                {"metadata": {"resourceVersion": shard.version}, "data": dict(patch)},
                metadata_only=True,
            )
        except NotFound:
            # Somebody deleted it; everything that was in it is known here.
            await self._create(resource, shard)
            return
        except Conflict:
            await self._settle(resource, shard, patch)
            return
        shard.version = str(live["metadata"]["resourceVersion"])

    async def _create(self, resource: Resource, shard: _Shard) -> None:
        body = self._body("ConfigMap", shard.name)
        body["data"] = dict(shard.data)
        try:
            live = await self._cluster.create(resource, body)
        except NoNamespace:
            await self._make_namespace()
            live = await self._cluster.create(resource, body)
        except AlreadyExists:
            await self._settle(resource, shard, dict(shard.data))
            return
        shard.version = str(live["metadata"]["resourceVersion"])

    async def _settle(
        self, resource: Resource, shard: _Shard, patch: Mapping[str, str | None]
    ) -> None:
        """The ConfigMap is not as this agent left it: fine if only its metadata changed, or our write got through."""
        live = await self._cluster.get(resource, self._namespace, shard.name)
        data = dict(live.get("data") or {})
        open_keys = patch.keys() | shard.unsent.keys()
        rest = {key: text for key, text in data.items() if key not in open_keys}
        ours = {key: text for key, text in shard.data.items() if key not in open_keys}
        if rest != ours:
            raise Denied(
                f"the state in ConfigMap {self._namespace}/{shard.name} was changed by another writer",
                hint="two agents with one identity may be running; only one may",
            )
        shard.version = str(live["metadata"]["resourceVersion"])
        if data != shard.data:
            live = await self._cluster.patch(
                resource,
                self._namespace,
                shard.name,
                {"metadata": {"resourceVersion": shard.version}, "data": dict(patch)},
                metadata_only=True,
            )
            shard.version = str(live["metadata"]["resourceVersion"])

    async def _make_namespace(self) -> None:
        body: JsonObject = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self._namespace},
        }
        await self._cluster.apply(
            await self._resource("Namespace"), body, manager="gitops-fleet-agent"
        )

    async def _resource(self, kind: str) -> Resource:
        found = (await self._cluster.discovery()).find("", "v1", kind)
        if found is None:
            raise Corrupt(f"the API server does not serve {kind}")
        return found

    def _body(self, kind: str, name: str) -> JsonObject:
        return {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "labels": {_LABEL: "true", "app.kubernetes.io/managed-by": "gitops-fleet"},
            },
        }


def _key(name: str) -> str:
    """A record's key in a ConfigMap: readable, and unique also where the name does not fit."""
    plain = "".join(c if (c.isalnum() and c.isascii()) or c in "-._" else "_" for c in name)
    if plain == name and len(name) <= 200:
        return name
    return f"{plain[:200]}.{hashlib.sha256(name.encode()).hexdigest()[:12]}"
