"""What happens to objects when their application leaves: by its deletion policy, dependents first, never by an error."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.kube.port import PatchType
from fleet.model.assignment import DependsOn
from fleet.model.report import Phase, Sync


async def deployed(spoke: Any, make: Any, name: str, *objects: Any, **more: Any) -> str:
    digest = await spoke.artifact(*objects)
    spoke.assign(
        *(s for s in _present(spoke) if s.target != name), make.section(name, digest, **more)
    )
    await spoke.until(lambda: spoke.status(name).applied == digest)
    return digest  # type: ignore[no-any-return]


def _present(spoke: Any) -> tuple[Any, ...]:
    assignment = spoke.core.engine.assignment
    return tuple(assignment.sections.values()) if assignment else ()


@pytest.mark.parametrize(
    ("deletion", "stays"),
    [("foreground", False), ("background", False), ("orphan", True)],
)
async def test_absent_section_follows_the_deletion_policy(
    spoke: Any, make: Any, deletion: str, stays: bool
) -> None:
    await deployed(spoke, make, "app", make.config_map("a"), deletion=deletion)
    spoke.assign()
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert ("default/a" in spoke.cluster.objects("ConfigMap")) is stays
    assert "inventory.app" not in spoke.records.kept


async def test_policy_that_changed_last_counts(spoke: Any, make: Any) -> None:
    digest = await deployed(spoke, make, "app", make.config_map("a"), deletion="foreground")
    spoke.assign(make.section("app", digest, deletion="orphan"))
    await spoke.idle()
    spoke.assign()
    await spoke.until(lambda: "app" not in spoke.core.board.statuses)
    assert "default/a" in spoke.cluster.objects("ConfigMap")


async def test_detached_cluster_keeps_everything(spoke: Any, make: Any) -> None:
    digest = await deployed(spoke, make, "app", make.config_map("a"))
    spoke.assign(detached=True)
    await spoke.idle()
    assert "default/a" in spoke.cluster.objects("ConfigMap")
    assert "inventory.app" in spoke.records.kept
    smaller = await spoke.artifact()
    spoke.assign(make.section("app", smaller, allow_empty=True), detached=True)
    await spoke.idle()
    assert "default/a" in spoke.cluster.objects("ConfigMap")
    assert spoke.status("app").applied == digest


async def test_what_an_additive_assignment_does_not_name_stays_until_absence_counts(
    spoke: Any, make: Any
) -> None:
    await deployed(spoke, make, "app", make.config_map("a"))
    other = await spoke.artifact(make.config_map("b"))
    section = make.section("other", other)
    spoke.assign(section, additive=True)
    await spoke.until(lambda: spoke.status("other").applied == other)
    assert "default/a" in spoke.cluster.objects("ConfigMap")
    spoke.assign(section)
    await spoke.until(lambda: "default/a" not in spoke.cluster.objects("ConfigMap"))


async def test_dependents_leave_first(spoke: Any, make: Any) -> None:
    infra = await spoke.artifact(make.config_map("infra"))
    app = {**make.config_map("app")}
    app["metadata"] = {"name": "app", "finalizers": ["example.com/hold"]}
    web = await spoke.artifact(app)
    edge = DependsOn(reference="infra", targets=("infra",))
    spoke.assign(make.section("infra", infra), make.section("web", web, depends_on=(edge,)))
    await spoke.until(lambda: spoke.status("web").applied == web)
    spoke.assign()
    await spoke.until(lambda: spoke.status("infra").phase is Phase.DELETING)
    await spoke.idle()
    assert "default/infra" in spoke.cluster.objects("ConfigMap")
    assert "web" in spoke.status("infra").message
    await spoke.until(lambda: "example.com/hold" in spoke.status("web").message)
    resource = spoke.cluster.store.resource("ConfigMap")
    drop = [{"op": "remove", "path": "/metadata/finalizers"}]
    await spoke.cluster.patch(resource, "default", "app", drop, type=PatchType.JSON)
    await spoke.until(lambda: not spoke.core.board.statuses)
    assert spoke.cluster.objects("ConfigMap") == {}


async def test_object_of_others_is_never_deleted(spoke: Any, make: Any) -> None:
    await deployed(spoke, make, "app", make.config_map("a"))
    resource = spoke.cluster.store.resource("ConfigMap")
    await spoke.cluster.delete(resource, "default", "a")
    await spoke.kill()
    # Somebody else makes one of the same name while the agent is away.
    spoke.cluster.store.objects[("", "ConfigMap")].pop(("default", "a"), None)
    other = make.config_map("a", theirs="1")
    other["metadata"]["namespace"] = "default"
    await spoke.cluster.create(resource, other)
    await spoke.start()
    spoke.assign()
    await spoke.until(lambda: "inventory.app" not in spoke.records.kept)
    assert spoke.cluster.objects("ConfigMap")["default/a"]["data"] == {"theirs": "1"}


async def test_object_that_moves_to_another_target_stays(spoke: Any, make: Any) -> None:
    both = await spoke.artifact(make.config_map("a"), make.config_map("b"))
    spoke.assign(make.section("one", both))
    await spoke.until(lambda: spoke.status("one").applied == both)
    uid = spoke.cluster.objects("ConfigMap")["default/b"]["metadata"]["uid"]
    only_a = await spoke.artifact(make.config_map("a"))
    only_b = await spoke.artifact(make.config_map("b"))
    spoke.assign(make.section("one", only_a), make.section("two", only_b))
    await spoke.until(lambda: spoke.status("two").sync is Sync.SYNCED)
    await spoke.idle()
    live = spoke.cluster.objects("ConfigMap")["default/b"]
    assert live["metadata"]["uid"] == uid
    assert live["metadata"]["annotations"]["gitopsfleet.io/tracking-id"].startswith("two:")
    assert spoke.writes("delete") == []


async def test_nothing_is_pruned_while_another_artifact_is_unknown(spoke: Any, make: Any) -> None:
    both = await spoke.artifact(make.config_map("a"), make.config_map("b"))
    spoke.assign(make.section("one", both))
    await spoke.until(lambda: spoke.status("one").applied == both)
    only_a = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("one", only_a), make.section("two", f"sha256:{'0' * 64}"))
    await spoke.idle()
    assert "default/b" in spoke.cluster.objects("ConfigMap")
    assert "not here yet" in spoke.status("two").message


async def test_empty_artifact_deletes_only_with_permission(spoke: Any, make: Any) -> None:
    await deployed(spoke, make, "app", make.config_map("a"))
    empty = await spoke.artifact()
    spoke.assign(make.section("app", empty))
    await spoke.idle()
    assert "default/a" in spoke.cluster.objects("ConfigMap")
    assert "allowEmpty" in spoke.status("app").message
    spoke.assign(make.section("app", empty, allow_empty=True))
    await spoke.until(lambda: "default/a" not in spoke.cluster.objects("ConfigMap"))


async def test_a_made_namespace_and_hooks_are_not_something_that_stays(
    spoke: Any, make: Any
) -> None:
    await deployed(spoke, make, "app", make.config_map("a"))
    hook = make.config_map("told")
    hook["metadata"]["annotations"] = {"argocd.argoproj.io/hook": "PreSync"}
    digest = await spoke.artifact(hook)
    spoke.assign(make.section("app", digest, sync_options=("CreateNamespace=true",)))
    await spoke.until(lambda: "wipe out all" in spoke.status("app").message)
    assert "default/a" in spoke.cluster.objects("ConfigMap")


async def test_crd_stays_when_its_application_goes(spoke: Any, make: Any) -> None:
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
    await deployed(spoke, make, "app", crd, make.config_map("a"))
    spoke.assign()
    await spoke.until(lambda: not spoke.core.board.statuses)
    assert "/widgets.example.com" in spoke.cluster.objects("CustomResourceDefinition")
    assert spoke.cluster.objects("ConfigMap") == {}


async def test_failing_deletion_keeps_the_survivor_on_record(spoke: Any, make: Any) -> None:
    from fleet.errors import Transient

    await deployed(spoke, make, "app", make.config_map("a"), make.config_map("b"))
    stuck = "/ConfigMap:default/a"
    spoke.cluster.fail("delete", stuck, Transient("the API server answered 500"), times=3)
    spoke.assign()
    await spoke.until(lambda: "500" in spoke.status("app").message)
    assert list(spoke.cluster.objects("ConfigMap")) == ["default/a"]
    assert spoke.core.inventories.get("app").entries.keys() == {
        ref for ref in spoke.core.inventories.get("app").entries if str(ref) == stuck
    }
    for _ in range(20):
        await spoke.clock.advance(1)
    await spoke.until(lambda: not spoke.core.board.statuses)
    assert spoke.cluster.objects("ConfigMap") == {}
