"""The fields of an AppProject, and of the kinds a cluster can be declared with."""

from __future__ import annotations

from fleet.argo.fields import (
    DESTINATION,
    METADATA,
    built,
    object_record,
    required,
    safe,
    silent,
    unsafe,
)
from fleet.argo.shapes import Anything, Flag, Items, Record, Table, Text

_TEXTS = Items(Text())
_KINDS = Items(Record(required(group=Text(), kind=Text())))
_NAMED_KINDS = Items(Record(required(group=Text(), kind=Text()) | built(name=Text())))

_WINDOW = Record(
    built(
        kind=Text(),
        schedule=Text(),
        duration=Text(),
        timeZone=Text(),
        applications=_TEXTS,
        namespaces=_TEXTS,
        clusters=_TEXTS,
        andOperator=Flag(),
        manualSync=Flag(),
        syncOverrun=Flag(),
        description=Text(),
    )
)
_ORPHANED = Record(
    built(
        warn=Flag(),
        ignore=Items(Record(built(group=Text(), kind=Text(), name=Text()))),
    )
)

APP_PROJECT = object_record(
    Record(
        built(
            sourceRepos=_TEXTS,
            destinations=Items(DESTINATION),
            clusterResourceWhitelist=_NAMED_KINDS,
            clusterResourceBlacklist=_NAMED_KINDS,
            namespaceResourceWhitelist=_KINDS,
            namespaceResourceBlacklist=_KINDS,
            permitOnlyProjectScopedClusters=Flag(),
            sourceNamespaces=_TEXTS,
            syncWindows=Items(_WINDOW),
            orphanedResources=_ORPHANED,
        )
        | silent(description=Text())
        | safe(roles=Anything())
        | unsafe(
            signatureKeys=Anything(),
            sourceIntegrity=Anything(),
            destinationServiceAccounts=Anything(),
        )
    )
)

CLUSTER = Record(
    required(apiVersion=Text(), kind=Text(), metadata=METADATA)
    | built(spec=Record(built(server=Text(), project=Text(), management=Flag())))
    | silent(status=Anything())
)
"""``gitopsfleet.io/v1alpha1`` Cluster: our own kind, so unknown fields are errors."""

CLUSTER_SECRET = Record(
    required(metadata=METADATA)
    | silent(apiVersion=Text(), kind=Text(), type=Text(), immutable=Flag())
    | built(data=Table(Anything()), stringData=Table(Anything()))
)
