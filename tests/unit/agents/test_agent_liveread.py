"""What people read of a target: differences, manifests and objects; never a Secret's value."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.kube.errors import Invalid
from fleet.model.assignment import IgnoreRule
from fleet.model.identity import ObjectRef
from fleet.model.report import Sync

CANARY = "Y2FuYXJ5LXZhbHVl"
DATA = ObjectRef("", "ConfigMap", "default", "data")


def secret(value: str) -> JsonObject:
    applied = json.dumps({"data": {"password": value}})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "keys",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied},
        },
        "data": {"password": value, "same": CANARY},
    }


async def shown(spoke: Any, make: Any, *objects: JsonObject, **more: Any) -> str:
    """Deploy objects without self-heal, so that what is changed stays changed."""
    artifact: str = await spoke.artifact(*objects)
    spoke.assign(make.section("app", artifact, self_heal=False, **more))
    await spoke.until(lambda: spoke.status("app").applied == artifact)
    return artifact


async def test_no_differences(spoke: Any, make: Any) -> None:
    artifact = await shown(spoke, make, make.deployment("web"), secret(CANARY))
    found = await spoke.core.reader().diff("app", None)
    assert (found.target, found.artifact, found.objects) == ("app", artifact, ())
    assert len(spoke.writes()) == 2


async def test_what_differs(spoke: Any, make: Any) -> None:
    await shown(spoke, make, make.config_map("gone", a="1"), make.config_map("data", a="1", b="1"))
    artifact = await spoke.artifact(
        make.config_map("data", a="2", c="1"), make.config_map("new", a="1")
    )
    spoke.assign(make.section("app", artifact, automated=False, prune=False))
    await spoke.idle()
    found = await spoke.core.reader().diff("app")
    assert [(item.ref, item.change, item.paths, item.predicted) for item in found.objects] == [
        ("/ConfigMap:default/data", "changed", ("data.a", "data.b", "data.c"), True),
        ("/ConfigMap:default/gone", "removed", (), True),
        ("/ConfigMap:default/new", "added", (), False),
    ]
    changed, removed, added = found.objects
    assert changed.diff == (
        '@@ -1,7 +1,7 @@\n apiVersion: v1\n data:\n-  a: "1"\n-  b: "1"\n+  a: "2"\n+  c: "1"\n'
        " kind: ConfigMap\n metadata:\n   annotations:\n"
    )
    assert removed.note == "it stays until a sync that prunes"
    assert "+  name: new\n" in added.diff
    only = await spoke.core.reader().diff("app", (DATA,))
    assert only.objects == (changed,)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


async def test_a_server_that_refuses_dry_runs(spoke: Any, make: Any) -> None:
    await shown(spoke, make, make.config_map("data", a="1", b="1"))
    spoke.cluster.edit("ConfigMap", "default", "data", {"data": {"a": "2"}})
    spoke.cluster.fail("dry-run", "*", Invalid("admission webhook w does not support dry run"))
    (found,) = (await spoke.core.reader().diff("app")).objects
    assert (found.paths, found.predicted) == (("data.a",), False)


async def test_ignored_fields_are_not_shown(spoke: Any, make: Any) -> None:
    rule = IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",))
    await shown(spoke, make, make.deployment("web"), ignore=(rule,))
    spoke.cluster.edit("Deployment", "default", "web", {"spec": {"replicas": 4}})
    assert (await spoke.core.reader().diff("app")).objects == ()
    spoke.cluster.edit("Deployment", "default", "web", {"metadata": {"labels": {"x": "y"}}})
    spoke.cluster.edit(
        "Deployment", "default", "web", {"spec": {"selector": {"matchLabels": {"app": "evil"}}}}
    )
    (found,) = (await spoke.core.reader().diff("app")).objects
    assert found.paths == ("spec.selector.matchLabels.app",)
    assert "replicas" not in "\n".join(
        line for line in found.diff.splitlines() if line.startswith(("+", "-"))
    )


async def test_an_unusable_rule_and_an_unknown_kind_are_said(spoke: Any, make: Any) -> None:
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    rule = IgnoreRule(group="", kind="ConfigMap", jq_expressions=(".data[",))
    artifact = await spoke.artifact(widget, make.config_map("data", a="1"))
    await spoke.cluster.apply(
        (await spoke.cluster.discovery()).preferred("", "ConfigMap"),
        {
            **make.config_map("data", a="2"),
            "metadata": {"name": "data", "namespace": "default"},
        },
    )
    spoke.assign(make.section("app", artifact, ignore=(rule,)))
    found = await spoke.core.reader().diff("app")
    assert [(item.ref, item.reason) for item in found.problems] == [
        ("/ConfigMap:default/data", "InvalidSpec"),
        ("example.com/Widget:/w", "NotReady"),
    ]


async def test_secrets_are_masked_everywhere(spoke: Any, make: Any) -> None:
    await shown(spoke, make, secret(CANARY))
    other = f"{CANARY[:-4]}bGl2"
    live = {"data": {"password": other}}
    spoke.cluster.edit("Secret", "default", "keys", live)
    reader = spoke.core.reader()
    found = await reader.diff("app")
    (item,) = found.objects
    assert item.paths == ("data.password",)
    assert "-  password: '*** (old value)'\n+  password: '*** (new value)'\n" in item.diff
    assert "   same: '***'\n" in item.diff
    texts = [
        msgspec.json.encode(found).decode(),
        json.dumps(await reader.manifests("app", live=True)),
        json.dumps(await reader.manifests("app", live=False)),
        msgspec.json.encode(await reader.resources("app")).decode(),
    ]
    assert not [text for text in texts if CANARY[:-4] in text]


async def test_manifests(spoke: Any, make: Any) -> None:
    await shown(spoke, make, make.config_map("b", a="1"), make.config_map("a", a="1"))
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"live": "yes"}})
    wanted = await spoke.core.reader().manifests("app", live=False)
    assert [item["metadata"]["name"] for item in wanted] == ["a", "b"]
    assert [item["data"] for item in wanted] == [{"a": "1"}, {"a": "1"}]
    live = await spoke.core.reader().manifests("app", live=True)
    assert live[0]["data"] == {"a": "1", "live": "yes"}
    assert "managedFields" not in live[0]["metadata"]


def owned(spoke: Any, kind: str, name: str, owner: JsonObject, **body: Any) -> JsonObject:
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    metadata = {"name": name, "namespace": "default", "ownerReferences": [reference]}
    version = "v1" if kind == "Pod" else "apps/v1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


async def test_resources_are_a_tree(spoke: Any, make: Any) -> None:
    await shown(spoke, make, make.deployment("web"), make.config_map("data", a="1"))
    spoke.cluster.edit("ConfigMap", "default", "data", {"data": {"a": "2"}})
    web = spoke.cluster.objects("Deployment")["default/web"]
    discovery = await spoke.cluster.discovery()
    replica_set = await spoke.cluster.create(
        discovery.preferred("apps", "ReplicaSet"), owned(spoke, "ReplicaSet", "web-1", web, spec={})
    )
    await spoke.cluster.create(
        discovery.preferred("", "Pod"), owned(spoke, "Pod", "web-1-a", replica_set, spec={})
    )
    await spoke.until(lambda: spoke.status("app").sync is Sync.OUT_OF_SYNC)
    rows = await spoke.core.reader().resources("app")
    assert [(row.ref, row.parent, row.sync) for row in rows] == [
        ("/ConfigMap:default/data", "", "OutOfSync"),
        ("apps/Deployment:default/web", "", "Synced"),
        ("apps/ReplicaSet:default/web-1", "apps/Deployment:default/web", ""),
        ("/Pod:default/web-1-a", "apps/ReplicaSet:default/web-1", ""),
    ]
    assert rows[0].message == "was changed by somebody else"
    assert rows[1].health == "Progressing"
    assert rows[2].created


async def test_a_target_of_another_cluster(spoke: Any, make: Any) -> None:
    with pytest.raises(BadInput, match="'app' is not assigned to this cluster"):
        await spoke.core.reader().resources("app")


async def test_a_reference_without_a_namespace_means_any(spoke: Any, make: Any) -> None:
    await shown(spoke, make, make.config_map("data", a="1"), make.config_map("other", a="1"))
    for name in ("data", "other"):
        spoke.cluster.edit("ConfigMap", "default", name, {"data": {"a": "2"}})
    found = await spoke.core.reader().diff("app", (ObjectRef("", "ConfigMap", "", "data"),))
    assert [item.ref for item in found.objects] == [str(DATA)]


async def test_a_foreign_object_is_a_mistake_and_not_one_without_differences(
    spoke: Any, make: Any
) -> None:
    await shown(spoke, make, make.config_map("data", a="1"))
    with pytest.raises(BadInput, match="no object /ConfigMap:default/foreign"):
        await spoke.core.reader().diff("app", (ObjectRef("", "ConfigMap", "default", "foreign"),))


async def test_what_controllers_made_is_found_by_metadata_and_rated_whole(
    spoke: Any, make: Any
) -> None:
    await shown(spoke, make, make.deployment("web"))
    web = spoke.cluster.objects("Deployment")["default/web"]
    discovery = await spoke.cluster.discovery()
    stranger = {**web, "metadata": {**web["metadata"], "uid": "another's"}}
    seen = {"observedGeneration": 1, "availableReplicas": 0}
    for number in range(20):
        owner = web if number < 10 else stranger
        body = owned(
            spoke, "ReplicaSet", f"web-{number:02}", owner, spec={"replicas": 0}, status=seen
        )
        await spoke.cluster.create(discovery.preferred("apps", "ReplicaSet"), body)
        spoke.cluster.put_status("ReplicaSet", "default", f"web-{number:02}", seen)
    lists: list[tuple[str, bool]] = []
    pages = spoke.cluster.pages

    def noted(resource: Any, **more: Any) -> Any:
        lists.append((resource.kind, more.get("metadata_only", False)))
        return pages(resource, **more)

    spoke.cluster.pages = noted
    rows = [row for row in await spoke.core.reader().resources("app") if row.parent]
    assert [row.ref.rpartition("/")[2] for row in rows] == [f"web-{n:02}" for n in range(10)]
    assert {row.health for row in rows} == {"Healthy"}
    assert lists == [("Pod", True), ("ReplicaSet", True), ("ReplicaSet", False)]
