"""Interactive reads: what a person asks of a cluster through the hub, and how the answer travels back.

A parked assignment poll returns early with ``Fleet-Requests: N``; the agent then gets `ReadRequests` and streams the
answer of each with ``POST /v1/requests/ID``: one JSON frame a line, an empty line as a sign of life. The hub passes the
bytes on as they come, to the same frames in the answer to the person. A stream that does not end with `End` or
`Failure` was cut off. A failure before the first frame is told by status and `fleet.wire.errors` instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

import msgspec

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.wire import codec
from fleet.wire.appdiff import ObjectDiff, ObjectNote, ResourceRow
from fleet.wire.rows import Row

MAX_READS = 4
"""Reads of one cluster at a time."""

READ_SECONDS = 120.0
"""A read takes no longer, however it is asked; one that follows a log: `FOLLOW_SECONDS`."""

FOLLOW_SECONDS = 3600.0

PULSE_SECONDS = 15.0
"""After so long without a frame the agent sends an empty line."""

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of one frame: an object, or the differences of one."""

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of one answer; the hub ends a longer one."""

ALL_LINES = -1
"""As ``tail``: from the beginning of the log."""

MEDIA_TYPE = "application/x-ndjson"


class ReadKind(StrEnum):
    """What can be read; another word is answered "this agent knows no ..."."""

    LOGS = "logs"
    EVENTS = "events"
    RESOURCES = "resources"
    MANIFESTS = "manifests"
    DIFF = "diff"


class LogArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which lines of which containers."""

    pod: str = ""
    """Name of a Pod, or a pattern with ``*`` and ``?``; empty: all of the application's."""
    container: str = ""
    """Empty: all but init containers."""
    follow: bool = False
    previous: bool = False
    """Of the container before its last restart."""
    tail: int = 100
    """Lines of each container, or `ALL_LINES`."""
    since: int = 0
    """Only lines of the last so many seconds; 0: of any time."""
    filter: str = ""
    """Only lines that contain this text."""


class ManifestArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which manifests: as they are in the cluster, or as they should be."""

    live: bool = False


class DiffArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which objects, as ``GROUP/KIND:NAMESPACE/NAME``; empty: all."""

    refs: tuple[str, ...] = ()


class NoArguments(msgspec.Struct, frozen=True):
    """A read that is always the same."""


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One read, as the agent of its cluster gets it."""

    id: str
    """Cannot be guessed; the answer goes to its path."""
    kind: str
    """A `ReadKind`, or a word of a later version."""
    target: str
    """The application."""
    seconds: float
    """Left for the whole answer."""
    arguments: msgspec.Raw
    """What the kind takes."""


class ReadRequests(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is asked of one cluster and not being answered yet."""

    requests: tuple[ReadRequest, ...] = ()


class _Frame(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="frame"):
    """One line of an answer."""


class Streams(_Frame, frozen=True, kw_only=True, tag="streams"):
    """The logs that are being read, as ``POD/CONTAINER``; told again when one joins."""

    names: tuple[str, ...]


class LogLine(_Frame, frozen=True, kw_only=True, tag="log"):
    """One line that a container wrote."""

    pod: str
    container: str
    time: str
    """When the container runtime took it, RFC 3339; empty where it did not say."""
    text: str


class EventRow(Row, frozen=True, kw_only=True):
    """One event about an object of the application, or about one that such an object owns."""

    time: str
    """When it was seen last."""
    type: str
    reason: str
    object: str
    """``Kind/name``, with the namespace in front where it has one."""
    message: str
    count: int = 1
    source: str = ""


class EventList(Row, frozen=True, kw_only=True):
    """What ``fleet app events -o json`` prints, the newest last."""

    items: tuple[EventRow, ...]


class ResourceList(Row, frozen=True, kw_only=True):
    """What ``fleet app resources -o json`` prints, owners before what they own."""

    items: tuple[ResourceRow, ...]


class Event(_Frame, frozen=True, kw_only=True, tag="event"):
    """One event."""

    row: EventRow


class Manifest(_Frame, frozen=True, kw_only=True, tag="manifest"):
    """One object; values of Secrets are masked."""

    object: JsonObject


class Resource(_Frame, frozen=True, kw_only=True, tag="resource"):
    """One object of the application, or one that a controller made for it."""

    row: ResourceRow


class Compared(_Frame, frozen=True, kw_only=True, tag="compared"):
    """What was compared; the differences follow."""

    target: str
    artifact: str


class Difference(_Frame, frozen=True, kw_only=True, tag="difference"):
    """One object that differs."""

    object: ObjectDiff


class Problem(_Frame, frozen=True, kw_only=True, tag="problem"):
    """One object that could not be compared."""

    object: ObjectNote


class Note(_Frame, frozen=True, kw_only=True, tag="note"):
    """Something that is missing in the answer, and why."""

    message: str


class End(_Frame, frozen=True, kw_only=True, tag="end"):
    """That was all."""


class Failure(_Frame, frozen=True, kw_only=True, tag="failure"):
    """The answer is not complete."""

    reason: str
    message: str


Frame: TypeAlias = (
    Streams
    | LogLine
    | Event
    | Manifest
    | Resource
    | Compared
    | Difference
    | Problem
    | Note
    | End
    | Failure
)

Arguments: TypeAlias = LogArguments | ManifestArguments | DiffArguments | NoArguments

ARGUMENTS: Mapping[ReadKind, type[Arguments]] = {
    ReadKind.LOGS: LogArguments,
    ReadKind.EVENTS: NoArguments,
    ReadKind.RESOURCES: NoArguments,
    ReadKind.MANIFESTS: ManifestArguments,
    ReadKind.DIFF: DiffArguments,
}
"""What each kind takes."""

_DECODER: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Frame)


def seconds_for(arguments: Arguments) -> float:
    """Return how long a read may take."""
    follows = isinstance(arguments, LogArguments) and arguments.follow
    return FOLLOW_SECONDS if follows else READ_SECONDS


def encode_frame(frame: Frame) -> bytes:
    """Write one line; raises BadInput for a frame over the limit."""
    line = codec.encode(frame) + b"\n"
    if len(line) > MAX_FRAME:
        raise BadInput(
            f"one part of the answer has {len(line)} bytes, over the limit of {MAX_FRAME}"
        )
    return line


def decode_frame(line: bytes) -> Frame:
    """Read one line; raises BadInput, also for a kind of frame that a later version knows."""
    codec.check_size(len(line), MAX_FRAME)
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"a part of the answer cannot be read: {error}") from error
