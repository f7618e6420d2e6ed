"""A child that turns texts of manifests into an artifact: ``python -m fleet.render.worker REQUEST``.

The request is a file in the child's folder, the answer goes to standard output; both are MessagePack. The parent
never parses YAML of this size itself, so a hostile text costs a child and not the event loop.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from fleet.errors import BadInput, FleetError, Where
from fleet.render import artifact
from fleet.render.manifests import Text


class Request(msgspec.Struct, frozen=True):
    """What is to be built."""

    texts: tuple[Text, ...]
    bounds: artifact.Bounds


class Problem(msgspec.Struct, frozen=True):
    """Why it could not be built: a BadInput on its way to the parent."""

    message: str
    where: Where
    hint: str


class Answer(msgspec.Struct, frozen=True):
    """Exactly one of the two."""

    built: artifact.Built | None = None
    problem: Problem | None = None


def encode_request(texts: tuple[Text, ...], bounds: artifact.Bounds) -> bytes:
    """Write a request."""
    return msgspec.msgpack.encode(Request(texts, bounds))


def decode_answer(data: bytes) -> artifact.Built:
    """Read an answer; raises the BadInput it holds, or BadInput for bytes that are none."""
    try:
        answer = msgspec.msgpack.decode(data, type=Answer)
    except msgspec.MsgspecError as error:
        raise BadInput("manifests could not be parsed: the parser gave no answer") from error
    if answer.problem is not None:
        problem = answer.problem
        raise BadInput(problem.message, where=problem.where, hint=problem.hint)
    assert answer.built is not None
    return answer.built


def answer(data: bytes) -> bytes:
    """Do what a request asks."""
    request = msgspec.msgpack.decode(data, type=Request)
    try:
        result = Answer(built=artifact.build(request.texts, request.bounds))
    except FleetError as error:
        result = Answer(problem=Problem(error.message, error.where, error.hint))
    except MemoryError:
        result = Answer(problem=Problem("manifests need too much memory", Where(), ""))
    return msgspec.msgpack.encode(result)


def main() -> None:
    """Answer the request in the file that is named."""
    sys.stdout.buffer.write(answer(Path(sys.argv[1]).read_bytes()))


if __name__ == "__main__":
    main()
