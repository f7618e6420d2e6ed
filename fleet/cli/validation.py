"""What ``fleet validate`` does: read a fleet repo's working tree and judge all of it together.

The same code judges as in the hub. What cannot be known here is said, not guessed: a set that reads a repository
which is not given is not evaluated, and while one is, a reference to an unknown name may mean something it makes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.argo.reading import Problem
from fleet.cli.checking import Repositories, check_fleet
from fleet.cli.checkout import Side, own_urls
from fleet.cli.documents import FleetFiles, read_directory
from fleet.cli.following import follow
from fleet.cli.judging import parents_that_fail, problems_of, unchecked
from fleet.cli.manifests import Manifests
from fleet.cli.offers import Offers
from fleet.cli.repositories import local_repositories
from fleet.cli.worktree import WorkingTree
from fleet.errors import BadInput
from fleet.git.local import LocalRepository
from fleet.render.local import WORKING_TREE

UNKNOWN_FIELD = "UnknownField"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for."""

    folder: Path
    repositories: tuple[str, ...] = ()
    url: str = ""
    branch: str = "main"
    lenient: bool = False
    manifests: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Every problem, by file and line, and how much was looked at."""

    problems: tuple[Problem, ...]
    appsets: int
    applications: int
    clusters: int
    unchecked: tuple[str, ...] = ()
    """What was not looked at, each with the reason."""


def validate_folder(request: Request) -> Verdict:
    """Judge a working tree."""
    files = read_directory(request.folder)
    with _repositories(request) as repositories:
        return asyncio.run(_validate(files, repositories, request))


@contextmanager
def _repositories(request: Request) -> Iterator[Repositories]:
    """Open the repositories that sources and generators may read: the one that the folder is in as it lies here."""
    try:
        own = LocalRepository.find(request.folder)
    except BadInput as error:
        if request.url:
            raise BadInput(f"--url {request.url}: {error.message}") from None
        own = None
    if own is None or own.top is None:
        with local_repositories(request.repositories) as others:
            yield others
        return
    ours, theirs = own_urls(own, request.url, request.repositories)
    with local_repositories(theirs) as others:
        yield Side(
            repository=WorkingTree(own, own.top),
            urls=ours,
            branch=request.branch,
            others=others,
            commit=WORKING_TREE,
        )


async def _validate(files: FleetFiles, repositories: Repositories, request: Request) -> Verdict:
    check = await check_fleet(files, repositories)
    manifests = Manifests(repositories) if request.manifests else None
    try:
        followed = await follow(check, Offers(repositories, manifests) if manifests else None)
    finally:
        if manifests is not None:
            await manifests.close()
    problems = [*await problems_of(followed), *parents_that_fail(followed)]
    found = (_strict(item, lenient=request.lenient) for item in problems)
    return Verdict(
        problems=tuple(sorted(found, key=_place)),
        appsets=len(check.world.appsets),
        applications=len(followed.in_force.applications),
        clusters=sum(len(item.clusters) for item in files.fleet),
        unchecked=tuple(unchecked(followed, failing=False)),
    )


def _place(problem: Problem) -> tuple[str, int, str]:
    return problem.where.file, problem.where.line, problem.message


def _strict(problem: Problem, *, lenient: bool) -> Problem:
    """Unknown fields of Argo CD's kinds are errors too, unless asked otherwise."""
    if problem.reason != UNKNOWN_FIELD or lenient:
        return problem
    return replace(problem, fatal=True)
