"""Plan: what is done, in which order, and above all what is never deleted.

The simulated cluster carries a plan out the way an agent does, so that properties over whole runs can be stated.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.codec.jsontypes import JsonObject
from fleet.errors import NotReady
from fleet.model.assignment import ProjectRules, Section
from fleet.model.identity import ObjectRef
from fleet.model.report import Health
from fleet.sync.desired import Desired, Problem
from fleet.sync.drift import LiveObject
from fleet.sync.ignore import Ignored
from fleet.sync.inventory import Entry, Inventory
from fleet.sync.manifest import Manifest, tracking_id
from fleet.sync.order import key_of
from fleet.sync.plan import Plan, plan, plan_removal, to_compare
from fleet.sync.policy import NOTHING, Permission
from fleet.sync.record import OperationRecord
from fleet.sync.steps import Reason, Step, Verb, wait_healthy

ALL = Permission(apply_new=True, heal=True, prune=True, allow_empty=False)
NO_HEAL = replace(ALL, heal=False)
NO_PRUNE = replace(ALL, prune=False)
SECTION = Section(target="app", project=ProjectRules(name="p"), deletion="foreground")
EMPTY = Inventory(target="app", cluster_uid="u")


def ref(text: str) -> ObjectRef:
    """``name`` or ``Kind/name``."""
    kind, _, name = text.rpartition("/")
    kind = kind or "ConfigMap"
    group = {
        "CustomResourceDefinition": "apiextensions.k8s.io",
        "Deployment": "apps",
        "Widget": "example.com",
    }
    scoped = kind in ("Namespace", "CustomResourceDefinition")
    return ObjectRef(group.get(kind, ""), kind, "" if scoped else "home", name)


def manifest(text: str, digest: str = "1", wave: int = 0, **more: object) -> Manifest:
    item = ref(text)
    return Manifest(
        ref=item,
        api_version="v1",
        body={},
        wave=wave,
        key=key_of(item, wave),
        digest=digest,
        **more,  # type: ignore[arg-type]
    )


def desired(
    *items: Manifest, artifact: str = "sha256:a", problems: tuple[Problem, ...] = ()
) -> Desired:
    return Desired(
        target="app",
        artifact=artifact,
        manifests=tuple(sorted(items, key=lambda item: item.key)),
        problems=problems,
        _refs=frozenset(i.ref for i in items) | frozenset(p.ref for p in problems),
    )


@dataclass
class Cluster:
    """Objects with the record of ownership, and one target's stored inventory."""

    inventory: Inventory = EMPTY
    live: dict[ObjectRef, LiveObject] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    uids: int = 0

    def run(
        self, wanted: Desired, permission: Permission = ALL, *, stop_after: int = 10**6
    ) -> Plan:
        self.inventory = self.inventory.planned(SECTION, wanted)
        made = plan(wanted, self.inventory, self.live, permission)
        self.inventory = self.inventory.found_equal(made.equal).without(made.forget)
        for step in made.steps:
            for change in step.changes:
                if len(self.writes) >= stop_after:
                    return made
                self.writes.append(f"{step.verb} {change.ref.name}")
                if change.manifest:
                    self.apply(change.manifest)
                else:
                    self.delete(change.ref, change.uid)
        if self.inventory.has_applied(wanted):
            self.inventory = self.inventory.completed(wanted.artifact)
        return made

    def apply(self, item: Manifest) -> None:
        self.uids += 1
        known = self.live.get(item.ref)
        uid = known.uid if known else f"u{self.uids}"
        fields = self.fields(item)
        self.live[item.ref] = LiveObject(
            uid=uid, fields=fields, tracking=tracking_id("app", item.ref)
        )
        self.record(item, uid)

    def fields(self, item: Manifest) -> str:
        return f"fields of {item.digest}"

    def record(self, item: Manifest, uid: str) -> None:
        entry = Entry(
            ref=item.ref,
            wave=item.wave,
            body=item.digest,
            fields=self.fields(item),
            uid=uid,
            keep=item.keep,
        )
        self.inventory = replace(
            self.inventory, entries={**self.inventory.entries, item.ref: entry}
        )

    def delete(self, item: ObjectRef, uid: str) -> None:
        if item in self.live and self.live[item].uid == uid:
            del self.live[item]
        self.inventory = self.inventory.without([item])


