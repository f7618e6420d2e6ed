"""The child process that deletes jq paths: ``python -m fleet.jq.worker SECONDS BYTES``.

Two lines a question on stdin: the expressions as a JSON array, then the document. The answer is one line for each
expression when its turn comes, ``{"trying": INDEX}``, and one at the end: ``{"document": ...}`` or ``{"invalid": TEXT}``
for the expression that was tried last. An expression is one of ``del(...)``, as in Argo CD; where it fails on a
document (it iterates over a field that is not there) it deletes nothing.

A document that takes longer than its processor time ends the process with SIGPROF, one that needs more memory with
SIGABRT or status 3: what the library does cannot be interrupted otherwise, and the parent knows from the status what happened.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import jq

OUT_OF_MEMORY = 3
"""The exit status when the interpreter gets no memory."""
_PROGRAM = "del({0}\n)\n| tojson"
"""As text, for jq prints numbers as they were written; and lines of its own: no comment hides what follows."""


class Invalid(Exception):
    """No path expression at all, whatever the document."""


def serve(questions: BinaryIO, answers: BinaryIO, seconds: float) -> None:
    """Answer until the questions end."""
    for expressions in questions:
        document = next(questions)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        for answer in _answers(json.loads(expressions), document.decode()):
            answers.write(answer.encode() + b"\n")
            answers.flush()
        signal.setitimer(signal.ITIMER_PROF, 0)


def _answers(expressions: Sequence[str], document: str) -> Iterator[str]:
    for index, expression in enumerate(expressions):
        yield json.dumps({"trying": index})
        try:
            document = without(document, expression)
        except Invalid as error:
            yield json.dumps({"invalid": str(error)})
            return
    yield f'{{"document":{document.strip()}}}'


def without(document: str, expression: str) -> str:
    """Return the document without what the expression selects; raises Invalid."""
    program = _compiled(expression)
    try:
        results = program.input_text(document).all()
    except ValueError:
        return document
    if len(results) != 1 or not isinstance(results[0], str) or not results[0].startswith("{"):
        raise Invalid("it is not one path expression")
    return results[0]


@functools.lru_cache(maxsize=128)
def _compiled(expression: str) -> jq.Program:
    try:
        return jq.compile(_PROGRAM.format(expression))
    except ValueError as error:
        reason = str(error).partition(" at <top-level>")[0].removeprefix("jq: error: ")
        raise Invalid(" ".join(reason.split())[:300]) from error


def main(seconds: float, memory: int) -> None:
    """Limit this process and serve."""
    # Ctrl-C in a terminal reaches the whole group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    os.environ.clear()  # an expression can read it
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, seconds)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
