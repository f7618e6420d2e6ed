"""The child process that runs health rules: ``python -m fleet.judge.worker SECONDS BYTES``.

A question is one line, ``{"language", "text", "object"}``, and its answer is one, ``{"status", "message"}``:
without a status the rule gives none, and ``error`` says why it cannot be used. Without an object the rule is only
checked. A rule that takes longer than its
processor time ends the process with SIGPROF, one that needs more memory than there is with status 3: what a
script does cannot be interrupted otherwise, and the parent (`fleet.judge.custom`) knows from the status what happened.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import BinaryIO

import msgspec

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.judge import cel, lua
from fleet.model.healthrules import Language
from fleet.model.report import Health

OUT_OF_MEMORY = 3
"""The exit status when the interpreter gets no memory."""
MAX_MESSAGE = 1024
"""Characters of what a rule may say: it goes to the hub with every report."""
_STATUSES = frozenset(Health)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One rule and the object it is asked about; None: check the rule."""

    language: Language
    text: str
    object: JsonObject | None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the rule says."""

    status: Health | None = None
    message: str = ""
    error: str = ""


def answer_to(question: Question) -> Answer:
    """Run the rule."""
    language = lua if question.language is Language.LUA else cel
    try:
        if question.object is None:
            language.check(question.text)
            return Answer()
        found = language.evaluate(question.text, question.object)
    except BadInput as error:
        return Answer(error=str(error)[:MAX_MESSAGE])
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # an object that cannot be had in the rule's language
        return Answer(error=f"fails on this object with {type(error).__name__}")
    if found is None:
        return Answer()
    status, message = found
    if status not in _STATUSES:
        return Answer(error=f"gives {status[:40]!r}, which is no health status")
    return Answer(status=Health(status), message=message[:MAX_MESSAGE])


def serve(questions: BinaryIO, answers: BinaryIO, seconds: float) -> None:
    """Answer until the questions end."""
    decoder = msgspec.json.Decoder(Question)
    for line in questions:
        question = decoder.decode(line)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        answer = answer_to(question)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()


def main(seconds: float, memory: int) -> None:
    """Limit this process and serve."""
    # Ctrl-C in a terminal reaches the whole group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    os.environ.clear()
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, seconds)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
