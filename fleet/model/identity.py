"""Names of things: clusters, applications, targets, objects, and the digests of content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, NewType

from fleet.codec.canonical import Digest as Digest  # noqa: PLC0414  # the name belongs to the model too
from fleet.errors import BadInput

ClusterName = NewType("ClusterName", str)
AppName = NewType("AppName", str)
"""The Application's ``metadata.name``: unique in the hub, whatever its Argo namespace."""


class TargetId(NamedTuple):
    """One Application on one Cluster, written ``cluster/app``.

    A tuple, for there are tables and sorted lists of fifty thousand: it is hashed and compared ten times as fast as a
    dataclass.
    """

    cluster: ClusterName
    app: AppName

    def __str__(self) -> str:
        return f"{self.cluster}/{self.app}"

    @classmethod
    def parse(cls, text: str) -> TargetId:
        """Read ``cluster/app``; raises BadInput."""
        cluster, slash, app = text.partition("/")
        if not (cluster and slash and app) or "/" in app:
            raise BadInput(f"not a target: {text!r}", hint="write CLUSTER/APP")
        return cls(ClusterName(cluster), AppName(app))


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """A Kubernetes object without its version: what identifies it through upgrades of its API."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.group}/{self.kind}:{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> ObjectRef:
        """Read ``group/Kind:namespace/name`` (group and namespace may be empty); raises BadInput."""
        head, colon, tail = text.partition(":")
        group, slash, kind = head.partition("/")
        namespace, slash2, name = tail.partition("/")
        if not (colon and slash and slash2 and kind and name):
            raise BadInput(
                f"not an object reference: {text!r}", hint="write GROUP/KIND:NAMESPACE/NAME"
            )
        return cls(group, kind, namespace, name)
