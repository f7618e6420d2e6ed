"""Foretells what an apply would make of a live object: by a dry run, and where the cluster refuses one, structurally."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from prometheus_client import Counter

from agents.apply import Applier
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Denied, NotReady
from fleet.kube.errors import Conflict, NotFound
from fleet.kube.port import ClusterPort
from fleet.sync import fieldset
from fleet.sync.compare import merged
from fleet.sync.drift import MANAGER
from fleet.sync.manifest import Manifest

_DRY_RUNS = Counter("fleet_agent_dry_runs_total", "Dry runs of applies by result.", ["result"])

_REFUSALS = (BadInput, Denied, NotReady, Conflict, NotFound)
"""A webhook that has side effects, missing rights, a namespace on its way out, or an object that cannot be applied as
it is: the comparison goes on, and an apply will say what is wrong. What may pass by itself is raised."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The object as it would be."""

    body: JsonObject
    by_server: bool
    """False: nobody asked the server; defaults and webhooks are not in it, and what is refused is not known."""


class Predictor:
    """Asks one cluster."""

    def __init__(self, cluster: ClusterPort, applier: Applier, *, concurrency: int) -> None:
        self._cluster = cluster
        self._applier = applier
        self._slots = asyncio.Semaphore(concurrency)

    async def predict(
        self, manifest: Manifest, live: JsonObject, *, by_server: bool = True
    ) -> Prediction:
        """Return what applying this manifest would make of this live object."""
        if by_server:
            try:
                return Prediction(await self._dry_run(manifest), by_server=True)
            except _REFUSALS as error:
                _DRY_RUNS.labels(error.reason).inc()
        ours = fieldset.owned_by(live, (MANAGER,), applied=True)
        return Prediction(merged(manifest.body, live, ours), by_server=False)

    async def _dry_run(self, manifest: Manifest) -> JsonObject:
        resource = await self._applier.resource_for(manifest)
        async with self._slots:
            body = await self._cluster.apply(resource, manifest.body, force=True, dry_run=True)
        _DRY_RUNS.labels("done").inc()
        return body
