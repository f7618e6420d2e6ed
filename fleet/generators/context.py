"""What a generator may look at, and the record of what it did look at.

A generator that needs data the world does not hold asks for all of it and raises `Pending`; whoever called it
goes on with the others, so that one pass finds everything that is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from fleet.codec.jsontypes import JsonObject
from fleet.generators.engine import Engine
from fleet.generators.extensions import Extension
from fleet.generators.kept import Kept
from fleet.generators.params import GeneratorError, ParamSet
from fleet.generators.result import Inputs
from fleet.model.answers import AnswerRequest, Rows
from fleet.model.appset import ApplicationSet
from fleet.model.world import (
    BlobRequest,
    SourceRequest,
    Tree,
    TreeRequest,
    Unavailable,
    World,
)


class Pending(Exception):
    """The rows cannot be known before the missing data is there."""


@dataclass(slots=True)
class Trail:
    """What was looked at during one evaluation."""

    missing: set[SourceRequest] = field(default_factory=set)
    trees: set[TreeRequest] = field(default_factory=set)
    blobs: set[BlobRequest] = field(default_factory=set)
    answers: set[AnswerRequest] = field(default_factory=set)
    clusters: bool = False
    projects: bool = False
    resources: bool = False

    @property
    def inputs(self) -> Inputs:
        """The same as a value."""
        return Inputs(
            clusters=self.clusters,
            projects=self.projects,
            resources=self.resources,
            trees=frozenset(self.trees),
            blobs=frozenset(self.blobs),
            answers=frozenset(self.answers),
        )


@dataclass(frozen=True, slots=True)
class Context:
    """One set, its world, and how deep inside of combinations a generator is."""

    appset: ApplicationSet
    world: World
    engine: Engine
    generators: Mapping[str, Generate]
    """By name, in the order in which several generators of one entry are evaluated."""
    trail: Trail = field(default_factory=Trail)
    kept: Kept = field(default_factory=Kept)
    """What the evaluation before found out."""
    extensions: frozenset[Extension] = frozenset()
    """What the set may do beyond Argo CD's generators."""
    depth: int = 0

    def deeper(self) -> Context:
        """The context of the children of a combination."""
        return replace(self, depth=self.depth + 1)

    def tree(self, repo_url: str, revision: str) -> Tree:
        """Return the listing of a revision; raises Pending or GeneratorError."""
        request = TreeRequest(repo_url=repo_url, revision=revision)
        self.trail.trees.add(request)
        tree = self.world.trees.get(request)
        if tree is None:
            self.trail.missing.add(request)
            raise Pending
        if isinstance(tree, Unavailable):
            raise GeneratorError(tree.message)
        return tree

    def answer(self, request: AnswerRequest) -> Rows | Unavailable:
        """Return what a server says, also that it could not be asked; raises Pending."""
        self.trail.answers.add(request)
        answer = self.world.answers.get(request)
        if answer is None:
            self.trail.missing.add(request)
            raise Pending
        return answer

    def rows(self, request: AnswerRequest) -> Rows:
        """Return what a server says; raises Pending or GeneratorError."""
        answer = self.answer(request)
        if isinstance(answer, Unavailable):
            raise GeneratorError(answer.message)
        return answer

    def blobs(self, repo_url: str, objects: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of files by object id; raises Pending or GeneratorError."""
        found: dict[str, bytes] = {}
        pending = False
        for name in objects:
            request = BlobRequest(repo_url=repo_url, object=name)
            self.trail.blobs.add(request)
            data = self.world.blobs.get(request)
            if data is None:
                self.trail.missing.add(request)
                pending = True
            elif isinstance(data, Unavailable):
                raise GeneratorError(data.message)
            else:
                found[name] = data
        if pending:
            raise Pending
        return found


Generate: TypeAlias = Callable[[JsonObject, Context], list[ParamSet]]
"""A generator: its configuration to parameter sets; raises GeneratorError, TemplateError or Pending."""
