"""A fleet's documents together, and what the sets among them make: the facts that offline commands judge.

The same code evaluates as in the hub. What cannot be known here is said, not guessed: a set that reads a repository
which is not given is not evaluated. Documents that Applications render for the fleet are added by
`fleet.cli.following`, which finds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from fleet.argo.assembly import assemble
from fleet.argo.reading import Problem
from fleet.children import with_brought
from fleet.cli.documents import FleetFiles
from fleet.generators.evaluate import evaluate_set
from fleet.generators.result import Failed, Generated, Missing
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName
from fleet.model.project import AppProject
from fleet.model.world import SourceRequest, Tree, World

MAX_PASSES = 12


class Repositories(Protocol):
    """Whoever answers what generators ask, and has the files of sources."""

    def lacks(self, requests: Iterable[SourceRequest], /) -> str:
        """Say what cannot be answered here, and how it could be; empty when everything can."""

    async def answer(self, world: World, requests: Iterable[SourceRequest], /) -> World:
        """Add to a world what an evaluation asked for; what cannot be had is Unavailable."""

    async def resolve(self, url: str, revision: str, /) -> str:
        """Return the commit of a targetRevision."""

    async def tree(self, url: str, commit: str, /) -> Tree:
        """List a commit."""

    async def blobs(self, url: str, object_ids: tuple[str, ...], /) -> dict[str, bytes]:
        """Read files."""


@dataclass(slots=True, kw_only=True)
class Check:
    """A fleet at one revision."""

    repositories: Repositories
    files: FleetFiles
    written: World
    """What the documents of the repository say."""
    world: World
    """That, and what Applications bring."""
    problems: tuple[Problem, ...]
    """What is wrong with documents, and between them."""
    results: dict[str, Generated | Failed] = field(default_factory=dict)
    """What each set that could be evaluated says."""
    lacking: dict[str, str] = field(default_factory=dict)
    """By set that could not be evaluated: why."""
    unchecked: list[str] = field(default_factory=list)
    """What else could not be looked at."""

    @property
    def applications(self) -> dict[AppName, Application]:
        """Those written by hand."""
        return {AppName(name): item for name, item in self.written.applications.items()}

    @property
    def is_complete(self) -> bool:
        """Whether everybody said what they make, so that an unknown name is unknown."""
        return not (self.lacking or self.unchecked) and not any(
            isinstance(result, Failed) or result.errors for result in self.results.values()
        )

    async def bring(
        self, appsets: Mapping[str, ApplicationSet], projects: Mapping[str, AppProject]
    ) -> None:
        """Put what Applications bring beside the documents, which come first, and evaluate what is new by it."""
        before = self.world
        sets = {**appsets, **self.written.appsets}
        self.world = replace(
            before, appsets=sets, projects=with_brought(projects, self.written.projects)
        )
        is_same = self.world.projects == before.projects
        for name in self.results.keys() | self.lacking.keys():
            if not is_same or sets.get(name) is not before.appsets.get(name):
                self.results.pop(name, None)
                self.lacking.pop(name, None)
        await self.evaluate()

    async def evaluate(self) -> None:
        """Evaluate every set that was not yet."""
        for name in sorted(self.world.appsets):
            if name not in self.results and name not in self.lacking:
                await self._evaluate(self.world.appsets[name])

    async def _evaluate(self, appset: ApplicationSet) -> None:
        for _ in range(MAX_PASSES):
            result = evaluate_set(appset, self.world)
            if not isinstance(result, Missing):
                self.results[appset.name] = result
                return
            if reason := self.repositories.lacks(result.requests):
                self.lacking[appset.name] = reason
                return
            self.world = await self.repositories.answer(self.world, result.requests)
        self.lacking[appset.name] = "its generators keep asking"


async def check_fleet(files: FleetFiles, repositories: Repositories) -> Check:
    """Put the documents of a fleet together, and make what its sets make."""
    world, problems = assemble(files.fleet, ())
    check = Check(
        repositories=repositories,
        files=files,
        written=world,
        world=world,
        problems=(*files.broken, *problems),
    )
    await check.evaluate()
    return check
