"""Mass deletions that other fleets have lived through, replayed on the hub: each by the number of its Argo CD issue.

The situation is reproduced as it was reported (#11464 by what is known of its kind, results that are only in part
there: its text was not at hand). The expectation is always that nothing is deleted unasked. After each outage the fleet
recovers by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from fleet.errors import BadInput, Denied, FleetError, NotReady, Transient
from fleet.jq.paths import JqPaths
from fleet.model.answers import AnswerRequest, BranchesRequest, Rows
from fleet.model.identity import ClusterName
from fleet.testing.clock import FakeClock
from fleet.testing.mirrors import MemoryMirrors
from fleet.testing.store import MemoryStore
from fleet.wire import api
from hub.accepted import Accepted
from hub.answers import Answers
from hub.approvals import Approvals
from hub.children import Children
from hub.childsyncs import ChildSyncs
from hub.evaluate import Evaluator
from hub.fleetrepo import FleetRepo
from hub.parents import Parents
from hub.records import Records
from hub.settings import FleetRepository
from hub.state import Hold, State
from hub.world import Worlds

CONFIG = "https://git.example.com/config.git"
APPS = "https://git.example.com/apps.git"
GIT = """{git: {repoURL: 'https://git.example.com/apps.git', revision: main, directories: [{path: '*'}]}}"""
CLUSTERS = "{clusters: {selector: {matchLabels: {env: production}}}}"
GIT_NAME = "'{{.path.basename}}'"
CLUSTER_NAME = "'{{.name}}-monitoring'"


def clusters(count: int = 4) -> str:
    return "---\n".join(
        f"apiVersion: gitopsfleet.io/v1alpha1\nkind: Cluster\nspec: {{}}\n"
        f"metadata: {{name: p{number}, labels: {{env: production}}}}\n"
        for number in range(count)
    )


def appset(*generators: str, name: str = GIT_NAME, title: str = "apps", policy: str = "") -> str:
    cluster = "'{{.name}}'" if name == CLUSTER_NAME else "p0"
    return (
        f"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: {title}}}\n"
        f'spec:\n  goTemplate: true\n  goTemplateOptions: ["missingkey=error"]\n'
        f"  generators: [{', '.join(generators)}]\n{policy}  template:\n    metadata: {{name: {name}}}\n"
        f"    spec:\n      project: default\n      destination: {{name: {cluster}, namespace: demo}}\n"
        f"      source: {{repoURL: 'https://git.example.com/apps.git', path: a0}}\n"
    )


def directories(*names: str) -> dict[str, str]:
    return {f"{name}/cm.yaml": name for name in names}


FOUR = directories("a0", "a1", "a2", "a3")


SCM = "{scmProvider: {github: {organization: shop, allBranches: false}}}"


@dataclass
class Forge:
    """A forge that lists what a test puts there, or fails as a test says."""

    repositories: tuple[str, ...] = ("a0", "a1", "a2", "a3")
    failing: FleetError | None = None

    async def answer(self, request: AnswerRequest) -> Rows:
        if self.failing is not None:
            raise self.failing
        if isinstance(request, BranchesRequest):
            return ({"name": "main", "sha": "0" * 40},)
        address = "git.example.com/shop"
        return tuple(
            {
                "organization": "shop",
                "repository": name,
                "id": name,
                "ssh": f"ssh://git@{address}/{name}.git",
                "https": f"https://{address}/{name}.git",
                "branch": "main",
                "labels": (),
            }
            for name in self.repositories
        )


@dataclass
class Fleet:
    """A hub's evaluation over repositories in memory."""

    mirrors: MemoryMirrors = field(default_factory=MemoryMirrors)
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)
    forge: Forge = field(default_factory=Forge)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.state = State()
        self.records = Records(self.store)
        self.state.approvals = self.records.approvals
        repo = FleetRepo(FleetRepository(repo_url=CONFIG), self.mirrors, self.store)
        self.answers = Answers(forges=self.forge, clock=self.clock, changed=lambda: None)
        self.worlds = Worlds(self.mirrors, (repo,), self.clock, self.answers)
        self.accepted = Accepted(self.store)
        self.evaluator = Evaluator(
            worlds=self.worlds,
            accepted=self.accepted,
            state=self.state,
            clock=self.clock,
            jq=JqPaths(self.clock),
            children=Children(
                parents=Parents(
                    accepted=self.accepted,
                    state=self.state,
                    syncs=ChildSyncs(store=self.store, evaluate=lambda: None),
                )
            ),
            held_clusters=self.records.declared,
            joined_clusters=lambda: [ClusterName(f"p{number}") for number in range(4)],
            approval_used=self.records.used,
            evaluated=lambda _repositories: None,
        )

    async def restart(self) -> None:
        self.start()
        await self.records.restore()
        await self.accepted.restore()
        await self.worlds.restore()

    async def evaluate(self) -> list[str]:
        await self.evaluator.reconcile("fleet")
        return sorted(str(id_) for id_ in self.state.desired.targets)

    async def ask_again(self) -> list[str]:
        """Evaluate with what the forge says now: it is asked in the background."""
        await self.clock.advance(3600)
        await self.evaluate()
        await self.clock.settle()
        return await self.evaluate()

    def config(self, *documents: str) -> None:
        files = {f"d{number}.yaml": text for number, text in enumerate(documents)}
        self.mirrors.commit(CONFIG, {"clusters.yaml": clusters(), **files})

    def hold(self, subject: str) -> Hold:
        return self.state.holds[subject]

    async def approve(self, subject: str) -> None:
        await self.records.approve(subject, self.hold(subject).digest)


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    made = Fleet()
    made.mirrors.commit(APPS, FOUR)
    yield made
    await made.answers.close()


