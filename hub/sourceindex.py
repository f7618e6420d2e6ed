"""Which Applications read which folders of which repositories: what a repository that moved gives the renderer to look at.

It follows the Applications from one evaluation to the next at the cost of the difference. Every reader of a repository
that moved is looked at, for a folder may use files of others; those whose own folder is another one come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from posixpath import normpath
from typing import NamedTuple, TypeAlias

from fleet.codec.identity import renewed
from fleet.errors import Denied
from fleet.git.urls import canonical
from fleet.model.application import Application
from fleet.model.identity import AppName
from fleet.model.world import Tree, TreeRequest, Unavailable
from fleet.render.planning import is_chart

CHARTS = ""
"""Stands for every chart repository: nobody tells that one of these moved."""


class Place(NamedTuple):
    """What a source reads, as it is written."""

    repo_url: str
    revision: str
    path: str


Touched: TypeAlias = Callable[[Place], bool]
Trees: TypeAlias = Mapping[TreeRequest, Tree | Unavailable]


@dataclass(frozen=True, slots=True)
class Seen:
    """The trees of this evaluation and of the one before."""

    before: Trees = field(default_factory=dict)
    now: Trees = field(default_factory=dict)
    _objects: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """By root: what is at which path."""

    def followed_by(self, trees: Trees) -> Seen:
        """Return what the next evaluation has seen."""
        return Seen(self.now, trees)

    def touched(self, place: Place) -> bool:
        """Whether a folder is another one; what nobody looked at twice may be."""
        request = TreeRequest(repo_url=place.repo_url, revision=place.revision)
        old, new = self.before.get(request), self.now.get(request)
        if not (isinstance(old, Tree) and isinstance(new, Tree)):
            return True
        path = normpath(place.path).strip("/")
        if path in ("", "."):
            return old.root != new.root
        return old.root != new.root and self._object(old, path) != self._object(new, path)

    def _object(self, tree: Tree, path: str) -> str | None:
        if tree.root not in self._objects:
            self._objects[tree.root] = {entry.path: entry.object for entry in tree.entries}
        return self._objects[tree.root].get(path)


@dataclass(slots=True)
class SourceIndex:
    """Applications by what their sources read."""

    _applications: Mapping[AppName, Application] = field(default_factory=dict)
    _readers: dict[Place, set[AppName]] = field(default_factory=dict)
    _places: dict[str, set[Place]] = field(default_factory=dict)
    """By the repository that a URL names, however it is written."""

    def follow(self, applications: Mapping[AppName, Application]) -> list[AppName]:
        """Take over other Applications; returns those that are new or another object."""
        before = self._applications
        changed = renewed(applications, before)
        came = sum(name not in before for name in changed)
        if len(before) + came > len(applications):
            for name in before.keys() - applications.keys():
                self._drop(name, before[name])
        for name in changed:
            application = applications[name]
            if name in before:
                if application.sources == before[name].sources:
                    continue
                self._drop(name, before[name])
            self._add(name, application)
        self._applications = applications
        return changed

    def repositories(self) -> frozenset[str]:
        """Return the URLs of all git repositories, as they are written."""
        found = {place.repo_url for places in self._places.values() for place in places}
        return frozenset(found - {CHARTS})

    def readers(self, repositories: Iterable[str], touched: Touched) -> dict[AppName, None]:
        """Return the Applications that read any of these, in the order in which they are worth a look."""
        moved = {_repository(url) for url in repositories}
        places = [place for key in moved for place in self._places.get(key, ())]
        places.sort(key=lambda place: not touched(place))
        return dict.fromkeys(name for place in places for name in self._readers[place])

    def _add(self, name: AppName, application: Application) -> None:
        for place in _read(application):
            if place not in self._readers:
                self._readers[place] = set()
                self._places.setdefault(_repository(place.repo_url), set()).add(place)
            self._readers[place].add(name)

    def _drop(self, name: AppName, application: Application) -> None:
        for place in _read(application):
            readers = self._readers[place]
            readers.discard(name)
            if readers:
                continue
            del self._readers[place]
            places = self._places[_repository(place.repo_url)]
            places.discard(place)
            if not places:
                del self._places[_repository(place.repo_url)]


def _read(application: Application) -> Set[Place]:
    return {
        Place(CHARTS, "", "")
        if is_chart(source)
        else Place(source.repo_url, source.target_revision, source.path)
        for source in application.sources
    }


def _repository(url: str) -> str:
    try:
        return canonical(url) if url else CHARTS
    except Denied:
        return url
