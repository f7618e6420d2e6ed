"""Which children of Applications are in force: app of apps, as Argo CD would sync it, without an API server between.

A parent offers what it renders. Its sync policy says whether that comes into force by itself, a person's request does
it once; what left the rendering goes only with ``prune``. Nothing changes while a parent may not move, and an offer
that is not known is no empty one. Of several parents that offer one document the one that has it keeps it; a document
that moves from one to the other is never without an owner. Chains are at most `LEVELS` long and never closed.

Pure: who renders, judges and remembers is `hub.children`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace

from fleet import guard
from fleet.argo.children import GROUP, Child, Offer, key_of
from fleet.argo.permissions import permits_namespace, permits_object, rules_for
from fleet.argo.reading import Problem
from fleet.errors import Where
from fleet.generators import inforce
from fleet.model.application import Application
from fleet.model.assignment import ProjectRules
from fleet.model.cluster import Cluster
from fleet.model.identity import AppName
from fleet.model.project import DEFAULT_PROJECT, AppProject
from fleet.model.world import World

LEVELS = 5
"""How many Applications may be above one that is a child."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """An Application that renders children, or that has some in force."""

    name: AppName
    offer: Offer | None = None
    """What it renders, or rendered when a person brought it back to that; None: not known right now."""
    later: Set[str] = frozenset()
    """What it renders now, and may bring only when nobody keeps it at an earlier version any more."""
    in_force: Mapping[str, Child] = field(default_factory=dict)
    adopts: bool = False
    """Whether new and changed children come into force: automated, or asked for."""
    prunes: bool = False
    """Whether those that left may go."""
    waits_for: str = ""
    """Why nothing of it may change now."""
    denied: Mapping[str, str] = field(default_factory=dict)
    """Children that its project does not permit, with the reason."""
    is_leaving: bool = False
    """Whether it is on its way out: it brings and lets go nothing any more, for that would go, or not, with it."""
    is_gone: bool = False
    leaves_children: bool = False
    """Whether its children stay when it goes: it has no resources finalizer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What parents are looked at against."""

    others: Mapping[str, str] = field(default_factory=dict)
    """Keys that somebody else has, a document of a fleet repository or a set, with who that is: they come first."""
    makes: Mapping[str, frozenset[AppName]] = field(default_factory=dict)
    """Applications that each ApplicationSet makes now."""
    leaving: Set[str] = frozenset()
    """Keys that were seen leaving, of whomever: without those that somebody has again."""
    rated: Set[str] = frozenset()
    """Kinds whose health waves wait for."""
    healthy: Set[str] = frozenset()
    """Children in force of these kinds that are Healthy."""
    confirmed: Set[str] | None = None
    """Children that were seen leaving before everything was rendered again. What leaves goes only then: it may be on
    its way to another parent. None: no need to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is in force of one parent, and what is not as it renders it."""

    in_force: Mapping[str, Child]
    artifact: str = ""
    """Of the offer that was looked at."""
    chain: tuple[AppName, ...] = ()
    """The parents of its children, the outermost first."""
    pending: tuple[str, ...] = ()
    """Offered, and not in force in this version."""
    extra: tuple[str, ...] = ()
    """In force, and no longer offered."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Children that cannot come into force as they are, with the reason."""
    handed_over: frozenset[str] = frozenset()
    """What somebody else has now: no removals."""
    awaited: frozenset[str] = frozenset()
    """Children whose health a later wave waits for."""
    waits_for: str = ""
    loop: str = ""
    leaving: frozenset[str] = frozenset()
    """What goes, or would if it had been seen leaving before."""
    deferred: frozenset[str] = frozenset()
    """What would go, but not before everything is rendered again."""


def made_by(appset: str) -> str:
    """Say of an Application that a set makes it, as in `Fleet.others`."""
    return f"ApplicationSet {appset!r}"


def written(world: World) -> dict[str, str]:
    """Say of each document of the fleet repositories, by its key, whose it is, as in `Fleet.others`."""
    return {
        key_of(type(item).__name__, item.name): f"a document of the fleet ({item.where})"
        for items in (world.applications, world.appsets, world.projects)
        for item in items.values()
        if item != DEFAULT_PROJECT  # nobody wrote it
    }


def choose(parents: Iterable[Parent], fleet: Fleet) -> dict[AppName, Choice]:
    """Decide for all parents together; those that turn out to be leaving bring nothing to what stays."""
    known = {
        parent.name: _without_itself(parent)
        for parent in sorted(parents, key=lambda each: each.name)
    }
    while True:
        choices = _choose(known, fleet)
        leaving = _leaving(known, choices, fleet)
        fresh = {
            name: replace(parent, is_leaving=True)
            for name, parent in known.items()
            if name in leaving and not (parent.is_leaving or parent.is_gone)
        }
        if not fresh:
            return choices
        known |= fresh