OUTAGES = [
    pytest.param(Transient("could not resolve host"), id="dns"),
    pytest.param(Transient("connection timed out"), id="timeout"),
    pytest.param(BadInput("repository not found"), id="not-found"),
]


@pytest.mark.parametrize("outage", OUTAGES)
async def test_18480_clusters_cannot_be_listed(fleet: Fleet, outage: FleetError) -> None:
    """A cluster generator whose records cannot be read yields no clusters: every Application went."""
    fleet.config(appset(CLUSTERS, name=CLUSTER_NAME))
    before = await fleet.evaluate()
    assert len(before) == 4
    fleet.mirrors.failing[CONFIG] = outage
    assert await fleet.evaluate() == before
    await fleet.restart()
    with pytest.raises(NotReady):
        await fleet.evaluate()
    assert len(fleet.accepted.get("apps").applications) == 4, (
        "a start in the outage forgets nothing"
    )
    del fleet.mirrors.failing[CONFIG]
    assert await fleet.evaluate() == before


async def test_18480_a_hub_that_never_read_its_records_concludes_nothing(fleet: Fleet) -> None:
    fleet.mirrors.failing[CONFIG] = Transient("the API server does not answer")
    with pytest.raises(NotReady):
        await fleet.evaluate()
    assert fleet.state.desired.targets == {}
    assert not fleet.state.desired.evaluated


async def test_18480_records_that_are_all_gone_detach_and_do_not_delete(fleet: Fleet) -> None:
    """An empty list that is no error: the clusters left, what runs on them stays."""
    fleet.config(appset(CLUSTERS, name=CLUSTER_NAME))
    await fleet.evaluate()
    fleet.mirrors.commit(CONFIG, {"set.yaml": appset(CLUSTERS, name=CLUSTER_NAME)})
    await fleet.evaluate()
    assert fleet.state.desired.detached == {"p0", "p1", "p2", "p3"}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_18212_git_is_unavailable_for_a_while(fleet: Fleet, outage: FleetError) -> None:
    """A failing git generator counted as an empty one: Applications were uninstalled until git came back."""
    fleet.config(appset(GIT))
    before = await fleet.evaluate()
    assert len(before) == 4
    for _ in range(3):
        fleet.mirrors.failing[APPS] = outage
        assert await fleet.evaluate() == before
        await fleet.restart()
        assert await fleet.evaluate() == before
        del fleet.mirrors.failing[APPS]
        assert await fleet.evaluate() == before
    assert fleet.state.holds == {}


