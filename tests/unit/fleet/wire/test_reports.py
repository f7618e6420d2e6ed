"""The whole status out of changed parts."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.report import ClusterFacts, Health, Report, Sync, TargetStatus
from fleet.wire import reports
from fleet.wire.reports import SendAll, Whole, apply_report, whole_digest

FACTS = ClusterFacts(uid="uid")


def status(target: str, applied: str = "1") -> TargetStatus:
    return TargetStatus(target=target, sync=Sync.SYNCED, health=Health.HEALTHY, applied=applied)


def report(
    sequence: int,
    *changed: TargetStatus,
    whole: list[TargetStatus],
    removed: tuple[str, ...] = (),
    complete: bool = False,
) -> Report:
    return Report(
        sequence=sequence,
        epoch=1,
        generation=1,
        facts=FACTS,
        changed=changed,
        removed=removed,
        complete=complete,
        digest=whole_digest(whole),
    )


def known(*statuses: TargetStatus) -> Whole:
    whole = apply_report(None, report(1, *statuses, whole=list(statuses), complete=True))
    assert isinstance(whole, Whole)
    return whole


def test_the_first_report_has_to_be_complete() -> None:
    assert isinstance(apply_report(None, report(1, status("a"), whole=[status("a")])), SendAll)
    assert known(status("a")).statuses == {"a": status("a")}


def test_changes_are_merged() -> None:
    after = apply_report(
        known(status("a"), status("b"), status("c")),
        report(
            2,
            status("b", "2"),
            status("d"),
            removed=("c",),
            whole=[status("a"), status("b", "2"), status("d")],
        ),
    )

    assert isinstance(after, Whole)
    assert after.statuses == {"a": status("a"), "b": status("b", "2"), "d": status("d")}
    assert after.sequence == 2


def test_a_lost_report_is_noticed() -> None:
    answer = apply_report(
        known(status("a"), status("b")),
        report(3, status("b", "2"), whole=[status("a", "2"), status("b", "2")]),
    )

    assert isinstance(answer, SendAll)


def test_a_report_that_comes_twice_changes_nothing() -> None:
    again = report(2, status("a", "2"), whole=[status("a", "2")])
    once = apply_report(known(status("a")), again)
    assert isinstance(once, Whole)

    assert apply_report(once, again) == once


def test_an_old_report_that_is_replayed_is_noticed() -> None:
    old = report(2, status("a", "1"), whole=[status("a", "1"), status("b", "1")])
    now = known(status("a", "2"), status("b", "2"))

    assert isinstance(apply_report(now, old), SendAll)


def test_a_complete_report_replaces_everything() -> None:
    after = apply_report(
        known(status("a"), status("b")), report(9, status("c"), whole=[status("c")], complete=True)
    )

    assert isinstance(after, Whole)
    assert after.statuses.keys() == {"c"}


@pytest.mark.parametrize(("sequence", "understood"), [(1, True), (2, True), (3, False), (0, False)])
def test_with_an_agent_of_another_version_the_sequence_decides(
    sequence: int, understood: bool
) -> None:
    """Its digests are over fields that are not known here; asking for everything again would never end."""
    foreign = msgspec.structs.replace(
        report(1, status("a"), whole=[status("a")], complete=True), digest="sha256:theirs"
    )
    first = apply_report(None, foreign)
    assert isinstance(first, Whole)
    second = msgspec.structs.replace(
        report(sequence, status("a", "2"), whole=[]), digest="sha256:theirs too"
    )

    assert isinstance(apply_report(first, second), Whole) is understood


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 3)), max_size=30))
def test_parts_add_up_to_the_whole_in_any_history(steps: list[tuple[str, int]]) -> None:
    """Reports as an agent makes them: one change each, 0 = removed."""
    mine: dict[str, TargetStatus] = {}
    theirs: Whole | SendAll = known()
    for sequence, (target, applied) in enumerate(steps, start=2):
        changed: tuple[TargetStatus, ...] = ()
        if applied:
            mine[target] = status(target, str(applied))
            changed = (mine[target],)
        else:
            mine.pop(target, None)
        assert isinstance(theirs, Whole)
        theirs = apply_report(
            theirs,
            report(
                sequence, *changed, removed=() if applied else (target,), whole=list(mine.values())
            ),
        )
    assert isinstance(theirs, Whole)
    assert theirs.statuses == mine
    assert theirs.digest() == whole_digest(reversed(list(mine.values())))
    digests = {name: reports.status_digest(item) for name, item in mine.items()}
    assert theirs.digest() == reports.digest_of_digests(digests)