def _leaving(
    known: Mapping[AppName, Parent], choices: Mapping[AppName, Choice], fleet: Fleet
) -> set[str]:
    """Name what is on its way out by a decision, with what parents that are leaving will take with them."""
    kept = {key for choice in choices.values() for key in choice.in_force}
    found = set(fleet.leaving - fleet.others.keys() - kept)
    found |= {key for choice in choices.values() for key in choice.leaving}
    wanted = {
        key
        for parent in known.values()
        if parent.offer and not (parent.is_leaving or parent.is_gone)
        for key in parent.offer.children
    }
    for parent in known.values():
        if parent.is_leaving and not (parent.is_gone or parent.leaves_children):
            in_force = choices[parent.name].in_force
            found |= {key for key, child in in_force.items() if child.is_deleted} - wanted
    for name, made in fleet.makes.items():
        if key_of("ApplicationSet", name) in found:
            found |= {app for app in made if fleet.others.get(app) in (None, made_by(name))}
    return found


def _choose(known: Mapping[AppName, Parent], fleet: Fleet) -> dict[AppName, Choice]:
    owners = _owners(known, fleet)
    chains = _Chains(owners, fleet)
    loops = {name: loop for name in known if (loop := chains.loop(known[name]))}
    members: dict[AppName, str] = {}
    for text, path in loops.values():
        members |= dict.fromkeys((name for name in path if name not in members), text)
    owners = _owners(known, fleet, blocked=members.keys())
    chains = _Chains(owners, fleet)
    adoptions = {
        name: _adopt(parent, owners, chains.of(name), fleet, members.get(name, ""))
        for name, parent in known.items()
    }
    offered = {
        key
        for parent in known.values()
        if parent.offer is not None and not parent.is_gone
        for key in parent.offer.children
    }
    later = [parent for parent in known.values() if parent.later and not parent.is_gone]
    return {
        name: _release(
            parent,
            adoptions,
            owners,
            _wanted(parent, offered, later),
            fleet,
        )
        for name, parent in known.items()
    }


def judge(
    name: str,
    before: Set[str],
    after: Set[str],
    *,
    largest: int,
    application: Application | None,
    is_empty: bool,
) -> guard.Verdict:
    """Judge what a parent brings against what it brought; ``is_empty``: it renders nothing at all any more."""
    verdict = guard.judge(
        before,
        after,
        largest=largest,
        what=f"application {name!r}, with the documents it brings to the fleet,",
        allowed=inforce.max_removals(application),
    )
    automated = application.sync_policy.automated if application else None
    allows = automated is not None and automated.allow_empty
    if verdict.held or not verdict.removed or not is_empty or allows:
        return verdict
    message = f"application {name!r} renders nothing at all any more; held until it is approved"
    return guard.Verdict(held=True, removed=verdict.removed, message=message)


def denial(
    child: Child, project: AppProject, cluster: Cluster, projects: Mapping[str, AppProject]
) -> str:
    """Say why the project of a parent on the management cluster does not let it bring a child; empty if it does.

    In Argo CD only its own namespace, that of its projects, makes a document powerful. So whoever may not write there
    brings no projects and no sets, and elsewhere only Applications of projects that list the namespace.
    """
    rules, place = rules_for(project, cluster), f"{GROUP}/{child.kind} in namespace"
    if not _permits(rules, child, child.namespace):
        return f"{place} {child.namespace} is not permitted in project {project.name!r}"
    home = project.namespace
    if child.namespace == home or child.item is None or _permits(rules, child, home):
        return ""
    if isinstance(child.item, Application):
        used = projects.get(child.item.project)
        if used is not None and permits_namespace(used, child.namespace):
            return ""
        return (
            f"an Application in namespace {child.namespace} may not use project {child.item.project!r}: "
            "add the namespace to the project's sourceNamespaces"
        )
    return f"{place} {child.namespace} does not count: project {project.name!r} has to permit it in namespace {home}"


def with_brought(
    brought: Mapping[str, AppProject], written: Mapping[str, AppProject]
) -> dict[str, AppProject]:
    """Put projects that Applications bring beside those of the fleet repositories, which come first; the default one
    that nobody wrote does not."""
    return {
        **brought,
        **{
            name: item
            for name, item in written.items()
            if name not in brought or item != DEFAULT_PROJECT
        },
    }


