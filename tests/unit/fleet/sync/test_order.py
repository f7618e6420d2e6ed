"""Order: phase, wave, kind and name as one key; what has to be there before; mirrored prunes; the sequence of steps."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.identity import ObjectRef
from fleet.sync import order
from fleet.sync.hooks import Attempt, Hook, HookTask, tasks
from fleet.sync.manifest import CRD, NAMESPACE, Manifest
from fleet.sync.phases import SyncPhase
from fleet.sync.steps import Change, Deletion, Reason, Step, Verb, sequence

PRE, SYNC, POST = SyncPhase.PRE_SYNC, SyncPhase.SYNC, SyncPhase.POST_SYNC


def ref(kind: str, name: str, namespace: str = "shop") -> ObjectRef:
    group = {"Job": "batch", "Deployment": "apps", "Widget": "example.com"}.get(kind, "")
    return ObjectRef(group, kind, namespace, name)


def change(kind: str, name: str, wave: int = 0, phase: SyncPhase = SYNC) -> Change:
    item = ref(kind, name)
    manifest = Manifest(
        ref=item, api_version="v1", body={}, wave=wave, key=order.key_of(item, wave, phase)
    )
    return Change(ref=item, reason=Reason.CREATE, manifest=manifest)


def task(name: str, phase: SyncPhase, wave: int = 0, kind: str = "Job") -> HookTask:
    hook = Hook(
        ref=ref(kind, name),
        api_version="batch/v1",
        body={},
        wave=wave,
        phases=(phase,),
        policies=frozenset(),
    )
    (made,) = tasks([hook], Attempt(operation="op"))
    return made


def shape(steps: list[Step]) -> list[str]:
    found = []
    for step in steps:
        names = [c.ref.name for c in step.changes] or [r.name for r in step.refs]
        names = names or [t.ref.name for t in step.hooks]
        found.append(f"{step.title}: {step.verb.name} {' '.join(sorted(names))}")
    return found


def test_one_key_orders_phase_wave_kind_and_name() -> None:
    expected = [
        order.key_of(ref("Job", "z"), 5, PRE),
        order.key_of(ref("Deployment", "z"), -1),
        order.key_of(ref("ConfigMap", "z"), 0),
        order.key_of(ref("Deployment", "a"), 0),
        order.key_of(ref("Deployment", "b"), 0),
        order.key_of(ref("Widget", "a"), 0),
        order.key_of(ref("ConfigMap", "a"), 1),
        order.key_of(ref("Job", "a"), -9, POST),
        order.key_of(ref("Job", "a"), -9, SyncPhase.SYNC_FAIL),
    ]
    shuffled = expected.copy()
    random.Random(1).shuffle(shuffled)
    assert sorted(shuffled) == expected


def test_what_is_needed_inherits_the_place_of_the_first_that_needs_it() -> None:
    namespace = ObjectRef(*NAMESPACE, "", "shop")
    crd = ObjectRef(*CRD, "", "widgets.example.com")
    places = {
        namespace: (SYNC.rank, 3),
        crd: (SYNC.rank, 9),
        ref("Widget", "w"): (SYNC.rank, 2),
        ref("ConfigMap", "a"): (SYNC.rank, 1),
    }
    kinds = {crd: ("example.com", "Widget")}
    found = order.effective_places(places, kinds)
    assert (found[namespace], found[crd]) == ((SYNC.rank, 1), (SYNC.rank, 2))
    hooks = [(ref("Widget", "h"), (PRE.rank, 4)), (ref("Job", "j"), (PRE.rank, -1))]
    found = order.effective_places(places, kinds, hooks)
    assert (found[namespace], found[crd]) == ((PRE.rank, -1), (PRE.rank, 4))


@pytest.mark.parametrize(
    ("waves", "expected"),
    [
        ([], {}),
        ([3], {3: 3}),
        ([0, 5, 0, 2], {0: 5, 2: 2, 5: 0}),
        ([-1, 4], {-1: 4, 4: -1}),
    ],
    ids=str,
)
def test_waves_are_mirrored_among_themselves(waves: list[int], expected: dict[int, int]) -> None:
    assert order.mirrored(waves) == expected


def test_the_sequence_of_a_whole_sync() -> None:
    low, high = (
        Deletion(ref=ref("ConfigMap", "old"), wave=0),
        Deletion(ref=ref("Job", "last"), wave=0),
    )
    home = Deletion(ref=ObjectRef(*NAMESPACE, "", "home"), wave=0)
    made = sequence(
        [change("Deployment", "web"), change("ConfigMap", "a"), change("ConfigMap", "b", 1)],
        [task("before", PRE, -1), task("middle", SYNC), task("after", POST)],
        {(SYNC.rank, 0): [low, home], (SYNC.rank, 2): [high]},
        {ref("ConfigMap", "a"): (SYNC.rank, 0), ref("Deployment", "web"): (SYNC.rank, 0),
         ref("ConfigMap", "b"): (SYNC.rank, 1)},
    )  # fmt: skip
    assert shape(list(made)) == [
        "PreSync wave -1: START_HOOKS before",
        "PreSync wave -1: WAIT_HOOKS before",
        "Sync wave 0: PRUNE old",
        "Sync wave 0: APPLY a",
        "Sync wave 0: APPLY web",
        "Sync wave 0: START_HOOKS middle",
        "Sync wave 0: WAIT_GONE old",
        "Sync wave 0: PRUNE home",
        "Sync wave 0: WAIT_GONE home",
        "Sync wave 0: WAIT_HOOKS middle",
        "Sync wave 1: WAIT_HEALTHY a web",
        "Sync wave 1: APPLY b",
        "Sync wave 2: WAIT_HEALTHY b",
        "Sync wave 2: PRUNE last",
        "Sync wave 2: WAIT_GONE last",
        "PostSync wave 0: START_HOOKS after",
        "PostSync wave 0: WAIT_HOOKS after",
    ]


CHANGES = st.builds(
    change, st.sampled_from(["ConfigMap", "Deployment", "Widget"]), st.sampled_from("abcd"), st.integers(-1, 2)
)  # fmt: skip
HOOKS = st.builds(
    task, st.sampled_from("wxyz"), st.sampled_from([PRE, SYNC, POST]), st.integers(-1, 2)
)


@given(
    st.lists(CHANGES, unique_by=lambda item: item.ref, max_size=8),
    st.lists(HOOKS, unique_by=lambda item: (item.ref, item.phase), max_size=8),
    st.randoms(),
)
def test_the_sequence_does_not_depend_on_the_order_of_its_input(
    changes: list[Change], hooks: list[HookTask], rng: random.Random
) -> None:
    waiting = {item.ref: item.manifest.key[:2] for item in changes if item.manifest}
    expected = list(sequence(changes, hooks, {}, waiting))
    rng.shuffle(changes)
    rng.shuffle(hooks)
    assert list(sequence(changes, hooks, {}, waiting)) == expected
    assert all(one.place <= two.place for one, two in pairwise(expected))
    begun = [t for step in expected if step.verb is Verb.START_HOOKS for t in step.hooks]
    awaited = [t for step in expected if step.verb is Verb.WAIT_HOOKS for t in step.hooks]
    assert (
        sorted(t.key for t in begun)
        == sorted(t.key for t in awaited)
        == sorted(t.key for t in hooks)
    )
    for number, step in enumerate(expected):
        if step.verb is Verb.START_HOOKS:
            before = {r for s in expected[:number] for r in s.refs if s.verb is Verb.WAIT_HEALTHY}
            assert {r for r, at in waiting.items() if at < step.place} <= before
