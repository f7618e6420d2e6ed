"""Runs one request in a short-lived child process (x509 would cost memory for the agent's whole life)."""

from __future__ import annotations

import asyncio
import json
import sys

from fleet.codec.jsontypes import JsonObject
from fleet.codec.redaction import one_line
from fleet.errors import BadInput, Denied, FleetError, Transient

_TIMEOUT = 60.0


async def enrol(request: JsonObject) -> JsonObject:
    """Ask ``python -m fleet.pki.enrol``; raises what it reports."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # what lies in the current folder is none of ours
        "-m",
        "fleet.pki.enrol",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT):
            output, errors = await process.communicate(json.dumps(request).encode())
    except TimeoutError as error:
        raise Transient("the enrolment process did not answer in time") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _answer(output, errors)


def _answer(output: bytes, errors: bytes) -> JsonObject:
    try:
        answer: JsonObject = json.loads(output)
    except ValueError as error:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        raise Transient(f"the enrolment process failed: {one_line(last)}") from error
    problem = answer.get("error")
    if problem is None:
        return answer
    kind = Denied if problem.get("reason") == Denied.reason else BadInput
    failure: FleetError = kind(str(problem.get("message")))
    raise failure
