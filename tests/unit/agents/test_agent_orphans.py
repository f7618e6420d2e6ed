"""Orphans: what nothing tracks in an application's namespace, told where the project wants it."""

from __future__ import annotations

from typing import Any

import pytest

from agents.orphans import orphans_of, told
from fleet.errors import Transient
from fleet.kube.errors import Forbidden
from fleet.model.assignment import KindPattern, ProjectRules, Section
from fleet.model.identity import ObjectRef

HALF_A_MINUTE, TEN_MINUTES = 31, 3700


def rules(*ignore: KindPattern, **more: Any) -> ProjectRules:
    return ProjectRules(name="p", namespaces=("*",), orphans=ignore, **more)


def section(project: ProjectRules) -> Section:
    return Section(target="app", project=project, namespace="shop")


def ref(kind: str, name: str, group: str = "") -> ObjectRef:
    return ObjectRef(group, kind, "shop", name)


FOUND = [
    ref("ConfigMap", "kube-root-ca.crt"),
    ref("ServiceAccount", "default"),
    ref("ConfigMap", "left"),
    ref("Deployment", "left", "apps"),
]
RULES = {
    "nothing ignored": (rules(), ["left", "left"]),
    "a kind": (rules(KindPattern(group="", kind="ConfigMap")), ["left"]),
    "a name": (rules(KindPattern(group="", kind="", name="l*")), []),
    "a group": (rules(KindPattern(group="apps", kind="")), ["left"]),
    "another name": (rules(KindPattern(group="", kind="ConfigMap", name="x")), ["left", "left"]),
    "not permitted": (
        rules(namespace_kinds_denied=(KindPattern(group="apps", kind="*"),)),
        ["left"],
    ),
}


@pytest.mark.parametrize(("project", "names"), RULES.values(), ids=RULES.keys())
def test_what_is_an_orphan(project: ProjectRules, names: list[str]) -> None:
    assert [item.name for item in orphans_of(section(project), FOUND)] == names


def test_only_the_first_are_named() -> None:
    assert told([]) == ""
    assert told([ref("ConfigMap", "a")]) == (
        "OrphanedResourceWarning: 1 orphaned resource: ConfigMap a"
    )
    many = told([ref("ConfigMap", str(number)) for number in range(7)])
    assert many.startswith("OrphanedResourceWarning: 7 orphaned resources: ConfigMap 0,")
    assert many.endswith(" and 2 more")


async def deployed(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest, project=rules()))
    await spoke.until(lambda: spoke.status("app").applied == digest)


async def stray(spoke: Any, make: Any, name: str, **metadata: Any) -> None:
    resource = spoke.cluster.store.resource("ConfigMap")
    body = make.config_map(name)
    body["metadata"] |= {"namespace": "default", **metadata}
    await spoke.cluster.create(resource, body)


async def test_the_application_says_so_as_long_as_it_is_so(spoke: Any, make: Any) -> None:
    await deployed(spoke, make)
    await stray(spoke, make, "stray")
    await stray(spoke, make, "part", ownerReferences=[{"uid": "x", "kind": "X", "name": "x"}])
    await spoke.clock.advance(HALF_A_MINUTE)
    text = "OrphanedResourceWarning: 1 orphaned resource: ConfigMap stray"
    await spoke.until(lambda: spoke.status("app").message == text)
    await spoke.cluster.delete(spoke.cluster.store.resource("ConfigMap"), "default", "stray")
    await spoke.clock.advance(TEN_MINUTES)
    await spoke.until(lambda: spoke.status("app").message == "")


async def test_nothing_is_listed_where_nobody_asks(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", digest))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    before = spoke.cluster.reads["list"]
    await spoke.clock.advance(HALF_A_MINUTE)
    await spoke.idle()
    assert spoke.cluster.reads["list"] == before


@pytest.mark.parametrize(
    ("error", "told_of"), [(Forbidden("no"), True), (Transient("gone"), False)], ids=["no", "away"]
)
async def test_a_kind_that_is_not_ours_to_see_hides_no_other_and_an_outage_says_nothing(
    spoke: Any, make: Any, error: Exception, told_of: bool
) -> None:
    await deployed(spoke, make)
    await stray(spoke, make, "stray")
    spoke.cluster.fail("list", "secrets", error)
    await spoke.clock.advance(HALF_A_MINUTE)
    await spoke.idle()
    assert ("stray" in spoke.status("app").message) is told_of
