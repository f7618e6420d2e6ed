"""Judges live objects, those of kinds with a rule of the user's by that rule.

Rules run in a child process (`fleet.judge.worker`) with a second of processor time for each object. A rule that cannot be
used, for whatever reason, makes its objects Unknown and says why: they are never rated by another rule instead. An
answer is kept as long as the rule and the object stay what they were. What rules say leaves the cluster, so the values
of Secrets are masked before one sees them.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from fleet.codec.canonical import Digest, digest_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Transient
from fleet.health.assess import DELETING, assess, kind_of
from fleet.health.fields import at, text_at
from fleet.health.result import HealthResult
from fleet.model.healthrules import HealthRule, HealthRules
from fleet.model.report import Health
from fleet.runtime.child import Child, ChildEnded
from fleet.runtime.clock import Clock
from fleet.sync.masking import masked

_PATIENCE = 20.0
"""Seconds on the wall for one object: processor time counts for its limit, whatever else the machine does."""
_OUT_OF_MEMORY = frozenset((3, -signal.SIGABRT, -signal.SIGSEGV))
"""How the child ends then: the interpreter (`fleet.judge.worker`), the library, and the library's stack."""
_KEPT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one object may cost."""

    seconds: float = 1.0
    """Of processor time."""
    memory: int = 160 * 1024 * 1024
    """Bytes of address space of the child, which has about 40 MB when it starts. Enough for objects of 3 MB, and together
    with an agent less than the agent's container may have."""


class _Answer(msgspec.Struct, frozen=True):
    status: Health | None = None
    message: str = ""
    error: str = ""


_Key = tuple[Digest, str, str]


class CustomHealth:
    """Rates objects by the users' rules, and by the built-in ones where there is none."""

    def __init__(self, clock: Clock, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._child = Child(
            clock,
            "fleet.judge.worker",
            (str(self._limits.seconds), str(self._limits.memory)),
            deadline=_PATIENCE,
        )
        self._kept: dict[_Key, HealthResult | None] = {}
        """Answers, the one that was used longest ago first."""

    async def judge(
        self, rules: HealthRules, objects: Sequence[JsonObject]
    ) -> list[HealthResult | None]:
        """Rate objects, in their order; raises Transient if the child cannot be started or does not answer.

        A rule that used up its time or memory is not run again for the other objects of the same call.
        """
        spent: dict[str, HealthResult] = {}
        return [await self._judge(rules, item, spent) for item in objects]

    async def check(self, rules: HealthRules) -> tuple[BadInput, ...]:
        """Return what is wrong with the form of rules, as far as it shows without an object; raises Transient."""
        spent: dict[str, HealthResult] = {}
        found = [await self._ask(rule, None, spent) for rule in rules.rules]
        return tuple(BadInput(result.message) for result in found if result is not None)

    async def run(self) -> None:
        """End the child when nobody asks, until cancelled."""
        await self._child.run()

    async def close(self) -> None:
        """End the child; the next question starts another."""
        await self._child.close()

    async def _judge(
        self, rules: HealthRules, body: JsonObject, spent: dict[str, HealthResult]
    ) -> HealthResult | None:
        if at(body, "metadata", "deletionTimestamp"):
            return DELETING
        rule = rules.find(*kind_of(body))
        if rule is None:
            return assess(body)
        key = _key(rule, body)
        if key is not None and key in self._kept:
            self._kept[key] = self._kept.pop(key)
            return self._kept[key]
        if rule.source in spent:
            return spent[rule.source]
        result = await self._ask(rule, body, spent)
        if key is not None and rule.source not in spent:
            self._keep(key, result)
        return result

    async def _ask(
        self, rule: HealthRule, body: JsonObject | None, spent: dict[str, HealthResult]
    ) -> HealthResult | None:
        shown = masked(body) if body is not None else None
        question = {"language": rule.language, "text": rule.text, "object": shown}
        try:
            answer = await self._answer(msgspec.json.encode(question))
        except RecursionError:
            return _broken(rule, "the object is nested too deeply")
        except ChildEnded as error:
            spent[rule.source] = _broken(rule, self._cause(error.status))
            return spent[rule.source]
        except TimeoutError as error:
            raise Transient(f"the health rule {rule.source} did not answer") from error
        except OSError as error:
            raise Transient(f"health rules cannot be run: {error.strerror}") from error
        return _result(rule, msgspec.json.decode(answer, type=_Answer))

    async def _answer(self, question: bytes) -> bytes:
        """Ask, and once more where the process ended for no reason of the rule's that is known."""
        try:
            return await self._child.ask(question)
        except ChildEnded as error:
            if error.status == -signal.SIGPROF or error.status in _OUT_OF_MEMORY:
                raise
        return await self._child.ask(question)

    def _cause(self, status: int) -> str:
        if status == -signal.SIGPROF:
            return f"takes longer than {self._limits.seconds:g} s"
        if status in _OUT_OF_MEMORY:
            return f"needs more than {self._limits.memory >> 20} MiB of memory"
        # Twice: it would be so for ever, and nothing else would be rated meanwhile.
        return f"its process ended with status {status}"

    def _keep(self, key: _Key, result: HealthResult | None) -> None:
        self._kept[key] = result
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]


def _key(rule: HealthRule, body: JsonObject) -> _Key | None:
    uid, version = (text_at(body, "metadata", name) for name in ("uid", "resourceVersion"))
    text = f"{rule.language.value}\0{rule.text}".encode()
    return (digest_bytes(text), uid, version) if uid and version else None


def _result(rule: HealthRule, answer: _Answer) -> HealthResult | None:
    if answer.error:
        return _broken(rule, answer.error)
    return None if answer.status is None else HealthResult(answer.status, answer.message)


def _broken(rule: HealthRule, reason: str) -> HealthResult:
    return HealthResult(Health.UNKNOWN, f"the health rule {rule.source} cannot be used: {reason}")