async def test_18212_a_document_that_changes_during_the_outage(fleet: Fleet) -> None:
    """Nothing was ever evaluated of the new document: the rows of the old one stay."""
    fleet.config(appset(GIT))
    before = await fleet.evaluate()
    fleet.mirrors.failing[APPS] = Transient("down")
    fleet.config(appset(GIT, name="'new-{{.path.basename}}'"))
    assert await fleet.evaluate() == before
    assert fleet.state.desired.sets["apps"].last_good


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(Transient("GET /orgs/shop/repos: timeout"), id="timeout"),
        pytest.param(Transient("GET /orgs/shop/repos: 502"), id="bad-gateway"),
        pytest.param(BadInput("GET /orgs/shop/repos: an answer that is no JSON"), id="html"),
        pytest.param(Denied("GET /orgs/shop/repos: 401"), id="denied"),
    ],
)
async def test_14318_a_forge_that_fails_lists_nothing(fleet: Fleet, failure: FleetError) -> None:
    """The scmProvider generator counted timeouts and maintenance pages as "0 applications" and deleted all of them."""
    fleet.config(appset(SCM, name="'{{.repository}}'"))
    before = await fleet.evaluate()
    assert before == ["p0/a0", "p0/a1", "p0/a2", "p0/a3"]
    fleet.forge.failing = failure
    assert await fleet.ask_again() == before
    assert fleet.state.desired.sets["apps"].last_good
    await fleet.restart()
    assert await fleet.evaluate() == before, "a start during the outage knows the last good rows"
    fleet.forge.failing = None
    assert await fleet.ask_again() == before
    assert not fleet.state.desired.sets["apps"].last_good


async def test_14318_a_forge_that_lists_nothing_without_an_error_is_held(fleet: Fleet) -> None:
    fleet.config(appset(SCM, name="'{{.repository}}'"))
    before = await fleet.evaluate()
    fleet.forge.repositories = ()
    assert await fleet.ask_again() == before
    assert fleet.hold("appset/apps").removed == ("a0", "a1", "a2", "a3")


async def test_3473_sources_are_away_while_a_commit_arrives(fleet: Fleet) -> None:
    """A degraded forge served one repository and not the other: what could not be fetched was deleted."""
    fleet.config(appset(GIT), appset(CLUSTERS, name=CLUSTER_NAME, title="monitoring"))
    before = await fleet.evaluate()
    assert len(before) == 8
    fleet.mirrors.failing[APPS] = Transient("503")
    moved = appset(CLUSTERS, name=CLUSTER_NAME, title="monitoring").replace("demo", "other")
    fleet.config(appset(GIT), moved)
    assert await fleet.evaluate() == before
    namespaces = {item.destination.namespace for item in fleet.state.desired.applications.values()}
    assert namespaces == {"demo", "other"}, "what can be read goes on, what cannot stays"


async def test_3473_a_branch_that_reads_empty_is_held(fleet: Fleet) -> None:
    """An answer that is empty and no error cannot be told from a decision: a person says which."""
    fleet.config(appset(GIT))
    before = await fleet.evaluate()
    fleet.mirrors.commit(APPS, {})
    assert await fleet.evaluate() == before
    assert fleet.hold("appset/apps").removed == ("a0", "a1", "a2", "a3")
    fleet.mirrors.commit(APPS, FOUR)
    assert await fleet.evaluate() == before
    assert fleet.state.holds == {}, "it heals without anybody's help"


async def test_11464_one_generator_of_several_fails(fleet: Fleet) -> None:
    """The rows of the generators that still work were taken for the whole set: the others' went."""
    fleet.config(appset(GIT, "{list: {elements: [{path: {basename: extra}}]}}"))
    before = await fleet.evaluate()
    assert len(before) == 5
    fleet.mirrors.failing[APPS] = Transient("timeout")
    assert await fleet.evaluate() == before
    fleet.config(appset(GIT, "{list: {elements: [{path: {basename: other}}]}}"))
    assert await fleet.evaluate() == before, "half of a result is none"
    del fleet.mirrors.failing[APPS]
    after = await fleet.evaluate()
    assert set(after) ^ set(before) == {"p0/extra", "p0/other"}


async def test_11464_a_template_that_fails_for_some_rows(fleet: Fleet) -> None:
    """A row that lost a value must not take its Application, nor its neighbours', away."""
    rows = "{list: {elements: [{name: x, tier: a}, {name: z, tier: b}]}}"
    text = appset(rows, name="'{{.name}}-{{.tier}}'")
    fleet.config(text)
    before = await fleet.evaluate()
    assert before == ["p0/x-a", "p0/z-b"]
    fleet.config(text.replace(", tier: b", ""))
    assert await fleet.evaluate() == before
    assert fleet.state.desired.sets["apps"].last_good


