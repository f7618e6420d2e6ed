"""Dependencies on the same cluster: who waits, what releases, and what never waits again."""

from __future__ import annotations

from typing import Any

from fleet.model.assignment import DependsOn, Held, Hold
from fleet.model.report import Phase, Sync

ON_INFRA = DependsOn(reference="infra", targets=("infra",))


async def test_dependent_is_applied_after_its_dependency_is_healthy(spoke: Any, make: Any) -> None:
    infra = await spoke.artifact(make.deployment("infra"))
    web = await spoke.artifact(make.config_map("web"))
    spoke.assign(make.section("infra", infra), make.section("web", web, depends_on=(ON_INFRA,)))
    await spoke.until(lambda: spoke.status("web").phase is Phase.WAITING)
    await spoke.idle()
    assert "default/web" not in spoke.cluster.objects("ConfigMap")
    assert "infra" in spoke.status("web").waiting_for[0]
    before = spoke.clock.monotonic()
    spoke.cluster.put_status("Deployment", "default", "infra", make.available)
    await spoke.until(lambda: spoke.status("web").sync is Sync.SYNCED)
    assert spoke.clock.monotonic() == before, "released by the event, not by a timer"


async def test_chain_of_three_is_released_link_by_link(spoke: Any, make: Any) -> None:
    digests = [await spoke.artifact(make.config_map(name)) for name in ("a", "b", "c")]
    spoke.assign(
        make.section("a", digests[0]),
        make.section("b", digests[1], depends_on=(DependsOn(reference="a", targets=("a",)),)),
        make.section("c", digests[2], depends_on=(DependsOn(reference="b", targets=("b",)),)),
    )
    await spoke.until(lambda: spoke.status("c").sync is Sync.SYNCED)
    names = [where.rpartition("/")[2] for where in spoke.writes()]
    assert names == ["a", "b", "c"]


async def test_blocked_edge_blocks_with_its_reason(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("web"))
    edge = DependsOn(reference="nope", blocked="no application nope on this cluster")
    spoke.assign(make.section("web", digest, depends_on=(edge,)))
    await spoke.until(lambda: spoke.status("web").phase is Phase.WAITING)
    assert "no application nope" in spoke.status("web").waiting_for[0]
    await spoke.idle()
    assert spoke.writes() == []


async def test_gate_holds_a_change_but_not_healing(spoke: Any, make: Any) -> None:
    infra = await spoke.artifact(make.config_map("infra"))
    one = await spoke.artifact(make.config_map("web", x="1"))
    spoke.assign(make.section("infra", infra), make.section("web", one, depends_on=(ON_INFRA,)))
    await spoke.until(lambda: spoke.status("web").applied == one)

    bad = await spoke.artifact(make.deployment("infra"))
    two = await spoke.artifact(make.config_map("web", x="2"))
    spoke.assign(make.section("infra", bad), make.section("web", two, depends_on=(ON_INFRA,)))
    await spoke.until(lambda: spoke.status("web").phase is Phase.WAITING)
    spoke.cluster.edit("ConfigMap", "default", "web", {"data": {"x": "mine"}})
    await spoke.idle()
    assert spoke.cluster.objects("ConfigMap")["default/web"]["data"]["x"] == "1"
    assert (spoke.status("web").assigned, spoke.status("web").applied) == (two, one)


async def test_released_once_a_bad_dependency_reverts_nothing(spoke: Any, make: Any) -> None:
    infra = await spoke.artifact(make.deployment("infra"))
    web = await spoke.artifact(make.config_map("web", x="1"))
    spoke.assign(make.section("infra", infra), make.section("web", web, depends_on=(ON_INFRA,)))
    await spoke.idle()
    spoke.cluster.put_status("Deployment", "default", "infra", make.available)
    await spoke.until(lambda: spoke.status("web").sync is Sync.SYNCED)
    spoke.cluster.put_status("Deployment", "default", "infra", {"observedGeneration": 0})
    await spoke.idle()
    assert spoke.status("web").sync is Sync.SYNCED
    spoke.cluster.edit("ConfigMap", "default", "web", {"data": {"x": "mine"}})
    await spoke.idle()
    assert spoke.cluster.objects("ConfigMap")["default/web"]["data"]["x"] == "1"


async def test_a_return_to_an_earlier_artifact_waits_for_nothing(spoke: Any, make: Any) -> None:
    infra = await spoke.artifact(make.config_map("infra"))
    one = await spoke.artifact(make.config_map("web", x="1"))
    two = await spoke.artifact(make.config_map("web", x="2"))
    bad = await spoke.artifact(make.deployment("infra"))
    for artifact in (one, two):
        spoke.assign(
            make.section("infra", infra), make.section("web", artifact, depends_on=(ON_INFRA,))
        )
        await spoke.until(lambda wanted=artifact: spoke.status("web").applied == wanted)
    back = make.section("web", one, depends_on=(ON_INFRA,), ungated=True)
    spoke.assign(make.section("infra", bad), back)
    await spoke.until(lambda: spoke.status("web").applied == one)
    assert spoke.cluster.objects("ConfigMap")["default/web"]["data"]["x"] == "1"


async def test_held_section_keeps_its_previous_artifact(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(make.config_map("web", x="1"))
    spoke.assign(make.section("web", one))
    await spoke.until(lambda: spoke.status("web").applied == one)
    held = Held(reason=Hold.DEPENDENCY, message="waits for cluster/other/db")
    spoke.assign(make.section("web", one, held=held))
    await spoke.until(lambda: "cluster/other/db" in spoke.status("web").message)
    assert spoke.status("web").sync is Sync.SYNCED


async def test_custom_kind_of_a_dependency_is_found(spoke: Any, make: Any) -> None:
    spoke.cluster.hold_crds()
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        },
    }
    widget = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"size": 1},
    }
    infra = await spoke.artifact(crd)
    web = await spoke.artifact(widget)
    spoke.assign(make.section("infra", infra), make.section("web", web, depends_on=(ON_INFRA,)))
    await spoke.until(lambda: spoke.status("infra").applied == infra)
    await spoke.idle()
    assert spoke.status("web").phase is Phase.WAITING
    spoke.cluster.establish("widgets.example.com")
    await spoke.until(lambda: "default/w" in spoke.cluster.objects("Widget"))
    await spoke.until(lambda: spoke.status("web").sync is Sync.SYNCED)


async def test_crd_and_its_object_in_one_application(spoke: Any, make: Any) -> None:
    spoke.cluster.hold_crds()
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        },
    }
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    digest = await spoke.artifact(widget, crd, make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: "default/a" in spoke.cluster.objects("ConfigMap"))
    await spoke.idle()
    spoke.cluster.establish("widgets.example.com")
    await spoke.clock.advance(0.3)
    await spoke.until(lambda: "default/w" in spoke.cluster.objects("Widget"))
    await spoke.until(lambda: spoke.status("app").applied == digest)