def deployed(*items: Manifest) -> Cluster:
    cluster = Cluster()
    cluster.run(desired(*items))
    cluster.writes.clear()
    return cluster


def shape(made: Plan) -> list[str]:
    return [
        f"{step.verb.name} {' '.join(sorted(c.ref.name for c in step.changes) or [r.name for r in step.refs])}"
        for step in made.steps
    ]


def reasons(made: Plan) -> dict[str, Reason]:
    return {change.ref.name: change.reason for step in made.steps for change in step.changes}


# Order


def test_waves_wait_for_the_health_of_everything_before() -> None:
    wanted = desired(
        manifest("c", wave=2),
        manifest("Deployment/d", wave=2),
        manifest("a"),
        manifest("Service/b"),
        manifest("e", wave=5),
    )
    assert shape(Cluster().run(wanted)) == [
        "APPLY a",
        "APPLY b",
        "WAIT_HEALTHY a b",
        "APPLY c",
        "APPLY d",
        "WAIT_HEALTHY c d",
        "APPLY e",
    ]


def test_a_change_in_a_later_wave_waits_for_unchanged_earlier_ones() -> None:
    cluster = deployed(manifest("a"), manifest("b", wave=1), manifest("c", wave=2))
    wanted = desired(
        manifest("a"), manifest("b", wave=1), manifest("c", "2", wave=2), artifact="sha256:b"
    )
    assert shape(cluster.run(wanted)) == ["WAIT_HEALTHY a b", "APPLY c"]


def test_a_repair_waits_only_for_what_it_repairs() -> None:
    items = (manifest("a"), manifest("b", wave=1), manifest("c", wave=2))
    cluster = deployed(*items)
    del cluster.live[ref("c")]
    assert shape(cluster.run(desired(*items))) == ["APPLY c"]
    del cluster.live[ref("a")], cluster.live[ref("c")]
    assert shape(cluster.run(desired(*items))) == ["APPLY a", "WAIT_HEALTHY a", "APPLY c"]


def test_a_crd_is_waited_for_before_its_objects() -> None:
    wanted = desired(
        manifest("Widget/w"), manifest("CustomResourceDefinition/widgets"), manifest("a")
    )
    assert shape(Cluster().run(wanted)) == [
        "APPLY a",
        "APPLY widgets",
        "WAIT_HEALTHY widgets",
        "APPLY w",
    ]


def test_deleting_is_mirrored_and_first_at_its_place() -> None:
    items = (
        manifest("Namespace/n"),
        manifest("CustomResourceDefinition/x"),
        manifest("a"),
        manifest("b", wave=3),
        manifest("keep"),
    )
    cluster = deployed(*items)
    wanted = desired(manifest("keep", "2"), artifact="sha256:b")
    assert shape(cluster.run(wanted)) == [
        "PRUNE b",
        "APPLY keep",
        "WAIT_GONE b",
        "WAIT_HEALTHY keep",
        "PRUNE a",
        "WAIT_GONE a",
        "PRUNE n x",
        "WAIT_GONE x n",
    ]


def test_what_is_left_to_prune_keeps_its_place_when_the_rest_is_gone() -> None:
    cluster = deployed(manifest("low"), manifest("high", wave=2), manifest("stays"))
    wanted = desired(manifest("stays"), manifest("one", wave=1), artifact="sha256:b")
    first = plan(wanted, cluster.inventory, cluster.live, ALL)
    assert first.pruned_waves == (0, 2)
    assert [step.wave for step in first.steps if step.verb is Verb.PRUNE] == [0, 2]
    record = OperationRecord(id="op", pruned_waves=first.pruned_waves)
    cluster.delete(ref("high"), cluster.live[ref("high")].uid)
    later = plan(wanted, cluster.inventory.with_operation(record), cluster.live, ALL)
    assert [step.wave for step in later.steps if step.verb is Verb.PRUNE] == [2]