def problems(parent: Parent, choice: Choice, place: str) -> Iterator[Problem]:
    """Tell what of a parent cannot come into force, whatever anybody does but its owner; ``place`` is its target."""
    file = f"rendered by {place}"
    if parent.offer is not None:
        yield from parent.offer.problems
        for key, reason in sorted(choice.refused.items()):
            child = parent.offer.children[key]
            if not child.error:
                where = Where(file=file, object=f"{child.kind}/{child.name}")
                yield Problem(reason="ChildRefused", message=reason, where=where, fatal=False)
    if choice.loop:
        where = Where(file=file, object=f"Application/{parent.name}")
        message = f"{choice.loop}; what its members bring stays as it is"
        yield Problem(reason="ChildLoop", message=message, where=where, fatal=True)


def _without_itself(parent: Parent) -> Parent:
    """Leave out the document of a parent in its own folder, as is usual with Argo CD: whoever else has it keeps it, and
    if nobody has, there is no parent."""
    if parent.offer is None or parent.name not in parent.offer.children:
        return parent
    others = {key: child for key, child in parent.offer.children.items() if key != parent.name}
    return replace(
        parent, offer=replace(parent.offer, children=others), later=parent.later - {parent.name}
    )


def _permits(rules: ProjectRules, child: Child, namespace: str) -> bool:
    return permits_object(
        rules,
        group=GROUP,
        kind=child.kind,
        name=child.name,
        namespace=namespace,
        namespaced=True,
    )


def _owners(
    parents: Mapping[AppName, Parent], fleet: Fleet, blocked: Set[AppName] = frozenset()
) -> dict[str, AppName]:
    """Say whose each child is: his who has it and still wants it, else the first who offers it, else his who has it."""
    holders: dict[str, list[AppName]] = defaultdict(list)
    claims: dict[str, list[AppName]] = defaultdict(list)
    first = sorted(parents.values(), key=lambda parent: (not parent.adopts, parent.name))
    keeps: dict[str, list[AppName]] = defaultdict(list)
    for parent in first:
        for key in parent.in_force:
            holders[key].append(parent.name)
        if parent.is_gone:
            continue
        offered = parent.offer.children if parent.offer and parent.name not in blocked else None
        for key, child in (offered or {}).items():
            if not (child.error or parent.is_leaving) and key not in parent.denied:
                claims[key].append(parent.name)
        for key in parent.in_force:
            if offered is None or key in offered:
                keeps[key].append(parent.name)
    return {
        key: (keeps.get(key) or claims.get(key) or holders[key])[0]
        for key in holders.keys() | claims.keys()
        if key not in fleet.others
    }


class _Chains:
    """Who is above whom."""

    def __init__(self, owners: Mapping[str, AppName], fleet: Fleet) -> None:
        self._makes = fleet.makes
        self._above: dict[AppName, AppName] = {}
        for key, owner in sorted(owners.items()):
            kind, slash, name = key.rpartition("/")
            if not slash:
                self._above[AppName(name)] = owner
            elif kind == "ApplicationSet":
                for made in fleet.makes.get(name, ()):
                    if made not in owners and fleet.others.get(made, made_by(name)) == made_by(
                        name
                    ):
                        self._above.setdefault(made, owner)  # of two sets the first has it

    def of(self, name: AppName) -> tuple[AppName, ...]:
        """The chain that ends with an Application, the outermost first; of a closed one the part before it closes."""
        chain = [name]
        while (above := self._above.get(chain[0])) is not None and above not in chain:
            chain.insert(0, above)
        return tuple(chain)

    def loop(self, parent: Parent) -> tuple[str, tuple[AppName, ...]] | None:
        """The way round that a parent's offer closes: its text, and those on it."""
        if parent.offer is None or parent.is_gone or parent.is_leaving:
            return None
        chain = self.of(parent.name)
        for key in sorted(parent.offer.children):
            kind, _, name = key.rpartition("/")
            made = self._makes.get(name, frozenset()) if kind == "ApplicationSet" else ()
            for child in sorted(made) if kind else [AppName(name)]:
                if child in chain:
                    path = chain[chain.index(child) :]
                    return "loop: " + " -> ".join((*path, child)), path
        return None


@dataclass(slots=True)
class _Adoption:
    """The first half of a choice: what came into force."""

    chain: tuple[AppName, ...]
    loop: str
    in_force: dict[str, Child]
    pending: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    awaited: frozenset[str] = frozenset()
    waits_for: str = ""


