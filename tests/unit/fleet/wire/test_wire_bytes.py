"""Bytes of messages: limits, compression, frames, errors, sections."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec.canonical import Digest, digest_bytes
from fleet.errors import BadInput, Corrupt, Denied, FleetError, NotReady, Transient, Unsupported
from fleet.model.assignment import ProjectRules, Section
from fleet.model.report import ClusterFacts, Report
from fleet.store.port import Conflict
from fleet.wire import codec, errors, frames
from fleet.wire.frames import Frame, FrameReader, encode_frame, read_frames
from fleet.wire.sections import decode_section, encode_section, section_digest

REPORT = Report(sequence=1, epoch=1, generation=1, facts=ClusterFacts(uid="u"))
SECTION = Section(target="app", project=ProjectRules(name="default"))


def test_messages_read_back_and_unknown_fields_pass() -> None:
    assert codec.decode(codec.encode(REPORT), Report) == REPORT
    assert codec.decode(codec.encode(REPORT)[:-1] + b',"new":[1]}', Report) == REPORT


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b'{"sequence":"1"}', b"\xff", b"[" * 100_000]
)
def test_what_is_no_message_is_bad_input(data: bytes) -> None:
    with pytest.raises(BadInput, match="Report"):
        codec.decode(data, Report)


@pytest.mark.parametrize(("extra", "passes"), [(-1, True), (0, True), (1, False)])
def test_the_limit_holds_to_the_byte(extra: int, passes: bool) -> None:
    data = codec.encode(REPORT)
    limit = len(data) - extra
    if passes:
        assert codec.decode(data, Report, limit=limit) == REPORT
        assert codec.decompress(codec.compress(data), limit=limit) == data
    else:
        with pytest.raises(BadInput, match="limit"):
            codec.decode(data, Report, limit=limit)
        with pytest.raises(BadInput, match="limit"):
            codec.decompress(codec.compress(data), limit=limit)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"plain", id="not gzip"),
        pytest.param(codec.compress(b"x" * 1000)[:-5], id="cut short"),
        pytest.param(codec.compress(b"x") + b"more", id="followed by something"),
        pytest.param(codec.compress(b"x")[:-6] + b"\0\0\0\0\0\0", id="wrong checksum"),
    ],
)
def test_broken_compression_is_bad_input(data: bytes) -> None:
    with pytest.raises(BadInput):
        codec.decompress(data)


def test_a_bomb_costs_no_more_than_the_limit() -> None:
    with pytest.raises(BadInput, match="limit"):
        codec.decompress(codec.compress(bytes(50_000_000)), limit=1000)


def test_compression_is_plain_gzip_and_the_same_every_time() -> None:
    assert gzip.decompress(codec.compress(b"data")) == b"data"
    assert codec.compress(b"data") == codec.compress(b"data")


@given(st.lists(st.one_of(st.none(), st.binary(max_size=50)), max_size=6), st.integers(1, 40))
def test_frames_read_back_however_they_are_cut(parts: list[bytes | None], size: int) -> None:
    expected = tuple(Frame(digest_bytes(b"?" if part is None else part), part) for part in parts)
    data = b"".join(encode_frame(frame.digest, frame.data) for frame in expected)
    reader = FrameReader()
    got = [
        frame
        for start in range(0, len(data), size)
        for frame in reader.feed(data[start : start + size])
    ]
    reader.finish()

    assert tuple(got) == expected


def test_frames_check_their_content() -> None:
    frame = bytearray(encode_frame(digest_bytes(b"content"), b"content"))
    frame[-1] ^= 1
    with pytest.raises(Corrupt):
        read_frames(bytes(frame))


def test_an_answer_that_is_cut_short_is_noticed() -> None:
    with pytest.raises(BadInput, match="middle"):
        read_frames(encode_frame(digest_bytes(b"content"), b"content")[:-1])


def test_a_frame_over_the_limit_is_refused_before_it_is_kept() -> None:
    reader = FrameReader(limit=10)
    with pytest.raises(BadInput, match="limit"):
        list(reader.feed(encode_frame(digest_bytes(bytes(11)), bytes(11))[:40]))


@pytest.mark.parametrize(
    ("error", "status", "back"),
    [
        (BadInput("m"), 400, BadInput),
        (Unsupported("m"), 400, BadInput),
        (errors.Unauthenticated("m"), 401, errors.Unauthenticated),
        (Denied("m"), 403, Denied),
        (NotReady("m"), 404, NotReady),
        (Conflict("m"), 409, Transient),
        (Corrupt("m"), 500, Transient),
        (Transient("m"), 503, Transient),
        (FleetError("m"), 500, Transient),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_errors_cross_the_wire(error: FleetError, status: int, back: type[FleetError]) -> None:
    assert errors.status_of(error) == status
    received = errors.error_from(status, errors.body_of(error), retry_after=3.0)

    assert type(received) is back
    assert (received.reason, received.message) == (error.reason, "m")
    if isinstance(received, Transient):
        assert received.retry_after == 3.0


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": "x"}', b"x" * 100_000])
def test_a_foreign_answer_costs_only_the_message(body: bytes) -> None:
    received = errors.error_from(502, body)

    assert isinstance(received, Transient)
    assert "502" in received.message


def test_errors_carry_no_secrets() -> None:
    assert b"hunter2" not in errors.body_of(Transient("https://u:hunter2@host/ failed"))


def test_sections_are_named_by_their_bytes() -> None:
    data, digest = encode_section(SECTION), section_digest(SECTION)

    assert digest_bytes(data) == digest
    assert decode_section(data, digest, target="app") == SECTION


@pytest.mark.parametrize(
    ("data", "digest", "target"),
    [
        pytest.param(
            encode_section(SECTION) + b" ", section_digest(SECTION), "app", id="other bytes"
        ),
        pytest.param(encode_section(SECTION), section_digest(SECTION), "web", id="other target"),
        pytest.param(b"{}", digest_bytes(b"{}"), "app", id="not a section"),
    ],
)
def test_sections_that_are_not_what_the_head_named(
    data: bytes, digest: Digest, target: str
) -> None:
    with pytest.raises(Corrupt):
        decode_section(data, digest, target=target)


def test_the_limits_fit_together() -> None:
    assert frames.MAX_DIGESTS * 75 < 128 * 1024, "a full fetch request fits the gateway's limit"