# Reasons and policy


def test_nothing_to_do_when_everything_is_as_desired() -> None:
    items = (manifest("a"), manifest("b", wave=1))
    cluster = deployed(*items)
    made = cluster.run(desired(*items))
    assert made == Plan()
    assert made.is_empty
    assert cluster.inventory.applied == "sha256:a"


def test_reasons() -> None:
    cluster = deployed(
        manifest("same"),
        manifest("changed"),
        manifest("missing"),
        manifest("drifted"),
        manifest("left"),
    )
    del cluster.live[ref("missing")]
    cluster.live[ref("drifted")] = replace(cluster.live[ref("drifted")], fields="less")
    cluster.live[ref("adopted")] = LiveObject(uid="x", tracking=tracking_id("app", ref("adopted")))
    wanted = desired(
        *(manifest(name) for name in ("same", "missing", "drifted", "adopted", "new")),
        manifest("changed", "2"),
        artifact="sha256:b",
    )
    made = cluster.run(wanted)
    assert reasons(made) == {
        "changed": Reason.CHANGE,
        "missing": Reason.MISSING,
        "drifted": Reason.DRIFT,
        "adopted": Reason.ADOPT,
        "new": Reason.CREATE,
        "left": Reason.LEFT,
    }
    assert {item.name: text for item, text in made.out_of_sync.items()} == {
        name: reason.value for name, reason in reasons(made).items()
    }


@pytest.mark.parametrize(
    ("permission", "new", "expected"),
    [
        (NOTHING, True, set()),
        (NOTHING, False, set()),
        (NO_HEAL, True, {"changed", "missing", "drifted", "left"}),
        (NO_HEAL, False, {"left"}),
        (NO_PRUNE, True, {"changed", "missing", "drifted"}),
        (NO_PRUNE, False, {"missing", "drifted"}),
        (ALL, False, {"missing", "drifted", "left"}),
    ],
    ids=[
        "nothing, new",
        "nothing",
        "no selfHeal, new",
        "no selfHeal",
        "no prune, new",
        "no prune",
        "all",
    ],
)
def test_policy_decides_and_the_rest_is_shown(
    permission: Permission, new: bool, expected: set[str]
) -> None:
    cluster = deployed(
        manifest("changed"), manifest("missing"), manifest("drifted"), manifest("left")
    )
    del cluster.live[ref("missing")]
    cluster.live[ref("drifted")] = replace(cluster.live[ref("drifted")], fields="less")
    wanted = desired(
        manifest("changed", "2" if new else "1"),
        manifest("missing"),
        manifest("drifted"),
        artifact="sha256:b" if new else "sha256:a",
    )
    made = cluster.run(wanted, permission)
    assert set(reasons(made)) == expected
    different = {"missing", "drifted", "left"} | ({"changed"} if new else set())
    assert {item.name for item in made.out_of_sync} == different
    assert made.leaves_differences == (expected != different)
    if "left" not in expected:
        assert ref("left") in cluster.live
        assert ref("left") in cluster.inventory.entries


def test_an_object_under_deletion_is_neither_applied_nor_in_sync() -> None:
    cluster = deployed(manifest("a"))
    cluster.live[ref("a")] = replace(cluster.live[ref("a")], deleting=True)
    made = cluster.run(desired(manifest("a")))
    assert made.steps == ()
    assert dict(made.out_of_sync) == {ref("a"): "is being deleted"}


# What is never deleted


def leaving(cluster: Cluster, wanted: Desired, permission: Permission = ALL) -> Plan:
    made = cluster.run(wanted, permission)
    assert ref("left") in cluster.live
    return made


