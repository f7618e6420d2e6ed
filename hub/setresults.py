"""Results of ApplicationSets: each is evaluated when what it looks at has changed, and asked for what it misses.

A set whose inputs are what they were costs a comparison. One that fails, by a bug even, fails alone. Evaluating is
`fleet.generators`; what a result may do is `hub.judgement`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter

from fleet.argo.policy import Trim
from fleet.codec.canonical import digest_value
from fleet.codec.equality import Exactly
from fleet.errors import FleetError
from fleet.generators import inforce
from fleet.generators.evaluate import evaluate_set
from fleet.generators.kept import Kept
from fleet.generators.result import Failed, Generated, Inputs, Missing, SetError
from fleet.jq.paths import JqPaths
from fleet.jq.trimming import trimmed
from fleet.model.appset import ApplicationSet
from fleet.model.world import SourceRequest, Tree, World
from hub.accepted import Accepted
from hub.world import Worlds

log = structlog.get_logger(__name__)

MAX_PASSES = 12

_SETS = Counter(
    "fleet_hub_sets_evaluated_total", "ApplicationSets evaluated, by result.", ["result"]
)


@dataclass(frozen=True, slots=True)
class _Memo:
    """The last result of a set and what it was computed from."""

    token: object
    inputs: Inputs
    result: Generated | Failed


@dataclass(slots=True, kw_only=True)
class SetResults:
    """The results of all sets, remembered with what they were computed from."""

    worlds: Worlds
    accepted: Accepted
    jq: JqPaths
    _memos: dict[str, _Memo] = field(default_factory=dict)
    _kept: dict[str, Kept] = field(default_factory=dict)

    def used(self) -> set[SourceRequest]:
        """Everything that the last results looked at."""
        used: set[SourceRequest] = set()
        for memo in self._memos.values():
            used |= memo.inputs.trees | memo.inputs.blobs | memo.inputs.answers
        return used

    async def of(self, world: World) -> tuple[dict[str, Generated | Failed], World]:
        """Evaluate every set of a world; returns it with what the sets asked for."""
        self._memos = {name: memo for name, memo in self._memos.items() if name in world.appsets}
        self._kept = {name: kept for name, kept in self._kept.items() if name in world.appsets}
        results: dict[str, Generated | Failed] = {}
        pending = sorted(world.appsets)
        for _ in range(MAX_PASSES):
            missing: set[SourceRequest] = set()
            for name in pending:
                result = await self._evaluate(world.appsets[name], world)
                if isinstance(result, Missing):
                    missing |= result.requests
                else:
                    results[name] = result
            pending = [name for name in pending if name not in results]
            if not pending:
                return results, world
            world = await self.worlds.answer(world, missing)
        message = f"its generators keep asking for more after {MAX_PASSES} passes"
        endless = Failed(
            errors=(SetError(reason="InternalError", message=message),), inputs=Inputs()
        )
        return results | dict.fromkeys(pending, endless), world

    async def _evaluate(self, appset: ApplicationSet, world: World) -> Generated | Missing | Failed:
        memo = self._memos.get(appset.name)
        if memo is not None and memo.token == _token(appset, memo.inputs, world):
            _SETS.labels("unchanged").inc()
            return memo.result
        kept = self._kept.setdefault(appset.name, Kept())
        result = await asyncio.to_thread(_evaluate_alone, appset, world, kept)
        if isinstance(result, Missing):
            return result
        _SETS.labels("failed" if isinstance(result, Failed) else "generated").inc()
        if isinstance(result, Failed) and result.inputs == Inputs():
            return result
        token = _token(appset, result.inputs, world)
        self._memos[appset.name] = _Memo(token, result.inputs, result)
        return result

    async def trims(
        self, results: dict[str, Generated | Failed], world: World
    ) -> dict[str, Mapping[str, Trim]]:
        """Evaluate the jq expressions of sets; with one that cannot be used a set fails."""
        trims: dict[str, Mapping[str, Trim]] = {}
        for name, result in results.items():
            if isinstance(result, Generated):
                previous = self.accepted.get(name).applications
                wanted = inforce.to_trim(result, previous, world.appsets[name])
                try:
                    trims[name] = await trimmed(self.jq, wanted)
                except FleetError as error:
                    failure = SetError(reason=error.reason, message=str(error))
                    results[name] = Failed(errors=(failure,), inputs=result.inputs)
        return trims


def _evaluate_alone(
    appset: ApplicationSet, world: World, kept: Kept
) -> Generated | Missing | Failed:
    """Evaluate one set; a bug that its input brings to light is that set's failure and stops no other."""
    try:
        return evaluate_set(appset, world, kept)
    except Exception as error:  # isolation: see above
        log.error("evaluation of a set failed", appset=appset.name, exc_info=error)
        message = f"a bug in the evaluation, please report it: {type(error).__name__}"
        # what the set had looked at is unknown: it is evaluated again each time, and its rows stay
        return Failed(errors=(SetError(reason="InternalError", message=message),), inputs=Inputs())


def _token(appset: ApplicationSet, inputs: Inputs, world: World) -> object:
    trees = []
    for request in sorted(inputs.trees, key=lambda r: (r.repo_url, r.revision)):
        tree = world.trees.get(request)
        trees.append(tree.root if isinstance(tree, Tree) else repr(tree))
    unread = [
        request for request in inputs.blobs if not isinstance(world.blobs.get(request), bytes)
    ]
    return (
        digest_value(appset.document),
        world.clusters if inputs.clusters else (),
        sorted((name, digest_value(p.document)) for name, p in world.projects.items())
        if inputs.projects
        else (),
        tuple(trees),
        repr(unread),
        {request: Exactly(world.answers.get(request)) for request in inputs.answers},
        Exactly(world.resources) if inputs.resources else (),
    )
