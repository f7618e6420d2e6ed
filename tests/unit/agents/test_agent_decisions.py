"""The agent's small decisions: operations, pacing, what a report says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.identity import Identity, decode, encode
from agents.pacing import Pacer
from agents.reporting import Reporting
from fleet.errors import BadInput, Corrupt, FleetError, NotReady, Transient
from fleet.kube.errors import UnknownKind
from fleet.model.assignment import Head, Operation
from fleet.model.identity import ObjectRef
from fleet.model.report import ClusterFacts, Health, Report, Sync, TargetStatus
from fleet.testing.clock import FakeClock
from fleet.wire.reports import SendAll, Whole, apply_report

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAST, FUTURE = (NOW - timedelta(hours=1)).isoformat(), (NOW + timedelta(hours=1)).isoformat()


def asked(name: str, kind: str = "sync", not_after: str = FUTURE) -> Operation:
    return Operation(id=name, target="app", kind=kind, not_after=not_after)


# pacing

REF = ObjectRef("", "ConfigMap", "shop", "a")


async def test_first_healing_costs_no_waiting_the_next_ones_more_and_more() -> None:
    clock = FakeClock()
    pacer = Pacer(clock)
    waits = []
    for _ in range(6):
        waits.append(pacer.wait(REF, "one"))
        await clock.advance(waits[-1])
        pacer.healed(REF, "one")
    assert waits == [0, 2, 6, 18, 54, 162]


async def test_quiet_while_forgives() -> None:
    clock = FakeClock()
    pacer = Pacer(clock)
    for _ in range(4):
        pacer.healed(REF, "one")
    assert pacer.wait(REF, "one") == 54
    await clock.advance(331)
    pacer.healed(REF, "one")
    assert pacer.wait(REF, "one") == 2


async def test_an_object_that_failed_waits_for_that_and_not_for_its_healing() -> None:
    pacer = Pacer(FakeClock())
    pacer.healed(REF, "one")
    assert pacer.error(REF) is None
    pacer.failed(REF, "one", BadInput("invalid"))
    pacer.failed(REF, "one", BadInput("invalid"))
    assert (pacer.wait(REF, "one"), pacer.error(REF) is None) == (2, False)
    pacer.applied(REF)
    assert pacer.error(REF) is None


@pytest.mark.parametrize(
    ("error", "longest"),
    [
        (BadInput("invalid"), 1.0),
        (NotReady("no namespace"), 2.0),
        (UnknownKind("no kind"), 0.25),
        (Transient("503"), 0.5),
        (Transient("429", retry_after=9.0), 9.0),
    ],
    ids=["bad", "not ready", "unknown kind", "transient", "asked for"],
)
async def test_failed_object_waits(error: FleetError, longest: float) -> None:
    pacer = Pacer(FakeClock())
    pacer.failed(REF, "one", error)
    assert 0 < pacer.wait(REF, "one") <= longest
    assert pacer.error(REF) is error
    assert pacer.wait(REF, "two") == 0, "another version of it is another matter"


# reports

FACTS = ClusterFacts(uid="u")
HEAD = Head(hub="h", cluster="c", cluster_uid="u", epoch=1, generation=1, sections=())


def status(name: str, message: str) -> TargetStatus:
    return TargetStatus(target=name, sync=Sync.SYNCED, health=Health.HEALTHY, message=message)


def test_nothing_new_is_not_reported() -> None:
    reporting = Reporting()
    statuses = {"a": status("a", "1")}
    reporting.changed("a")
    first = reporting.next(statuses, FACTS, HEAD)
    assert first is not None
    assert first.complete
    reporting.accepted(send_all=False)
    assert reporting.next(statuses, FACTS, HEAD) is None
    assert reporting.next(statuses, ClusterFacts(uid="u", kube_version="2"), HEAD) is not None


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.one_of(st.none(), st.sampled_from("xyz")),
            st.sampled_from(["arrives", "is lost", "answer is lost", "hub forgets"]),
        ),
        max_size=30,
    )
)
def test_hub_knows_the_whole_whatever_gets_lost(steps: list[tuple[str, str | None, str]]) -> None:
    reporting, statuses = Reporting(), dict[str, TargetStatus]()
    whole: Whole | None = None

    def hub(report: Report) -> bool:
        nonlocal whole
        result = apply_report(whole, report)
        if isinstance(result, SendAll):
            return True
        whole = result
        return False

    for name, message, fate in [*steps, ("a", "end", "arrives"), ("a", "end", "arrives")]:
        if message is None:
            statuses.pop(name, None)
        else:
            statuses[name] = status(name, message)
        reporting.changed(name)
        if fate == "hub forgets":
            whole = None
        for _ in range(3):
            report = reporting.next(statuses, FACTS, HEAD)
            if report is None or fate == "is lost":
                break
            send_all = hub(report)
            if fate == "answer is lost":
                break
            reporting.accepted(send_all=send_all)
    report = reporting.next(statuses, FACTS, HEAD)
    if report is not None:
        reporting.accepted(send_all=hub(report))
    report = reporting.next(statuses, FACTS, HEAD)
    if report is not None:
        assert not hub(report)
    assert whole is not None
    assert dict(whole.statuses) == statuses


# identity


def test_identity_survives_and_shows_no_secret() -> None:
    identity = Identity(
        hub_url="https://hub", cluster_uid="u", key="PRIVATE", certificate="C", cluster="spoke"
    )
    assert decode(encode(identity)) == identity
    assert "PRIVATE" not in repr(identity)
    with pytest.raises(Corrupt) as caught:
        decode(b'{"key": "PRIVATE"')
    assert "PRIVATE" not in str(caught.value)


def test_renewal_is_between_half_and_two_thirds_of_life() -> None:
    identity = Identity(
        hub_url="h", cluster_uid="u", not_before=NOW, not_after=NOW + timedelta(hours=24)
    )
    times = [(identity.renew_at(Random(n)) - NOW) / timedelta(hours=24) for n in range(200)]
    assert 0.5 <= min(times) < 0.52
    assert 0.64 < max(times) <= 2 / 3