def test_nothing_is_deleted_while_an_object_of_the_artifact_has_a_problem() -> None:
    cluster = deployed(manifest("left"), manifest("stays"))
    problem = Problem(ref("Widget/w"), NotReady("no such kind"))
    made = leaving(cluster, desired(manifest("stays"), artifact="sha256:b", problems=(problem,)))
    assert "cannot be applied" in made.refused


def test_an_empty_artifact_deletes_nothing_unless_that_is_allowed() -> None:
    cluster = deployed(manifest("left"), manifest("other"))
    made = leaving(cluster, desired(artifact="sha256:b"))
    assert "would delete all 2 objects" in made.refused
    cluster.run(desired(artifact="sha256:b"), replace(ALL, allow_empty=True))
    assert cluster.live == {}


def test_no_artifact_is_not_an_empty_one() -> None:
    cluster = deployed(manifest("left"))
    made = leaving(cluster, desired(artifact=""), replace(ALL, allow_empty=True))
    assert made.refused == "nothing is deleted without an artifact"


def test_a_rebuilt_inventory_deletes_only_after_one_complete_apply() -> None:
    cluster = deployed(manifest("left"), manifest("stays"))
    cluster.inventory = replace(
        cluster.inventory,
        confirmed=False,
        applied="",
        entries={r: replace(e, body="", fields="") for r, e in cluster.inventory.entries.items()},
    )
    wanted = desired(manifest("stays"), artifact="sha256:b")
    assert "was rebuilt" in leaving(cluster, wanted).refused
    assert cluster.inventory.confirmed
    cluster.run(wanted)
    assert ref("left") not in cluster.live


@pytest.mark.parametrize(
    ("there", "deleted"),
    [
        (LiveObject(uid="u1", tracking=tracking_id("app", ref("left"))), True),
        (LiveObject(uid="other", tracking=tracking_id("app", ref("left"))), True),
        (LiveObject(uid="u1", tracking=""), True),
        (LiveObject(uid="other", tracking=""), False),
        (LiveObject(uid="u1", tracking=tracking_id("neighbour", ref("left"))), False),
        (LiveObject(uid="other", tracking=tracking_id("app", ref("copied"))), False),
    ],
    ids=[
        "ours",
        "recreated by us",
        "mark removed",
        "recreated by others",
        "taken over",
        "mark copied",
    ],
)
def test_deleting_needs_proof_that_the_object_is_ours(there: LiveObject, deleted: bool) -> None:
    cluster = deployed(manifest("left"))
    cluster.live[ref("left")] = there
    cluster.run(desired(manifest("new"), artifact="sha256:b"))
    assert (ref("left") in cluster.live) is not deleted
    assert ref("left") not in cluster.inventory.entries


def test_an_unseen_object_is_deleted_by_its_uid_only() -> None:
    cluster = deployed(manifest("left"))
    del cluster.live[ref("left")]
    made = plan(desired(manifest("new"), artifact="sha256:b"), cluster.inventory, cluster.live, ALL)
    (change,) = [c for step in made.steps if step.verb is Verb.PRUNE for c in step.changes]
    assert change.uid == "u1"


def test_kept_objects_stay_and_are_shown() -> None:
    cluster = deployed(manifest("left", keep=True), manifest("gone"))
    made = leaving(cluster, desired(manifest("new"), artifact="sha256:b"))
    assert ref("gone") not in cluster.live
    assert made.out_of_sync[ref("left")] == Reason.LEFT.value


def test_an_extraneous_object_is_not_shown_and_not_spared() -> None:
    cluster = deployed(manifest("left"))
    cluster.live[ref("left")] = replace(cluster.live[ref("left")], extraneous=True)
    new = desired(manifest("new"), artifact="sha256:b")
    made = plan(new, cluster.inventory, cluster.live, NO_PRUNE)
    assert ref("left") not in made.out_of_sync
    cluster.run(new)
    assert ref("left") not in cluster.live


