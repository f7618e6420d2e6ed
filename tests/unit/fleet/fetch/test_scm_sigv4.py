"""AWS's signature against the example that AWS publishes for it."""

from __future__ import annotations

from datetime import UTC, datetime

from fleet.fetch.scm.sigv4 import Credentials, signed_headers

KEY = Credentials(key_id="AKIDEXAMPLE", secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


def sign(credentials: Credentials = KEY) -> dict[str, str]:
    return signed_headers(
        host="example.amazonaws.com",
        headers={},
        body=b"",
        now=datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
        region="us-east-1",
        service="service",
        credentials=credentials,
    )


def test_the_published_example() -> None:
    assert sign()["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
    )


def test_a_session_token_is_signed_too() -> None:
    headers = sign(Credentials(key_id=KEY.key_id, secret=KEY.secret, token="t"))
    assert headers["x-amz-security-token"] == "t"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token," in headers["Authorization"]
