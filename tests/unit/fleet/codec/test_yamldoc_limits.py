"""Hostile YAML: odd numbers, bombs of aliases and merges, what is too large; it ends in a value or in BadInput, soon."""

from __future__ import annotations

import time

import pytest

from fleet.codec import yamldoc
from fleet.errors import BadInput

NINES = "9" * 350
SMALL = yamldoc.Limits(nodes=1000, depth=50)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x" + "f" * 17, "0x" + "f" * 17),
        ("0x" + "f" * 400, "0x" + "f" * 400),
        ("0xffffffffffffffff", 2**64 - 1),
        ("-0xffffffffffffffff", "-0xffffffffffffffff"),
        ("0" + "7" * 30, float("7" * 30)),
        ("0" * 200 + "12", 10),
        ("9" * 30, 1e30),
        (NINES, NINES),
        (f"-{NINES}", f"-{NINES}"),
        ("1" + "0" * 10_000, "1" + "0" * 10_000),
        ("1e400", "1e400"),
        ("0x", "0x"),
        ("0b2", "0b2"),
        ("0_7", 7),
        ("08", 8),
    ],
    ids=lambda text: str(text)[:24],
)
def test_numbers_without_room_are_what_kubernetes_makes_of_them(text: str, value: object) -> None:
    loaded = yamldoc.load_one(f"a: {text}")
    assert loaded == {"a": value}
    assert type(loaded["a"]) is type(value)


def test_a_number_as_a_key_may_be_long_too() -> None:
    assert yamldoc.load_one(f"{NINES}: 1") == {NINES: 1}


@pytest.mark.parametrize(
    "text",
    [
        "&a [*a]",
        "&a {<<: *a}",
        "[" * 100_000,
        "- " * 60 + "1",
        "[" + "1," * 1000 + "]",
        "{" + ",".join(f"k{i}: 1" for i in range(600)) + "}",
        "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n",
        "a0: &a0 {}\n"
        + "".join(f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9)),
        "a: \ud800",
        "a: \x00",
        "a: .nan",
        "a: !!binary \u00e9",
        "<<: 1",
        "{[a]: 1}",
    ],
    ids=lambda text: ascii(text[:16]),
)
def test_what_cannot_be_read_says_so(text: str) -> None:
    with pytest.raises(BadInput):
        yamldoc.load_documents(text, limits=SMALL, positions=True)


def test_too_many_nodes_are_refused_before_they_take_memory() -> None:
    """They are counted while they are read: a text of 16 MiB would be gigabytes of nodes."""
    with pytest.raises(BadInput, match="more than 1000 keys and values") as caught:
        yamldoc.load_documents("---\na: 1\n---\n[" + "1,\n" * 2000 + "]", limits=SMALL)
    assert caught.value.where.line == 4


def test_documents_are_limited_one_by_one() -> None:
    documents = yamldoc.load_documents("---\na: [1, 2, 3]\n" * 500, limits=SMALL)
    assert len(documents) == 500


def test_earlier_maps_win_in_a_merge_and_many_cost_little() -> None:
    count = 20_000
    parts = ",".join(f"{{k{i}: {i}, same: {i}}}" for i in range(count))
    begun = time.process_time()
    value = yamldoc.load_one(f"<<: [{parts}]\nk7: own")
    assert len(value) == count + 1
    assert (value["same"], value["k7"], value["k8"]) == (0, "own", 8)
    assert time.process_time() - begun < 15  # it took minutes on a slow machine


def test_lines_take_no_more_memory_than_is_sensible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamldoc, "_MOST_NOTED", 200)
    (document,) = yamldoc.load_documents(
        "a:\n  b: 1\nc:\n" + "".join(f"  k{i}: 1\n" for i in range(100)), positions=True
    )
    assert document.line_of(("a", "b")) == 2
    assert document.line_of(("c", "k99")) in (3, 4)  # of its map


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567.5, "1.2345675e+06"), (1e21, "1e+21"), (-1e-5, "-1e-05"), (0.0001, "0.0001"), (2.0, "2"), (-0.0, "0"), (5e-324, "5e-324"), (123456.789, "123456.789"), (1e300, "1e+300")],
)  # fmt: skip
def test_numbers_are_written_as_kubernetes_writes_them(value: float, text: str) -> None:
    written = yamldoc.dump({"a": value})
    assert written == f"a: {text}\n"
    assert yamldoc.load_one(written) == {"a": value}


def test_a_text_that_looks_like_such_a_number_is_quoted() -> None:
    assert yamldoc.dump({"a": "1e+21"}) == 'a: "1e+21"\n'