def test_an_object_that_moved_to_another_application_is_not_deleted() -> None:
    cluster = deployed(manifest("left"))
    made = plan(
        desired(manifest("new"), artifact="sha256:b"),
        cluster.inventory,
        cluster.live,
        ALL,
        claimed={ref("left"): "neighbour"},
    )
    assert set(reasons(made)) == {"new"}


def test_two_applications_with_one_object_do_not_fight() -> None:
    live = {ref("a"): LiveObject(uid="x", tracking=tracking_id("neighbour", ref("a")))}
    both = plan(desired(manifest("a")), EMPTY, live, ALL, claimed={ref("a"): "neighbour"})
    assert both.steps == ()
    assert dict(both.out_of_sync) == {
        ref("a"): "belongs to application neighbour, which has it too"
    }
    moved = plan(desired(manifest("a")), EMPTY, live, ALL)
    assert reasons(moved) == {"a": Reason.ADOPT}


# Removal of a whole target


@pytest.mark.parametrize(
    ("deletion", "expected"),
    [
        ("orphan", []),
        (
            "foreground",
            ["PRUNE b", "WAIT_GONE b", "PRUNE a", "WAIT_GONE a", "PRUNE n", "WAIT_GONE n"],
        ),
        (
            "background",
            ["PRUNE b", "WAIT_GONE b", "PRUNE a", "WAIT_GONE a", "PRUNE n", "WAIT_GONE n"],
        ),
    ],
)
def test_removal_follows_the_policy_and_leaves_crds_and_kept_objects(
    deletion: str, expected: list[str]
) -> None:
    cluster = deployed(
        manifest("a"),
        manifest("b", wave=1),
        manifest("Namespace/n"),
        manifest("CustomResourceDefinition/c"),
        manifest("k", keep=True),
    )
    inventory = replace(cluster.inventory, deletion=deletion)
    assert shape(plan_removal(inventory, cluster.live)) == expected


def test_removal_with_a_rebuilt_inventory_keeps_everything() -> None:
    cluster = deployed(manifest("a"))
    made = plan_removal(replace(cluster.inventory, confirmed=False), cluster.live)
    assert made.is_empty
    assert "stay" in made.refused


def test_a_deletion_is_asked_for_once_and_then_waited_for() -> None:
    cluster = deployed(manifest("a"), manifest("b"))
    cluster.live[ref("a")] = replace(cluster.live[ref("a")], deleting=True)
    made = plan_removal(cluster.inventory, cluster.live)
    assert shape(made) == ["PRUNE b", "WAIT_GONE a b"]
    cluster.live[ref("b")] = replace(cluster.live[ref("b")], deleting=True)
    assert shape(plan_removal(cluster.inventory, cluster.live)) == ["WAIT_GONE a b"]


def test_removal_spares_what_another_application_has() -> None:
    cluster = deployed(manifest("a"), manifest("b"))
    made = plan_removal(cluster.inventory, cluster.live, claimed={ref("a"): "neighbour"})
    assert set(reasons(made)) == {"b"}


# Comparison on demand


def test_to_compare_names_what_only_a_full_comparison_tells() -> None:
    ignoring = manifest("ignoring", ignore=Ignored(pointers=("/spec/x",)))
    items = (
        ignoring,
        manifest("plain"),
        manifest("same", ignore=Ignored(pointers=("/spec/x",))),
        manifest("unrecorded"),
    )
    cluster = deployed(*items)
    for name in ("ignoring", "plain"):
        cluster.live[ref(name)] = replace(cluster.live[ref(name)], fields="less")
    entry = cluster.inventory.entries[ref("unrecorded")]
    cluster.inventory = replace(
        cluster.inventory,
        entries={**cluster.inventory.entries, ref("unrecorded"): replace(entry, body="")},
    )
    found = to_compare(desired(*items), cluster.inventory, cluster.live)
    assert [item.ref.name for item in found] == ["ignoring", "unrecorded"]


