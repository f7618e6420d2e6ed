"""Bundles: everything that an Application on the management cluster rendered once, its own objects and what it brings.

The agent gets an artifact of the own objects alone. The whole rendering is an artifact, too: the history names it, so that
a rollback of an app of apps finds the documents of that day, whatever git says now.
"""

from __future__ import annotations

from fleet.argo.children import Offer, read_offer, split
from fleet.codec.canonical import Digest
from fleet.codec.jsontypes import JsonObject
from fleet.model.identity import TargetId
from fleet.render import artifact
from fleet.store.port import ArtifactStore


async def opened(
    artifacts: ArtifactStore, bundle: Digest, *, parent: TargetId, namespace: str
) -> tuple[Offer, list[JsonObject]]:
    """Tell what a bundle brings to the fleet from the objects of the cluster.

    ``namespace`` is where documents live that name none. Raises what the store does for an artifact that is not kept.
    """
    documents, others = split(artifact.decode(await artifacts.get(bundle)))
    offer = read_offer(
        documents,
        parent=str(parent),
        namespace=namespace,
        artifact=bundle,
        others=len(others),
    )
    return offer, others