def _adopt(
    parent: Parent,
    owners: Mapping[str, AppName],
    chain: tuple[AppName, ...],
    fleet: Fleet,
    loop: str,
) -> _Adoption:
    adoption = _Adoption(chain, loop, dict(parent.in_force), waits_for=parent.waits_for)
    if parent.is_leaving and not parent.is_gone:
        adoption.waits_for = parent.waits_for or "it is leaving"
        return adoption
    if parent.offer is None or parent.is_gone:
        return adoption
    usable: dict[int, list[Child]] = defaultdict(list)
    for key, child in parent.offer.children.items():
        refusal = _refusal(child, parent, owners, chain, fleet)
        if refusal:
            adoption.refused[key] = refusal
        else:
            usable[child.wave].append(child)
    may_change = parent.adopts and not loop and not parent.waits_for
    for wave in sorted(usable):
        _adopt_wave(usable[wave], parent, adoption, may_change=may_change)
        unwell = _unwell(usable[wave], parent, fleet)
        if unwell and may_change:
            may_change, adoption.awaited = False, unwell
            adoption.waits_for = f"wave {wave} is not healthy: {', '.join(sorted(unwell))}"
    if adoption.awaited and not adoption.pending:
        adoption.awaited, adoption.waits_for = frozenset(), parent.waits_for
    return adoption


def _adopt_wave(
    children: Iterable[Child], parent: Parent, adoption: _Adoption, *, may_change: bool
) -> None:
    for child in children:
        if child.is_same(parent.in_force.get(child.key)):
            continue
        if may_change:
            adoption.in_force[child.key] = child
        else:
            adoption.pending.append(child.key)


def _unwell(children: Iterable[Child], parent: Parent, fleet: Fleet) -> frozenset[str]:
    """Name what a later wave has to wait for; what has just come into force cannot be healthy yet."""
    return frozenset(
        child.key
        for child in children
        if child.kind in fleet.rated
        and not (child.key in fleet.healthy and child.is_same(parent.in_force.get(child.key)))
    )


def _refusal(
    child: Child,
    parent: Parent,
    owners: Mapping[str, AppName],
    chain: tuple[AppName, ...],
    fleet: Fleet,
) -> str:
    """Say why a child cannot come into force, whatever the policy is."""
    if child.error:
        return child.error
    if child.key in parent.denied:
        return parent.denied[child.key]
    if child.key in fleet.others:
        return f"it already belongs to {fleet.others[child.key]}; that one counts"
    owner = owners.get(child.key, parent.name)
    if owner != parent.name:
        return f"it already belongs to application {owner!r}; that one counts"
    if len(chain) > LEVELS and child.key not in parent.in_force:
        return f"more than {LEVELS} levels: {' -> '.join((*chain, child.name))}"
    return ""


def _release(
    parent: Parent,
    adoptions: Mapping[AppName, _Adoption],
    owners: Mapping[str, AppName],
    offered: Set[str],
    fleet: Fleet,
) -> Choice:
    """The second half: what goes, now that it is known who took what."""
    own = adoptions[parent.name]
    taken = {
        key
        for key in parent.in_force
        if key in fleet.others
        or (owners[key] != parent.name and key in adoptions[owners[key]].in_force)
    }
    left = {key for key in parent.in_force if key not in taken and not _is_wanted(parent, key)}
    going = {key for key in left if _may_go(parent, own, key) and key not in offered}
    deferred = set() if fleet.confirmed is None else going - fleet.confirmed
    away = taken | (going - deferred)
    return Choice(
        in_force={key: child for key, child in sorted(own.in_force.items()) if key not in away},
        artifact=parent.offer.artifact if parent.offer else "",
        chain=own.chain,
        pending=tuple(sorted(own.pending)),
        extra=tuple(sorted(left - away)),
        refused=own.refused,
        handed_over=frozenset(taken),
        awaited=own.awaited,
        waits_for=own.waits_for,
        loop=own.loop,
        leaving=frozenset(going),
        deferred=frozenset(deferred),
    )


def _wanted(parent: Parent, offered: Set[str], later: Iterable[Parent]) -> Set[str]:
    """What somebody renders, or another parent would if nobody kept it at an earlier version."""
    others = [other.later for other in later if other is not parent]
    return offered | set().union(*others) if others else offered


def _is_wanted(parent: Parent, key: str) -> bool:
    """Whether a child stays because its parent renders it, or may render it."""
    if parent.is_gone:
        return False
    return parent.offer is None or key in parent.offer.children


def _may_go(parent: Parent, own: _Adoption, key: str) -> bool:
    child = parent.in_force[key]
    if own.waits_for or own.loop:
        return False
    if parent.is_gone:
        return child.is_deleted and not parent.leaves_children
    return parent.prunes and child.is_pruned