@pytest.mark.parametrize(
    ("ignored", "asked", "expected"),
    [
        (Ignored(pointers=("/a",)), [], {"a": Reason.CHANGE}),
        (Ignored(expressions=(".a",)), ["a"], {}),
        (Ignored(managers=("hpa",)), ["a"], {}),
    ],
    ids=["known from the digest", "jq", "managers"],
)
def test_whether_a_change_of_git_is_one_of_ignored_fields_alone_is_compared(
    ignored: Ignored, asked: list[str], expected: dict[str, Reason]
) -> None:
    cluster = deployed(manifest("a", ignore=ignored))
    new = desired(manifest("a", digest="2", ignore=ignored), artifact="sha256:b")
    assert [item.ref.name for item in to_compare(new, cluster.inventory, cluster.live)] == asked
    cluster.live[ref("a")] = replace(cluster.live[ref("a")], matches=bool(asked) or None)
    assert reasons(cluster.run(new)) == expected
    assert cluster.inventory.applied == "sha256:b"


@pytest.mark.parametrize(("equal", "expected"), [(True, {}), (False, {"a": Reason.DRIFT})], ids=str)
def test_the_comparison_decides_and_is_recorded(equal: bool, expected: dict[str, Reason]) -> None:
    item = manifest("a", ignore=Ignored(pointers=("/spec/x",)))
    cluster = deployed(item)
    cluster.live[ref("a")] = replace(cluster.live[ref("a")], fields="less", matches=equal)
    made = cluster.run(desired(item))
    assert reasons(made) == expected
    if equal:
        assert cluster.inventory.entries[ref("a")].fields == "less"
        cluster.live[ref("a")] = replace(cluster.live[ref("a")], matches=None)
        assert cluster.run(desired(item)) == Plan()


def test_a_comparison_that_finds_a_difference_counts_although_ownership_is_intact() -> None:
    cluster = deployed(manifest("a"))
    cluster.live[ref("a")] = replace(cluster.live[ref("a")], matches=False)
    assert reasons(cluster.run(desired(manifest("a")))) == {"a": Reason.DRIFT}


# CreateNamespace


def test_a_made_namespace_comes_with_what_is_created_in_it_only() -> None:
    home = manifest("Namespace/home", keep=True, tracked=False)
    cluster = Cluster()
    assert shape(cluster.run(desired(home, manifest("a")))) == ["APPLY home", "APPLY a"]
    del cluster.live[ref("Namespace/home")]  # it carries no label, so no watch shows it
    assert cluster.run(desired(home, manifest("a"))).is_empty
    changed = desired(home, manifest("a", "2"), artifact="sha256:b")
    assert shape(cluster.run(changed)) == ["APPLY a"]
    cluster.live.clear()
    assert shape(cluster.run(changed)) == ["APPLY home", "APPLY a"]
    assert "home" not in reasons(plan_removal(cluster.inventory, cluster.live))


# Waiting


def test_waiting_ends_when_all_are_healthy_or_have_no_rule() -> None:
    step = Step(verb=Verb.WAIT_HEALTHY, refs=(ref("a"), ref("b"), ref("c"), ref("d")))
    health: dict[ObjectRef, Health | None] = {ref("a"): Health.HEALTHY, ref("b"): None}
    health |= {ref("c"): Health.DEGRADED}
    found = wait_healthy(step, health)
    assert (found.left, found.failed, found.is_done) == ((ref("c"), ref("d")), (ref("c"),), False)
    health |= {ref("c"): Health.HEALTHY, ref("d"): Health.HEALTHY}
    assert wait_healthy(step, health).is_done


# Properties


KINDS = ("ConfigMap", "Deployment", "Widget", "CustomResourceDefinition", "Namespace")


