"""What has the form of a secret is masked; the rest stays readable."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec.redaction import one_line, redact

C = "canaryc4nary+/x="

SECRET = [
    f"clone https://user:{C}@host/x failed",
    "clone https://canaryc4nary@host/x failed",
    f"https://u:p@ss{C}@host/x",
    f"url=https%3A%2F%2Fuser%3A{C.replace('=', '').replace('/', '').replace('+', '')}%40host%2Fx",
    f"Authorization: Bearer {C}",
    f"authorization: basic {C}",
    f'{{"Authorization": "Token-{C}"}}',
    f"PRIVATE-TOKEN: {C}",
    f"https://host/x?access_token={C}&a=b",
    f"https://host/x?X-Amz-Signature={C}",
    f'{{"client_secret": "{C}"}}',
    f"password: {C}",
    f"PASSWORD={C}",
    "ghp_canaryc4nary0123456789abcdefghijkl",
    "glpat-canaryc4nary0123456",
    "eyJhbGciOiJIUzI1NiJ9.canaryc4naryxx.sigsigsig",
    "-----BEGIN OPENSSH PRIVATE KEY-----\ncanaryc4nary\n-----END OPENSSH PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\ncanaryc4nary",
]


@pytest.mark.parametrize("text", SECRET, ids=[text[:30] for text in SECRET])
def test_a_secret_is_masked(text: str) -> None:
    assert "c4nary" not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a@b/c?x=1",
        "https://example.com:8443/a@b/c",
        "git@github.com:org/repo.git",
        "ssh://host:22/x",
        "token: expired",
        "secret: not found",
        "Secret kube-system/token-x is missing",
        "basic auth is off",
        "sha256:" + "a" * 64,
    ],
)
def test_plain_text_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=200))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "://",
        "token=",
        "eyJ-",
        "%3a%2f%2f",
        "bearer ",
        "-----BEGIN ",
        "password",
        "glpat-",
        '"secret"',
        "@",
        "://a:",
        "authorization:",
    ],
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    began = time.process_time()
    redact(text)
    assert time.process_time() - began < 2


def test_a_foreign_line_loses_control_characters() -> None:
    assert one_line("a\x1b[31mb\n\tc\u202ed https://u:p@h/") == "a [31mb c d https://***@h/"
    assert len(one_line("x" * 1000)) == 300
