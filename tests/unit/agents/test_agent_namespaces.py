"""An agent whose rights end at its namespaces: it lists and watches there, and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from fleet.errors import Where
from fleet.kube.errors import Forbidden
from fleet.kube.port import Page, Resource
from fleet.model.report import Phase, Sync
from fleet.testing.cluster import FakeCluster


class Narrow(FakeCluster):
    """A cluster that answers lists in one namespace only."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[tuple[str, str]] = set()

    def pages(self, resource: Resource, **where: Any) -> AsyncGenerator[Page, None]:
        namespace = where.get("namespace", "")
        self.asked.add((resource.kind, namespace))
        if namespace != "default":
            raise Forbidden("cannot list", where=Where(object=resource.plural))
        return super().pages(resource, **where)


async def restart_narrow(spoke: Any) -> Narrow:
    await spoke.kill()
    cluster = Narrow()
    spoke.cluster = cluster
    spoke.cluster_settings = replace(spoke.cluster_settings, namespaces=("default",))
    await spoke.start()
    return cluster


async def test_listed_namespaces_are_enough(spoke: Any, make: Any) -> None:
    cluster = await restart_narrow(spoke)
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    assert cluster.asked == {("ConfigMap", "default")}
    cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
    await spoke.idle()
    assert cluster.objects("ConfigMap")["default/a"]["data"] == {"x": "1"}


async def test_lost_inventory_is_looked_for_in_these_namespaces(spoke: Any, make: Any) -> None:
    cluster = await restart_narrow(spoke)
    digest = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    await spoke.kill()
    spoke.records.kept.clear()
    await spoke.start()
    assert spoke.core.inventories.get("app").entries
    assert {namespace for _, namespace in cluster.asked} == {"default"}


async def test_cluster_wide_object_fails_for_itself(spoke: Any, make: Any) -> None:
    await restart_narrow(spoke)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "r"},
        "rules": [],
    }
    wide = await spoke.artifact(role)
    plain = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("wide", wide), make.section("plain", plain))
    await spoke.until(lambda: spoke.status("plain").sync is Sync.SYNCED)
    await spoke.until(lambda: spoke.status("wide").phase is Phase.FAILED)
    assert spoke.status("wide").reason == "Forbidden"