# the ApplicationSet's own document


async def test_a_deleted_set_is_held_as_all(fleet: Fleet) -> None:
    fleet.config(appset(GIT))
    before = await fleet.evaluate()
    fleet.config()
    assert await fleet.evaluate() == before
    hold = fleet.hold("appset/apps")
    assert "would remove all of 4" in hold.message
    await fleet.restart()
    assert await fleet.evaluate() == before
    await fleet.approve("appset/apps")
    assert await fleet.evaluate() == []


@pytest.mark.parametrize("policy", ["create-only", "create-update"])
async def test_a_policy_keeps_the_applications_of_a_deleted_set(fleet: Fleet, policy: str) -> None:
    fleet.config(appset(GIT, policy=f"  syncPolicy: {{applicationsSync: {policy}}}\n"))
    before = await fleet.evaluate()
    fleet.config()
    for _ in range(2):
        assert await fleet.evaluate() == before
        assert fleet.state.holds == {}
        assert fleet.state.desired.sets["apps"].reason == "ApplicationSetDeleted"
        await fleet.restart()
    fleet.config(appset(GIT, title="heirs"))
    assert await fleet.evaluate() == before
    assert fleet.state.desired.sets["heirs"].applications == ("a0", "a1", "a2", "a3")
    await fleet.evaluate()
    assert "apps" not in fleet.state.desired.sets, "another set took over all of them"


@pytest.mark.parametrize("policy", ["sync", "create-delete"])
async def test_other_policies_let_a_deleted_set_be_held(fleet: Fleet, policy: str) -> None:
    fleet.config(appset(GIT, policy=f"  syncPolicy: {{applicationsSync: {policy}}}\n"))
    before = await fleet.evaluate()
    fleet.config()
    assert await fleet.evaluate() == before
    assert list(fleet.state.holds) == ["appset/apps"]


async def test_preserved_resources_need_no_approval_and_count_for_nothing(fleet: Fleet) -> None:
    """The Applications go, everything on the clusters stays; the budget of others is not used up."""
    kept = appset(GIT, policy="  syncPolicy: {preserveResourcesOnDeletion: true}\n")
    others = appset(CLUSTERS, name=CLUSTER_NAME, title="monitoring")
    fleet.config(kept, others)
    assert len(await fleet.evaluate()) == 8
    fleet.config(others)
    assert len(await fleet.evaluate()) == 4
    assert fleet.state.holds == {}


async def test_a_result_is_held_as_a_whole(fleet: Fleet) -> None:
    """What would be added and changed waits too, and is shown beside what would be removed."""
    fleet.config(appset(GIT))
    before = await fleet.evaluate()
    fleet.mirrors.commit(APPS, directories("a0", "b1"))
    changed = appset(GIT, policy="  # gone too\n").replace("namespace: demo", "namespace: other")
    fleet.config(changed.replace("metadata: {name: apps}", _LIMITED))
    assert await fleet.evaluate() == before
    hold = fleet.hold("appset/apps")
    assert (hold.removed, hold.added, hold.changed) == (("a1", "a2", "a3"), ("b1",), ("a0",))


_LIMITED = "metadata: {name: apps, annotations: {gitopsfleet.io/max-removals: '1'}}"


async def test_the_reason_of_an_approval_is_in_the_log(fleet: Fleet) -> None:
    fleet.config(appset(GIT))
    await fleet.evaluate()
    fleet.config()
    await fleet.evaluate()
    approvals = Approvals(
        state=fleet.state,
        records=fleet.records,
        evaluate=lambda: None,
        dispatch=lambda _target: None,
    )
    asked = api.ApproveRequest(subject="appset/apps", reason="moved to\nthe other fleet")
    with capture_logs() as lines:
        await approvals.approve(asked)
        await fleet.evaluate()
    said, used = lines
    assert said["event"] == "approved"
    assert said["reason_given"] == "moved to the other fleet"
    assert said["removed"] == ["a0", "a1", "a2", "a3"]
    assert (used["event"], used["subject"]) == ("approved removal in force", "appset/apps")
