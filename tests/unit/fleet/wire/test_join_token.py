"""The text of join tokens."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadInput
from fleet.wire.token import JoinToken

TOKEN = JoinToken.create("ab" * 32)


def test_a_token_reads_back() -> None:
    assert JoinToken.parse(TOKEN.text()) == TOKEN
    assert JoinToken.parse(f"  {TOKEN.text()}\n") == TOKEN
    assert TOKEN.text().startswith("fleetjoin.")


def test_tokens_differ() -> None:
    other = JoinToken.create("ab" * 32)

    assert other.id != TOKEN.id
    assert other.secret != TOKEN.secret
    assert len(bytes.fromhex(TOKEN.secret)) == 32


def test_the_hash_recognises_the_secret_and_does_not_hold_it() -> None:
    assert TOKEN.matches(TOKEN.hash())
    assert not JoinToken.create(TOKEN.ca_pin).matches(TOKEN.hash())
    assert TOKEN.secret not in TOKEN.hash()


def test_the_secret_stays_out_of_repr() -> None:
    assert TOKEN.secret not in repr(TOKEN)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("fleetjoin.", id="prefix only"),
        pytest.param(TOKEN.text()[:-4], id="cut short"),
        pytest.param(TOKEN.text() + "AAAA", id="too long"),
        pytest.param(TOKEN.text().removeprefix("fleetjoin."), id="no prefix"),
        pytest.param(TOKEN.text().replace("fleetjoin", "other"), id="other prefix"),
        pytest.param(TOKEN.text()[:-1] + "!", id="not base64"),
        pytest.param("fleetjoin.AA" + TOKEN.text()[12:], id="other version"),
    ],
)
def test_what_is_no_token_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        JoinToken.parse(text)
    assert len(text) < 20 or text[12:40] not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_a_token_or_bad_input(text: str) -> None:
    with contextlib.suppress(BadInput):
        JoinToken.parse(text)
