"""Sync options, confirmations, partial syncs and dry runs on the agent, against the in-memory cluster."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.model.assignment import Operation
from fleet.model.report import OperationResult, Phase, Sync

OPTIONS = "argocd.argoproj.io/sync-options"


def marked(body: JsonObject, options: str) -> JsonObject:
    return {**body, "metadata": {**body["metadata"], "annotations": {OPTIONS: options}}}


def immutable(make: Any, name: str, options: str = "", **data: str) -> JsonObject:
    body: JsonObject = {**make.config_map(name, **data), "immutable": True}
    return marked(body, options) if options else body


async def deployed(spoke: Any, make: Any, *objects: JsonObject, **policy: Any) -> str:
    digest: str = await spoke.artifact(*objects)
    spoke.assign(make.section("app", digest, **policy))
    await spoke.until(lambda: spoke.status("app").applied == digest)
    return digest


def maps(spoke: Any) -> list[str]:
    return [name.removeprefix("default/") for name in spoke.cluster.objects("ConfigMap")]


def data_of(spoke: Any, name: str) -> JsonObject:
    data: JsonObject = spoke.cluster.objects("ConfigMap")[f"default/{name}"].get("data") or {}
    return data


async def ended(spoke: Any, phase: str) -> OperationResult:
    """Wait for the end of operation ``op``."""

    def has_ended() -> bool:
        shown = spoke.status("app").operation
        return shown is not None and shown.id == "op" and shown.phase == phase

    await spoke.until(has_ended)
    result: OperationResult = spoke.status("app").operation
    return result


# what stays when it leaves


@pytest.mark.parametrize(
    ("own", "general", "stays"),
    [
        ("Prune=false", (), True),
        ("", ("Prune=false",), True),
        ("Prune=true", ("Prune=false",), False),
        ("Delete=false", (), False),
    ],
    ids=["its own", "the application's", "opts out", "only about the application's leaving"],
)
async def test_what_leaves_the_artifact(
    spoke: Any, make: Any, own: str, general: tuple[str, ...], stays: bool
) -> None:
    kept = marked(make.config_map("kept"), own) if own else make.config_map("kept")
    await deployed(spoke, make, make.config_map("a"), kept, sync_options=general)
    two = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", two, sync_options=general))
    await spoke.idle()
    assert ("kept" in maps(spoke)) is stays
    status = spoke.status("app")
    assert status.sync is (Sync.OUT_OF_SYNC if stays else Sync.SYNCED)
    assert [problem.message for problem in status.problems] == (
        ["left the artifact, and stays: Prune=false"] if stays else []
    )


async def test_an_option_that_came_after_an_object_left_still_protects_it(
    spoke: Any, make: Any
) -> None:
    await deployed(spoke, make, make.config_map("a"), make.config_map("b"), prune=False)
    two = await spoke.artifact(make.config_map("a"))
    spoke.assign(make.section("app", two, prune=False))
    await spoke.idle()
    spoke.assign(make.section("app", two, sync_options=("Prune=false",)))
    await spoke.idle()
    assert maps(spoke) == ["a", "b"]
    spoke.assign(make.section("app", two))
    await spoke.until(lambda: maps(spoke) == ["a"])


async def test_pruning_waits_for_a_confirmation_of_this_sync(spoke: Any, make: Any) -> None:
    kept = marked(make.config_map("kept"), "Prune=confirm")
    await deployed(spoke, make, make.config_map("a", x="1"), kept)
    before = spoke.clock.now().isoformat()
    await spoke.clock.advance(60)
    two = await spoke.artifact(make.config_map("a", x="2"))
    spoke.assign(make.section("app", two, deletion_approved=before))
    await spoke.idle()
    status = spoke.status("app")
    assert maps(spoke) == ["a", "kept"]
    assert data_of(spoke, "a") == {"x": "2"}, "all the rest is done"
    assert (status.phase, status.applied == two) == (Phase.WAITING, False)
    assert "waits for confirmation to prune /ConfigMap:default/kept" in status.message
    assert status.operation.phase == "Running"
    spoke.assign(make.section("app", two, deletion_approved=spoke.clock.now().isoformat()))
    await spoke.until(lambda: spoke.status("app").applied == two)
    assert maps(spoke) == ["a"]


@pytest.mark.parametrize(
    ("own", "general", "approved", "stays"),
    [
        ("Delete=false", (), "", True),
        ("", ("Delete=false",), "", True),
        ("Delete=true", ("Delete=false",), "", False),
        ("Delete=confirm", (), "", True),
        ("Delete=confirm", (), "2026-01-01T00:00:00Z", False),
        ("Prune=false", (), "", False),
    ],
    ids=["own", "general", "opts out", "unconfirmed", "confirmed", "only about pruning"],
)
async def test_what_stays_when_its_application_goes(
    spoke: Any, make: Any, own: str, general: tuple[str, ...], approved: str, stays: bool
) -> None:
    kept = marked(make.config_map("kept"), own) if own else make.config_map("kept")
    await deployed(
        spoke,
        make,
        marked(make.config_map("a"), "Delete=true"),
        kept,
        sync_options=general,
        deletion_approved=approved,
    )
    spoke.assign()
    await spoke.until(lambda: "a" not in maps(spoke))
    await spoke.idle()
    assert maps(spoke) == (["kept"] if stays else [])


@pytest.mark.parametrize("option", ["Prune=false", "Delete=false"])
async def test_what_somebody_protects_by_hand(spoke: Any, make: Any, option: str) -> None:
    await deployed(spoke, make, make.config_map("a"), make.config_map("b"))
    note = {"metadata": {"annotations": {OPTIONS: option}}}
    spoke.cluster.edit("ConfigMap", "default", "b", note)
    await spoke.idle()
    if option == "Prune=false":
        spoke.assign(make.section("app", await spoke.artifact(make.config_map("a"))))
    else:
        spoke.assign()
        await spoke.until(lambda: "a" not in maps(spoke))
    await spoke.idle()
    assert "b" in maps(spoke)


# how objects are written


async def test_an_immutable_object_needs_force(spoke: Any, make: Any) -> None:
    await deployed(spoke, make, immutable(make, "a", x="1"))
    uid = spoke.cluster.objects("ConfigMap")["default/a"]["metadata"]["uid"]
    two = await spoke.artifact(immutable(make, "a", x="2"))
    spoke.assign(make.section("app", two))
    await spoke.idle()
    assert "immutable" in spoke.status("app").message
    assert data_of(spoke, "a") == {"x": "1"}
    three = await spoke.artifact(immutable(make, "a", "Force=true", x="3"))
    spoke.assign(make.section("app", three))
    await spoke.until(lambda: spoke.status("app").applied == three)
    assert data_of(spoke, "a") == {"x": "3"}
    assert spoke.cluster.objects("ConfigMap")["default/a"]["metadata"]["uid"] != uid


async def test_force_deletes_nothing_that_could_not_be_made_anew(spoke: Any, make: Any) -> None:
    await deployed(spoke, make, immutable(make, "a", "Force=true", x="1"))
    wrong = immutable(make, "a", "Force=true", x="1")
    wrong["data"] = {"x": 1}
    spoke.assign(make.section("app", await spoke.artifact(wrong)))
    await spoke.idle()
    assert data_of(spoke, "a") == {"x": "1"}
    assert spoke.writes("delete") == []


@pytest.mark.parametrize("options", ["Force=true", "Replace=true,Force=true"])
async def test_force_deletes_nothing_of_somebody_else(spoke: Any, make: Any, options: str) -> None:
    resource = (await spoke.cluster.discovery()).preferred("", "ConfigMap")
    theirs = immutable(make, "a", x="1")
    theirs["metadata"]["namespace"] = "default"
    await spoke.cluster.create(resource, theirs)
    spoke.assign(make.section("app", await spoke.artifact(immutable(make, "a", options, x="2"))))
    await spoke.until(lambda: spoke.status("app").phase is Phase.FAILED)
    await spoke.idle()
    assert data_of(spoke, "a") == {"x": "1"}
    assert spoke.writes("delete") == []


async def test_force_waits_for_finalizers(spoke: Any, make: Any) -> None:
    first = immutable(make, "a", "Force=true", x="1")
    await deployed(spoke, make, first)
    spoke.cluster.edit("ConfigMap", "default", "a", {"metadata": {"finalizers": ["example.com/x"]}})
    await spoke.idle()
    two = await spoke.artifact(immutable(make, "a", "Force=true", x="2"))
    spoke.assign(make.section("app", two))
    await spoke.idle()
    assert data_of(spoke, "a") == {"x": "1"}
    spoke.cluster.edit("ConfigMap", "default", "a", {"metadata": {"finalizers": None}})
    await spoke.clock.advance(3)
    await spoke.until(lambda: spoke.status("app").applied == two)
    assert data_of(spoke, "a") == {"x": "2"}


async def test_replace_takes_away_what_others_added(spoke: Any, make: Any) -> None:
    await deployed(spoke, make, marked(make.config_map("a", x="1"), "Replace=true"))
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"other": "o"}})
    await spoke.idle()
    assert data_of(spoke, "a") == {"x": "1", "other": "o"}
    two = await spoke.artifact(marked(make.config_map("a", x="2"), "Replace=true"))
    spoke.assign(make.section("app", two))
    await spoke.until(lambda: spoke.status("app").applied == two)
    assert data_of(spoke, "a") == {"x": "2"}
    entries = spoke.cluster.objects("ConfigMap")["default/a"]["metadata"]["managedFields"]
    assert [(e["manager"], e["operation"]) for e in entries] == [("gitops-fleet", "Apply")]
    before = len(spoke.cluster.writes)
    await spoke.idle()
    assert len(spoke.cluster.writes) == before, "and then there is nothing to do"


async def test_what_an_earlier_tool_declared_goes_when_git_does_not_have_it(
    spoke: Any, make: Any
) -> None:
    resource = spoke.cluster.store.resource("ConfigMap")
    body = make.config_map("a", x="1", old="o")
    body["metadata"]["namespace"] = "default"
    await spoke.cluster.apply(resource, body, manager="argocd-controller")
    await deployed(spoke, make, make.config_map("a", x="1"))
    assert data_of(spoke, "a") == {"x": "1"}


async def test_without_migration_it_stays(spoke: Any, make: Any) -> None:
    resource = spoke.cluster.store.resource("ConfigMap")
    body = make.config_map("a", x="1", old="o")
    body["metadata"]["namespace"] = "default"
    await spoke.cluster.apply(resource, body, manager="argocd-controller")
    options = ("ClientSideApplyMigration=false",)
    await deployed(spoke, make, make.config_map("a", x="1"), sync_options=options)
    assert data_of(spoke, "a") == {"x": "1", "old": "o"}


# the destination namespace


def namespace(spoke: Any, name: str = "shop") -> JsonObject:
    found: JsonObject = spoke.cluster.objects("Namespace")[f"/{name}"]["metadata"]
    return {"labels": {}, **found}


def with_namespace(make: Any, name: str, digest: str, **more: Any) -> Any:
    options = ("CreateNamespace=true",)
    return make.section(name, digest, namespace="shop", sync_options=options, **more)


async def test_namespace_metadata_follows_git(spoke: Any, make: Any) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(with_namespace(make, "app", digest, namespace_labels={"team": "web", "tier": "1"}))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    assert namespace(spoke)["labels"].items() >= {"team": "web", "tier": "1"}.items()
    spoke.assign(
        with_namespace(
            make, "app", digest, namespace_labels={"team": "api"}, namespace_annotations={"a": "b"}
        )
    )
    await spoke.until(lambda: namespace(spoke)["labels"].get("team") == "api")
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    assert "tier" not in namespace(spoke)["labels"]
    assert namespace(spoke)["annotations"] == {"a": "b"}
    spoke.assign(with_namespace(make, "app", digest))
    await spoke.until(lambda: "team" not in namespace(spoke)["labels"])
    await spoke.idle()
    assert spoke.status("app").sync is Sync.SYNCED


async def test_changed_metadata_is_a_difference_where_nothing_is_automated(
    spoke: Any, make: Any
) -> None:
    digest = await spoke.artifact(make.config_map("a"))
    spoke.assign(with_namespace(make, "app", digest, namespace_labels={"team": "web"}))
    await spoke.until(lambda: spoke.status("app").sync is Sync.SYNCED)
    changed = {"namespace_labels": {"team": "api"}, "automated": False}
    spoke.assign(with_namespace(make, "app", digest, **changed))
    await spoke.idle()
    assert spoke.status("app").sync is Sync.OUT_OF_SYNC
    assert namespace(spoke)["labels"]["team"] == "web"


async def test_applications_share_a_namespace_and_take_nothing_from_each_other(
    spoke: Any, make: Any
) -> None:
    one, two = [await spoke.artifact(make.config_map(name)) for name in ("a", "b")]
    first = with_namespace(make, "one", one, namespace_labels={"team": "web"})
    spoke.assign(first)
    await spoke.until(lambda: spoke.status("one").sync is Sync.SYNCED)
    other = with_namespace(make, "two", two, namespace_labels={"team": "api", "more": "m"})
    spoke.assign(first, other)
    await spoke.idle()
    assert namespace(spoke)["labels"]["team"] == "web"
    assert "somebody else sets" in spoke.status("two").message
    assert spoke.status("one").sync is Sync.SYNCED
    agreed = with_namespace(make, "two", two, namespace_labels={"team": "web", "more": "m"})
    spoke.assign(first, agreed)
    await spoke.until(lambda: spoke.status("two").sync is Sync.SYNCED)
    spoke.assign(with_namespace(make, "one", one), agreed)
    await spoke.idle()
    assert namespace(spoke)["labels"].items() >= {"team": "web", "more": "m"}.items()


# what was asked for


async def test_a_partial_sync_touches_what_it_names(spoke: Any, make: Any) -> None:
    manual = {"automated": False}
    await deployed(
        spoke, make, *(make.config_map(name, x="1") for name in ("a", "b", "old", "older"))
    )
    two = await spoke.artifact(make.config_map("a", x="2"), make.config_map("b", x="2"))
    names = ["/ConfigMap:default/a", "/ConfigMap:default/old"]
    operation = Operation(
        id="op", target="app", kind="sync", arguments={"resources": names, "prune": True}
    )
    spoke.assign(make.section("app", two, **manual), operations=(operation,))
    await ended(spoke, "Succeeded")
    assert (data_of(spoke, "a"), data_of(spoke, "b")) == ({"x": "2"}, {"x": "1"})
    assert maps(spoke) == ["a", "b", "older"]
    assert spoke.status("app").sync is Sync.OUT_OF_SYNC
    assert spoke.status("app").applied != two


async def test_arguments_that_cannot_be_understood_fail_the_operation(
    spoke: Any, make: Any
) -> None:
    one = await deployed(spoke, make, make.config_map("a", x="1"))
    before = len(spoke.cluster.writes)
    operation = Operation(id="op", target="app", kind="sync", arguments={"resources": ["a"]})
    spoke.assign(make.section("app", one, automated=False), operations=(operation,))
    shown = await ended(spoke, "Failed")
    assert "'a' names no object" in shown.message
    assert len(spoke.cluster.writes) == before


async def test_a_dry_run_tells_everything_and_writes_nothing(spoke: Any, make: Any) -> None:
    await deployed(
        spoke,
        make,
        make.config_map("a", x="1"),
        make.config_map("b", x="1"),
        make.config_map("old"),
    )
    two = await spoke.artifact(
        make.config_map("a", x="2"), make.config_map("b", x="1"), make.config_map("new")
    )
    before = len(spoke.cluster.writes)
    operation = Operation(
        id="op", target="app", kind="sync", arguments={"dryRun": True, "prune": True}
    )
    spoke.assign(make.section("app", two, automated=False), operations=(operation,))
    shown = await ended(spoke, "Succeeded")
    assert len(spoke.cluster.writes) == before
    found = {item.ref.rpartition("/")[2]: (item.status, item.message) for item in shown.resources}
    assert found == {
        "a": ("Synced", "would be applied: manifest changed"),
        "b": ("Synced", "is as it should be"),
        "new": ("Synced", "would be applied: not there yet"),
        "old": ("Pruned", "would be pruned"),
    }
    assert spoke.status("app").applied != two


async def test_a_dry_run_fails_on_what_the_server_refuses(spoke: Any, make: Any) -> None:
    await deployed(spoke, make, make.config_map("a", x="1"))
    wrong = make.config_map("a", x="1")
    wrong["data"] = {"x": 1}
    two = await spoke.artifact(wrong)
    operation = Operation(id="op", target="app", kind="sync", arguments={"dryRun": True})
    spoke.assign(make.section("app", two, automated=False), operations=(operation,))
    shown = await ended(spoke, "Failed")
    assert "one or more objects failed to apply (dry run)" in shown.message
    assert [item.status for item in shown.resources] == ["SyncFailed"]


# objects that two applications have


async def test_a_shared_object_is_told_to_both_and_fought_over_by_none(
    spoke: Any, make: Any
) -> None:
    one = await spoke.artifact(make.config_map("a", x="1"), make.config_map("one"))
    two = await spoke.artifact(make.config_map("a", x="2"), make.config_map("two"))
    first = make.section("one", one)
    spoke.assign(first)
    await spoke.until(lambda: spoke.status("one").sync is Sync.SYNCED)
    spoke.assign(first, make.section("two", two))
    await spoke.until(lambda: "two" in maps(spoke))
    await spoke.idle()
    text = "SharedResourceWarning: /ConfigMap:default/a is part of applications one and two"
    assert (spoke.status("one").sync, spoke.status("one").message) == (Sync.SYNCED, text)
    assert (spoke.status("two").sync, spoke.status("two").message) == (Sync.OUT_OF_SYNC, text)
    assert data_of(spoke, "a") == {"x": "1"}
    before = len(spoke.cluster.writes)
    await spoke.clock.advance(600)
    await spoke.idle()
    assert len(spoke.cluster.writes) == before
    spoke.assign(first, make.section("two", await spoke.artifact(make.config_map("two"))))
    await spoke.until(lambda: spoke.status("one").message == "")
    assert maps(spoke) == ["a", "one", "two"]


async def test_who_does_not_want_to_share_applies_nothing(spoke: Any, make: Any) -> None:
    one = await spoke.artifact(make.config_map("a", x="1"))
    two = await spoke.artifact(make.config_map("a", x="2"), make.config_map("two"))
    first = make.section("one", one)
    spoke.assign(first)
    await spoke.until(lambda: spoke.status("one").sync is Sync.SYNCED)
    spoke.assign(first, make.section("two", two, sync_options=("FailOnSharedResource=true",)))
    await spoke.idle()
    assert maps(spoke) == ["a"]
    assert "is part of applications one and two" in spoke.status("two").message
    assert spoke.status("two").phase is Phase.FAILED


async def test_an_object_moves_to_another_application_without_being_deleted(
    spoke: Any, make: Any
) -> None:
    both = await spoke.artifact(make.config_map("a", x="1"), make.config_map("b"))
    rest = await spoke.artifact(make.config_map("b"))
    moved = await spoke.artifact(make.config_map("a", x="1"))
    spoke.assign(make.section("one", both))
    await spoke.until(lambda: spoke.status("one").sync is Sync.SYNCED)
    uid = spoke.cluster.objects("ConfigMap")["default/a"]["metadata"]["uid"]
    spoke.assign(make.section("one", rest), make.section("two", moved))
    await spoke.until(lambda: spoke.status("two").sync is Sync.SYNCED)
    await spoke.until(lambda: spoke.status("one").sync is Sync.SYNCED)
    assert spoke.cluster.objects("ConfigMap")["default/a"]["metadata"]["uid"] == uid
    assert spoke.writes("delete") == []
