"""What ``fleet diff`` does: a fleet at two revisions of the user's repository, evaluated, rendered and compared.

Only what may differ is rendered (`fleet.cli.inputs`), and of two renders with equal inputs the second is found, not made.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from fleet.argo.reading import Problem
from fleet.cli import foresight
from fleet.cli.checking import Check, check_fleet
from fleet.cli.checkout import OwnRepository, Side, own_urls
from fleet.cli.comparison import Comparison, Findings, Revision
from fleet.cli.following import follow
from fleet.cli.judging import problems_of, unchecked
from fleet.cli.manifests import Manifests
from fleet.cli.offers import Offers
from fleet.cli.repositories import local_repositories
from fleet.cli.worktree import WorkingTree
from fleet.codec.redaction import redact
from fleet.errors import BadInput
from fleet.git.local import LocalRepository
from fleet.render.local import WORKING_TREE
from fleet.wire import api
from fleet.wire.difference import FleetDiff, RevisionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for."""

    folder: Path
    base: str
    head: str
    working_tree: bool = False
    """Whether the working tree counts, and not ``head``."""
    path: str | None = None
    repositories: tuple[str, ...] = ()
    url: str = ""
    branch: str = "main"
    manifests: bool = True


def compare_revisions(request: Request) -> FleetDiff:
    """Compare two revisions; raises BadInput for what cannot be compared at all."""
    repository = LocalRepository.find(request.folder)
    base = repository.commit(request.base)
    files: OwnRepository = repository
    if request.working_tree:
        if repository.top is None:
            raise BadInput("--working-tree: this repository is bare, it has none")
        head, files = WORKING_TREE, WorkingTree(repository, repository.top)
    else:
        head = repository.commit(request.head)
    ours, theirs = own_urls(repository, request.url, request.repositories)
    folder = repository.inside if request.path is None else request.path
    with local_repositories(theirs) as others:
        side = Side(repository=files, urls=ours, branch=request.branch, others=others, commit=head)
        findings = asyncio.run(_compare(side.at(base), side, folder, manifests=request.manifests))
    return FleetDiff(
        base=RevisionRow(revision=request.base, commit=base),
        head=RevisionRow(revision="working tree", commit="")
        if request.working_tree
        else RevisionRow(revision=request.head, commit=head),
        applications=tuple(findings.applications),
        held=tuple(findings.held),
        problems=tuple(_row(item) for item in findings.problems),
        unchecked=tuple(dict.fromkeys(redact(item) for item in findings.unchecked)),
    )


async def _compare(base: Side, head: Side, folder: str, *, manifests: bool) -> Findings:
    old_files = await asyncio.to_thread(base.read_fleet, folder)
    new_files = await asyncio.to_thread(head.read_fleet, folder)
    if not old_files.documents and not new_files.documents and not new_files.broken:
        raise BadInput(
            f"no documents below {folder or '.'} at either revision",
            hint="--path FOLDER says where they are",
        )
    old, new = await check_fleet(old_files, base), await check_fleet(new_files, head)
    renders = Manifests(head) if manifests else None
    try:
        return await _judge(base, head, old, new, renders)
    finally:
        if renders is not None:
            await renders.close()


async def _judge(
    base: Side, head: Side, old: Check, new: Check, renders: Manifests | None
) -> Findings:
    before = await follow(old, Offers(base, renders) if renders else None)
    after = await follow(new, Offers(head, renders) if renders else None, before.in_force)
    findings = Findings()
    if any(item.fatal for item in await problems_of(before)):
        findings.unchecked.append("what broken documents of the first revision would have made")
    findings.problems += await problems_of(after)
    now = unchecked(after)
    earlier = [text for text in unchecked(before) if text not in now]
    findings.unchecked += [*now, *(f"at the first revision, {text}" for text in earlier)]
    findings.held += foresight.held(before.in_force, after.in_force)
    comparison = Comparison(
        Revision(base, before.in_force), Revision(head, after.in_force), findings, renders
    )
    await comparison.run()
    return findings


def _row(problem: Problem) -> api.ProblemRow:
    where = problem.where
    return api.ProblemRow(
        reason=problem.reason,
        message=redact(problem.message),
        object=where.object,
        file=where.file,
        line=where.line,
        field=where.field,
        fatal=problem.fatal,
    )
