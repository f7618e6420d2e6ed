"""JSON from outside: what is none is BadInput, whatever bytes it is made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec import canonical
from fleet.errors import BadInput


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"NaN", b"[1e999]", b'"\xff"', b'"\\ud800"', b"[" * 100_000, b"1" * 5000, b"\x00"],
    ids=lambda data: ascii(data[:12]),
)
def test_what_is_no_json_is_bad_input(data: bytes) -> None:
    with pytest.raises(BadInput, match="not valid JSON"):
        canonical.decode(data)


@given(
    data=st.binary(max_size=40)
    | st.text(alphabet='[]{}":,\\u0d8\xff1e.', max_size=40).map(lambda text: text.encode("latin-1"))
)
def test_any_bytes_are_a_value_or_bad_input(data: bytes) -> None:
    try:
        value = canonical.decode(data)
    except BadInput:
        return
    assert canonical.decode(canonical.canonical_bytes(value)) == value