@st.composite
def states(draw: st.DrawFn) -> tuple[Manifest, ...]:
    chosen = draw(
        st.dictionaries(
            st.tuples(st.sampled_from(KINDS), st.sampled_from("abcde")),
            st.tuples(st.sampled_from("123"), st.integers(-1, 2)),
            min_size=1,
            max_size=8,
        )
    )
    return tuple(
        manifest(f"{kind}/{name}", *values) for (kind, name), values in sorted(chosen.items())
    )


def wanted_of(items: tuple[Manifest, ...], number: int) -> Desired:
    return desired(*items, artifact=f"sha256:{number}")


def names(cluster: Cluster) -> dict[ObjectRef, str]:
    return {item: there.fields for item, there in cluster.live.items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(states(), min_size=1, max_size=4))
def test_applying_twice_is_applying_once(history: list[tuple[Manifest, ...]]) -> None:
    cluster = Cluster()
    for number, items in enumerate(history):
        cluster.run(wanted_of(items, number))
        cluster.writes.clear()
        assert cluster.run(wanted_of(items, number)) == Plan()
        assert names(cluster) == {item.ref: cluster.fields(item) for item in items}


@settings(max_examples=60, deadline=None)
@given(states(), states(), st.integers(0, 10))
def test_a_run_cut_short_anywhere_is_finished_without_orphan(
    first: tuple[Manifest, ...], second: tuple[Manifest, ...], cut: int
) -> None:
    cluster = Cluster()
    cluster.run(wanted_of(first, 1), stop_after=cut)
    cluster.writes.clear()
    cluster.run(wanted_of(second, 2), stop_after=cut)
    cluster.run(wanted_of(second, 2))
    cluster.run(wanted_of(second, 2))
    assert names(cluster) == {item.ref: cluster.fields(item) for item in second}
    assert set(cluster.inventory.entries) == {item.ref for item in second}


@settings(max_examples=60, deadline=None)
@given(states(), states(), st.randoms())
def test_the_plan_does_not_depend_on_the_order_of_the_facts(
    first: tuple[Manifest, ...], second: tuple[Manifest, ...], order: random.Random
) -> None:
    cluster = deployed(*first)
    expected = plan(wanted_of(second, 2), cluster.inventory, cluster.live, ALL)
    items, entries, live = (
        list(second),
        list(cluster.inventory.entries.items()),
        list(cluster.live.items()),
    )
    for facts in (items, entries, live):
        order.shuffle(facts)
    shuffled = replace(cluster.inventory, entries=dict(entries))
    assert plan(wanted_of(tuple(items), 2), shuffled, dict(live), ALL) == expected


@settings(max_examples=60, deadline=None)
@given(states(), states(), st.lists(st.sampled_from("abcde")), st.booleans(), st.booleans())
def test_nothing_is_deleted_that_is_wanted_or_was_never_ours(
    first: tuple[Manifest, ...],
    second: tuple[Manifest, ...],
    foreign: list[str],
    prune: bool,
    heal: bool,
) -> None:
    cluster = deployed(*first)
    strangers = {ref(f"Secret/{name}") for name in foreign}
    cluster.live |= {item: LiveObject(uid="stranger") for item in strangers}
    permission = Permission(apply_new=True, heal=heal, prune=prune, allow_empty=True)
    made = plan(wanted_of(second, 2), cluster.inventory, cluster.live, permission)
    deleted = {c.ref for step in made.steps if step.verb is Verb.PRUNE for c in step.changes}
    assert deleted <= {item.ref for item in first} - {item.ref for item in second} - strangers
    assert prune or not deleted


def test_applied_objects_record_what_the_server_answered() -> None:
    item = manifest("a")
    answer: JsonObject = {
        "metadata": {
            "uid": "u",
            "managedFields": [
                {"manager": "gitops-fleet", "operation": "Apply", "fieldsV1": {"f:a": {}}}
            ],
        }
    }
    (entry,) = EMPTY.applied_objects([(item, answer)]).entries.values()
    assert (entry.uid, entry.body, bool(entry.fields)) == ("u", "1", True)
