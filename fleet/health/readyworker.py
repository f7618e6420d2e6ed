"""The child process that evaluates ready-when expressions: ``python -m fleet.health.readyworker``.

One JSON object a line on stdin, one on stdout, in order, until stdin ends:
``{"id", "expression", "objects", "app": {"sync", "health", "digest"}}`` is answered by ``{"id", "ready", "message"}``.
The parent sets the deadline and kills: nothing here can be interrupted otherwise. Memory has a limit, for the
machine's is the agent's too.
"""

from __future__ import annotations

import resource
import signal
import sys
from typing import BinaryIO

import msgspec

from fleet.health.readywhen import AppFacts, evaluate
from fleet.model.report import Ready

MEMORY = 160 * 1024 * 1024
"""Bytes of address space, of which some 40 MB are in use at the start."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One expression with the facts it is about."""

    id: int
    expression: str
    objects: list[dict[str, object]]
    app: AppFacts


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The result for the question with the same id."""

    id: int
    ready: bool
    message: str = ""


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the questions end."""
    decoder = msgspec.json.Decoder(Question)
    for line in questions:
        try:
            question = decoder.decode(line)
        except msgspec.MsgspecError as error:
            answer = Answer(id=-1, ready=False, message=f"not a question: {error}")
        else:
            found: Ready = evaluate(question.expression, question.objects, question.app)
            answer = Answer(id=question.id, ready=found.ready, message=found.message)
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()


if __name__ == "__main__":
    # Ctrl-C in a terminal reaches the whole group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    serve(sys.stdin.buffer, sys.stdout.buffer)
