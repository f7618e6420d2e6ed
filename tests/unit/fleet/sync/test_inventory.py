"""Inventory: survivors stay, nothing is forgotten, and texts of bounded size carry it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec.jsontypes import JsonObject
from fleet.errors import Corrupt
from fleet.model.assignment import DependsOn, ProjectRules, Section
from fleet.model.identity import ObjectRef
from fleet.model.report import ResourceResult
from fleet.sync.desired import Desired
from fleet.sync.inventory import Entry, HookEntry, Inventory, owners, rebuild
from fleet.sync.inventorycodec import decode, encode
from fleet.sync.manifest import TRACKING_ID, Manifest
from fleet.sync.order import key_of
from fleet.sync.phases import HookState, Stage, SyncPhase
from fleet.sync.record import HookRun, OperationRecord


def ref(name: str) -> ObjectRef:
    return ObjectRef("", "ConfigMap", "home", name)


def manifest(name: str, digest: str = "d1") -> Manifest:
    return Manifest(
        ref=ref(name), api_version="v1", body={}, wave=0, key=key_of(ref(name), 0), digest=digest
    )


def desired(*names: str) -> Desired:
    return Desired(target="app", artifact="sha256:a", manifests=tuple(map(manifest, names)))


EMPTY = Inventory(target="app", cluster_uid="uid")
SECTION = Section(
    target="app",
    project=ProjectRules(name="p"),
    deletion="foreground",
    depends_on=(
        DependsOn(reference="set/x", targets=("db", "cache")),
        DependsOn(reference="db", targets=("db",)),
    ),
)


def test_planned_names_objects_before_they_exist_and_keeps_what_left() -> None:
    first = EMPTY.planned(SECTION, desired("a", "b"))
    assert first.edges == ("cache", "db")
    assert first.deletion == "foreground"
    assert not first.has_applied(desired("a", "b"))
    second = first.applied_object(manifest("a"), {"metadata": {"uid": "ua"}}).planned(
        SECTION, desired("b", "c")
    )
    assert set(second.entries) == {ref("a"), ref("b"), ref("c")}
    assert second.entries[ref("a")].uid == "ua"


def test_only_what_is_proven_gone_leaves() -> None:
    stored = EMPTY.planned(SECTION, desired("a", "b"))
    assert set(stored.without([ref("a"), ref("x")]).entries) == {ref("b")}
    assert stored.without([ref("x")]) is stored


def test_has_applied_needs_every_object_as_it_is_now() -> None:
    stored = EMPTY.planned(SECTION, desired("a", "b"))
    stored = stored.applied_object(manifest("a"), {})
    assert not stored.has_applied(desired("a", "b"))
    stored = stored.applied_object(manifest("b", "old"), {})
    assert not stored.has_applied(desired("a", "b"))
    assert stored.applied_object(manifest("b"), {}).has_applied(desired("a", "b"))


def test_what_was_found_equal_leaves_in_the_order_of_its_wave() -> None:
    late = Manifest(
        ref=ref("a"), api_version="v1", body={}, wave=7, key=key_of(ref("a"), 7), digest="d1"
    )
    found = EMPTY.found_equal([(late, "fields", "uid")])
    assert found.entries[ref("a")].wave == 7


def test_revision_grows_with_changes_only() -> None:
    stored = EMPTY.planned(SECTION, desired("a"))
    assert stored.revision == 1
    assert stored.planned(SECTION, desired("a")) is stored
    done = stored.completed("sha256:a")
    assert (done.revision, done.completed("sha256:a").revision) == (2, 2)
    running = OperationRecord(id="1")
    assert done.with_operation(running).with_operation(running).revision == 3


def live(name: str, tracking: str, **metadata: object) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": "home",
            "uid": f"u-{name}",
            "annotations": {TRACKING_ID: tracking, "argocd.argoproj.io/sync-wave": "3"},
            **metadata,
        },
    }


def test_rebuild_takes_only_what_is_marked_as_itself() -> None:
    found = rebuild(
        "app",
        "uid",
        [
            live("a", "app:/ConfigMap:home/a"),
            live("copied", "app:/ConfigMap:home/a"),
            live("other", "other:/ConfigMap:home/other"),
            live("nonsense", "?"),
            {"kind": "ConfigMap"},
        ],
    )
    assert list(found.entries.values()) == [Entry(ref=ref("a"), wave=3, uid="u-a")]
    assert not found.confirmed
    assert found.deletion == "orphan"
    assert found.completed("sha256:x").confirmed


def test_owners_groups_by_application() -> None:
    found = owners(
        [live("a", "x:/ConfigMap:home/a"), live("b", "y:/ConfigMap:home/b"), live("c", "")]
    )
    assert sorted(found) == ["x", "y"]


RECORD = OperationRecord(
    id="1",
    stage=Stage.FAILED,
    artifact="sha256:a",
    started=1,
    phase=SyncPhase.SYNC,
    wave=2,
    message="m",
    is_final=True,
    pruned_waves=(1, 2),
    hooks=(
        HookRun(phase=SyncPhase.PRE_SYNC, ref=ref("job"), state=HookState.FAILED, message="no"),
    ),
    results=(ResourceResult(ref="/ConfigMap:home/a", status="Pruned", phase="Sync"),),
)


def test_what_an_older_agent_wrote_of_an_operation_is_read() -> None:
    text = (
        '{"target":"app","cluster_uid":"u","revision":3,"shard":0,"shards":1,"operation":{"id":"1","phase":"Failed",'
        '"artifact":"sha256:a","started":1,"sync_phase":"Sync","wave":2,"message":"m","is_final":true,"unknown":1,'
        '"pruned_waves":[1,2],"hooks":[["PreSync","/ConfigMap:home/job","Failed","no"]],'
        '"results":[{"ref":"/ConfigMap:home/a","status":"Pruned","phase":"Sync"}]}}'
    )
    found = decode([text])
    assert found.operation == RECORD
    assert '"phase":"Failed"' in encode(found, "inventory.app")["inventory.app"]


@pytest.mark.parametrize("part", ['"phase":"Sleeping"', '"hooks":[["PreSync","job","Failed",""]]'])
def test_an_operation_that_cannot_be_read_is_said(part: str) -> None:
    text = f'{{"target":"app","cluster_uid":"u","revision":3,"shard":0,"shards":1,"operation":{{"id":"1",{part}}}}}'
    with pytest.raises(Corrupt, match="inventory holds"):
        decode([text])


NAMES = st.text("abcdefghij-.", min_size=1, max_size=12).filter(lambda text: "/" not in text)


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    refs = draw(
        st.lists(st.builds(ObjectRef, NAMES, NAMES, NAMES, NAMES), unique=True, max_size=30)
    )
    entries = {
        item: Entry(
            ref=item, wave=draw(st.integers(-5, 5)), body=draw(NAMES), keep=draw(st.booleans())
        )
        for item in sorted(refs)
    }
    return Inventory(
        target=draw(NAMES),
        cluster_uid="uid",
        deletion="background",
        edges=("db",),
        applied="sha256:a",
        entries=entries,
        operation=draw(st.none() | st.just(OperationRecord(id="1")) | st.just(RECORD)),
        hooks={ref("job"): HookEntry(ref=ref("job"), unanswered=draw(st.booleans()))},
        confirmed=draw(st.booleans()),
        revision=draw(st.integers(0, 9)),
    )


@given(inventories(), st.sampled_from([4500, 5000, 512 * 1024]), st.randoms())
def test_what_is_encoded_comes_back_in_any_order(
    inventory: Inventory, limit: int, order: random.Random
) -> None:
    texts = encode(inventory, "inventory-x", limit=limit)
    assert all(len(text.encode()) <= limit for text in texts.values())
    shuffled = list(texts.values())
    order.shuffle(shuffled)
    assert decode(shuffled) == inventory


def big(revision: int, names: range) -> Inventory:
    entries = {ref(f"{n:04}"): Entry(ref=ref(f"{n:04}"), body="b", fields="f") for n in names}
    return Inventory(target="app", cluster_uid="u", entries=entries, revision=revision)


def test_a_write_cut_short_loses_no_object() -> None:
    old = encode(big(1, range(200)), "i", limit=4500)
    new = encode(big(2, range(100, 300)), "i", limit=4500)
    assert len(new) > 2
    assert not set(old) & set(new)
    half = list(new.values())[: len(new) // 2]
    found = decode([*old.values(), *half])
    assert found.revision == 1
    assert set(big(1, range(200)).entries) <= set(found.entries)
    # The other way round: the new set is whole, the old one was not removed yet.
    both = decode([*old.values(), *new.values()])
    assert both.revision == 2
    assert set(both.entries) == set(big(1, range(300)).entries)
    assert both.entries[ref("0000")].body == ""
    assert both.entries[ref("0150")].body == "b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"format": 9, "target": "a", "cluster_uid": "u", "revision": 1, "shard": 0, "shards": 1}',
    ],
)
def test_unreadable_texts_are_corrupt(text: str) -> None:
    with pytest.raises(Corrupt):
        decode([text])


def test_parts_missing_or_mixed_are_corrupt() -> None:
    texts = list(encode(big(1, range(200)), "i", limit=4500).values())
    with pytest.raises(Corrupt, match="incomplete"):
        decode(texts[1:])
    with pytest.raises(Corrupt, match="incomplete"):
        decode([])
    other = encode(Inventory(target="b", cluster_uid="u"), "b")
    with pytest.raises(Corrupt, match="mixes"):
        decode([*texts, *other.values()])
