"""Kubernetes as it really is: what API servers, networks and webhooks do to an agent, each with what is required of it.

One agent works through a proxy that does the damage (`fleet.testing.apiproxy`) before a real API server. Judged by the
API server's audit log, which sees only what reached it, and by what the hub shows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.errors import NotReady
from fleet.testing.admission import AdmissionWebhook, Mode
from fleet.testing.apiproxy import ApiProxy, Fault, lists_of, requests_in, watches_of
from fleet.testing.audit import AGENT, Cursor, Write
from fleet.testing.controlplane import ControlPlane
from fleet.testing.controlplane.access import MERGE_PATCH
from fleet.testing.estate import wait_until
from fleet.testing.faults import change_settings, spoil
from fleet.testing.fleets import Fleet, application, at, configmap, deployment, documents
from fleet.testing.repos import Content

LONG = 60.0
QUIET = 2.0
"""Seconds in which something that goes on would be seen going on."""
SETTINGS: JsonObject = {
    "cluster": {"requestTimeout": "3s", "stallTimeout": "4s"},
    "sync": {"firstRetry": "200ms", "lastRetry": "2s", "notReadyRetry": "500ms"},
}


@dataclass(slots=True)
class Spoke:
    """The cluster whose API server is behind the proxy."""

    fleet: Fleet
    plane: ControlPlane
    proxy: ApiProxy

    def deploy(self, name: str, manifests: str, **more: object) -> None:
        """Commit an application of that name in a namespace of its own."""
        self.deploy_all({name: manifests}, **more)

    def deploy_all(self, manifests: Mapping[str, str], **more: object) -> None:
        """Commit several applications at once."""
        files: dict[str, Content] = {}
        for name, text in manifests.items():
            app = application(
                name, repo=self.fleet.repo.url, path=name, cluster="north", namespace=f"t-{name}",
                **more,  # type: ignore[arg-type]
            )  # fmt: skip
            files |= {f"fleet/{name}.yaml": documents(app), f"{name}/all.yaml": text}
        self.fleet.commit(files)

    def good(self, *names: str) -> None:
        self.fleet.wait_good(*(f"north/{name}" for name in names), timeout=LONG)

    def cursor(self) -> Cursor:
        return Cursor(self.plane)

    def ask(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        kind = MERGE_PATCH if method == "PATCH" else "application/json"
        answer = self.plane.request(method, path, body, content_type=kind)
        assert answer.is_success(), answer
        return answer.body

    def namespace(self, name: str, **labels: str) -> None:
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})


@pytest.fixture(scope="module")
def through(
    start_fleet: Callable[..., Fleet], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Spoke]:
    """A fleet whose agent in north speaks through the proxy."""
    fleet = start_fleet(agent=SETTINGS)
    member, plane = fleet.estate.members["north"], fleet.planes["north"]
    with ApiProxy(plane) as proxy:
        file = tmp_path_factory.mktemp("proxy") / "kubeconfig"
        member.agent.kill()
        change_settings(member.config, kubeconfig=str(proxy.kubeconfig(member.kubeconfig, file)))
        member.agent.start()
        yield Spoke(fleet, plane, proxy)
        member.agent.kill()


@pytest.fixture
def spoke(through: Spoke) -> Iterator[Spoke]:
    yield through
    through.proxy.heal()


def created(cursor: Cursor, namespace: str, kind: str = "configmaps") -> list[str]:
    """Names of what the agent made."""
    writes = cursor.writes(user=AGENT, namespace=namespace, resource=kind)
    return sorted(write.name for write in writes if write.is_creation)


def deleted(cursor: Cursor) -> list[Write]:
    """What the agent deleted of applications."""
    return [
        write
        for write in cursor.writes(user=AGENT)
        if write.verb.startswith("delete") and write.namespace.startswith("t-")
    ]


# refusals and lost answers


WRITE_FAULTS: dict[str, dict[str, object]] = {
    "conflict": {"status": 409, "reason": "Conflict", "times": 2},
    "unavailable": {"status": 503, "times": 3},
    "broken": {"status": 500, "times": 3},
    "not-yet-served": {"status": 404, "reason": "NotFound", "times": 1},
    "late": {"status": 504, "reason": "Timeout", "carried_out": True, "times": 2},
    "cut-before": {"times": 2},
    "cut-after": {"carried_out": True, "times": 2},
    "hangs": {"delay": 5.0, "times": 1},
}


@dataclass(slots=True)
class Struck:
    """What faults of writes did, and what the agent wrote under them."""

    faults: dict[str, Fault]
    cursor: Cursor
    before: list[Write]
    after: list[Write]


@pytest.fixture(scope="module")
def struck(through: Spoke) -> Struck:
    """An application under each fault, all at the same time, until all are good; and a while later."""
    cursor = through.cursor()
    faults = {
        name: through.proxy.inject(
            Fault(is_meant=requests_in(f"t-{name}", "PATCH", kind="configmaps"), **fault)  # type: ignore[arg-type]
        )
        for name, fault in WRITE_FAULTS.items()
    }
    manifests = "---\n".join(configmap(each, text="hi") for each in "abc")
    through.deploy_all(dict.fromkeys(WRITE_FAULTS, manifests))
    through.good(*WRITE_FAULTS)
    before = cursor.writes(user=AGENT)
    time.sleep(QUIET)
    return Struck(faults, cursor, before, cursor.writes(user=AGENT))


@pytest.mark.parametrize("name", WRITE_FAULTS)
def test_a_write_that_fails_or_whose_answer_is_lost_is_done_once_in_the_end(
    struck: Struck, name: str
) -> None:
    namespace = f"t-{name}"
    assert struck.faults[name].hits, "the fault struck"
    mine = [
        [w for w in writes if w.namespace == namespace] for writes in (struck.before, struck.after)
    ]
    made = sorted(w.name for w in mine[0] if w.is_creation and w.resource == "configmaps")
    assert made == ["a", "b", "c"], "each was made once"
    assert not [w for w in mine[1] if w.verb.startswith("delete")]
    assert mine[0] == mine[1], "and then it is quiet"


def test_a_busy_server_is_left_alone_as_long_as_it_asks(spoke: Spoke) -> None:
    struck = spoke.proxy.inject(
        Fault(
            is_meant=requests_in("t-busy", "PATCH", kind="configmaps"),
            status=429, reason="TooManyRequests", headers={"Retry-After": "2"}, times=1,
        )
    )  # fmt: skip
    cursor = spoke.cursor()
    spoke.deploy("busy", "---\n".join(configmap(f"c{n}", text="hi") for n in range(5)))
    spoke.good("busy")
    (refused,) = struck.hits
    refused_at = time.time() - (time.monotonic() - refused)
    soon = [
        w for w in cursor.writes(user=AGENT) if refused_at + 0.3 < w.received < refused_at + 1.9
    ]
    assert soon == [], "nothing at all was asked of a server that said it is busy"
    assert created(cursor, "t-busy") == [f"c{n}" for n in range(5)]


def test_a_delete_whose_answer_is_lost_takes_no_successor(spoke: Spoke) -> None:
    spoke.deploy("gone", configmap("old", text="hi") + "---\n" + configmap("stays", text="hi"))
    spoke.good("gone")
    struck = spoke.proxy.inject(
        Fault(is_meant=requests_in("t-gone", "DELETE"), carried_out=True, times=1)
    )
    cursor = spoke.cursor()
    spoke.fleet.commit({"gone/all.yaml": configmap("stays", text="hi")})
    wait_until(lambda: struck.hits, what="the deletion")
    path = at("configmaps", "t-gone", "old")
    wait_until(lambda: spoke.plane.get(path) is None, what="its end")
    spoke.ask("POST", at("configmaps", "t-gone"), {"metadata": {"name": "old"}})
    spoke.good("gone")
    time.sleep(QUIET)
    assert spoke.plane.get(path) is not None, "the one that took its name is somebody else's"
    assert {w.name for w in deleted(cursor)} == {"old"}


# watches and lists


WATCH_FAULTS: dict[str, tuple[str, dict[str, object]]] = {
    "stalled": ("ConfigMap", {"freeze": True, "times": 1}),
    "expired": ("Secret", {"status": 410, "reason": "Expired", "times": 2}),
    "refused": ("Service", {"status": 503, "times": 2}),
    "torn": ("ServiceAccount", {"times": 3}),
}
"""Of what kind the watches fail: an agent has one for each kind."""


@dataclass(slots=True)
class Watched:
    """What became of an object of each kind that was changed while the watch of its kind failed."""

    faults: dict[str, Fault]
    healed: dict[str, bool]
    deleted: list[Write]


@pytest.fixture(scope="module")
def watched(through: Spoke) -> Watched:
    """An agent that starts while the watches of four kinds fail, and then drift of each."""
    manifests = [_labelled(kind) for kind, _ in WATCH_FAULTS.values()]
    through.deploy("watched", documents(*manifests))
    through.good("watched")
    faults = {
        name: through.proxy.inject(Fault(is_meant=watches_of(f"{kind.lower()}s"), **fault))  # type: ignore[arg-type]
        for name, (kind, fault) in WATCH_FAULTS.items()
    }
    member = through.fleet.estate.members["north"]
    member.agent.kill()
    member.agent.start()
    wait_until(
        lambda: all(each.hits for each in faults.values()), what="watches that fail", timeout=30
    )
    cursor = through.cursor()
    paths = {
        name: at(f"{kind.lower()}s", "t-watched", "a") for name, (kind, _) in WATCH_FAULTS.items()
    }
    for path in paths.values():
        through.ask("PATCH", path, {"metadata": {"labels": {"text": "mine"}}})
    healed: dict[str, bool] = {}

    def look() -> bool:
        for name, path in paths.items():
            found = through.plane.get(path) or {}
            healed[name] = found["metadata"]["labels"]["text"] == "hi"
        return all(healed.values())

    with contextlib.suppress(NotReady):  # each kind has a test
        wait_until(look, timeout=20)
    result = Watched(faults, healed, deleted(cursor))
    through.proxy.heal()
    return result


@pytest.mark.parametrize("name", WATCH_FAULTS)
def test_drift_is_healed_although_the_watch_fails(watched: Watched, name: str) -> None:
    assert watched.faults[name].hits
    assert watched.healed[name]
    assert not watched.deleted


def test_a_list_that_grows_too_old_between_its_pages_is_taken_anew(spoke: Spoke) -> None:
    many = [f"m{n:03d}" for n in range(260)]
    spoke.deploy("pages", "---\n".join(configmap(each, text="hi") for each in many))
    spoke.good("pages")
    is_list = lists_of("configmaps")
    struck = spoke.proxy.inject(
        Fault(
            is_meant=lambda method, path: is_list(method, path) and "continue=" in path,
            status=410, reason="Expired", times=2,
        )
    )  # fmt: skip
    cursor = spoke.cursor()
    member = spoke.fleet.estate.members["north"]
    member.agent.kill()
    member.agent.start()
    wait_until(lambda: not struck.times, what="two pages that grew too old", timeout=30)
    path = at("configmaps", "t-pages", many[-1])
    spoil(spoke.plane, path, text="mine")
    spoke.plane.wait_for(path, lambda found: found["data"]["text"] == "hi", timeout=20)  # type: ignore[index]
    writes = cursor.writes(user=AGENT, namespace="t-pages")
    assert [(w.verb, w.name) for w in writes] == [("patch", many[-1])], "nothing else was touched"


# what the server will not take


def test_an_immutable_field_is_reported_and_nothing_is_deleted(spoke: Spoke) -> None:
    spoke.deploy("fixed", deployment("web") + "---\n" + configmap("a", text="one"))
    spoke.good("fixed")
    uid = _uid(spoke, "/apis/apps/v1/namespaces/t-fixed/deployments/web")
    cursor = spoke.cursor()
    changed = deployment("web").replace("app: web", "app: other")
    spoke.fleet.commit({"fixed/all.yaml": changed + "---\n" + configmap("a", text="two")})
    spoke.fleet.wait_row("north/fixed", message="immutable", timeout=LONG)
    row = spoke.fleet.estate.apps()["north/fixed"]
    assert "apps/Deployment:t-fixed/web" in row.message
    path = at("configmaps", "t-fixed", "a")
    spoke.plane.wait_for(path, lambda found: found["data"]["text"] == "two")  # type: ignore[index]
    time.sleep(QUIET)
    assert not deleted(cursor)
    assert _uid(spoke, "/apis/apps/v1/namespaces/t-fixed/deployments/web") == uid


def test_a_webhook_that_rejects_is_quoted_and_tried_again_when_it_relents(spoke: Spoke) -> None:
    spoke.namespace("t-guarded", guarded="reject")
    with AdmissionWebhook("not on a Friday") as webhook:
        webhook.register(
            spoke.plane, "guard", namespaces={"guarded": "reject"}, resources=["configmaps"]
        )
        webhook.mode = Mode.REJECT
        spoke.deploy("guarded", configmap("a", text="hi"), options=())
        spoke.fleet.wait_row("north/guarded", message="not on a Friday", timeout=LONG)
        assert ":t-guarded/a" in spoke.fleet.estate.apps()["north/guarded"].message
        webhook.mode = Mode.ALLOW
        spoke.good("guarded")


def test_a_webhook_that_changes_objects_is_not_fought(spoke: Spoke) -> None:
    spoke.namespace("t-changed", guarded="change")
    with AdmissionWebhook() as webhook:
        webhook.register(
            spoke.plane, "changer", namespaces={"guarded": "change"}, resources=["configmaps"]
        )
        webhook.mode = Mode.CHANGE
        cursor = spoke.cursor()
        spoke.deploy("changed", configmap("a", text="hi"), options=())
        spoke.good("changed")
        found = spoke.plane.get(at("configmaps", "t-changed", "a")) or {}
        assert found["metadata"]["labels"]["injected"] == "yes"
        time.sleep(QUIET)
        writes = cursor.writes(user=AGENT, namespace="t-changed")
        assert len(writes) == 1, writes


def test_a_webhook_that_hangs_delays_nobody_else(spoke: Spoke) -> None:
    spoke.namespace("t-hung", guarded="hang")
    with AdmissionWebhook() as webhook:
        webhook.register(
            spoke.plane, "sleeper", namespaces={"guarded": "hang"}, resources=["configmaps"],
            timeout=30,
        )  # fmt: skip
        webhook.mode = Mode.HANG
        spoke.deploy(
            "hung", "---\n".join(configmap(f"c{n}", text="hi") for n in range(8)), options=()
        )
        wait_until(lambda: webhook.asked, what="a question to the webhook")
        started = time.monotonic()
        spoke.deploy("beside", configmap("a", text="hi"))
        spoke.good("beside")
        assert time.monotonic() - started < 10
        spoke.fleet.wait_row("north/hung", message="no answer", timeout=LONG)
        webhook.mode = Mode.ALLOW
    spoke.good("hung")


# namespaces and kinds that come and go


def test_a_terminating_namespace_is_waited_for(spoke: Spoke) -> None:
    spoke.deploy("ending", configmap("a", text="hi"))
    spoke.good("ending")
    blocker: JsonObject = {"metadata": {"name": "blocker", "finalizers": ["example.com/wait"]}}
    spoke.ask("POST", at("configmaps", "t-ending"), blocker)
    cursor = spoke.cursor()
    spoke.ask("DELETE", "/api/v1/namespaces/t-ending")
    spoke.fleet.wait_row("north/ending", message="namespace is being deleted", timeout=LONG)
    time.sleep(QUIET)
    tried = cursor.writes(user=AGENT, namespace="t-ending")
    assert {write.resource for write in tried} <= {"namespaces"}, "nothing fits into what ends"
    assert len(tried) < 20, "it is not tried in a loop"
    path = at("configmaps", "t-ending", "blocker")
    spoke.ask("PATCH", path, {"metadata": {"finalizers": None}})
    wait_until(
        lambda: created(cursor, "t-ending") == ["a"], what="the object made anew", timeout=LONG
    )
    spoke.good("ending")


def test_a_version_that_vanishes_keeps_the_objects(spoke: Spoke) -> None:
    crd, place = (
        _crd("widgets", served="v1alpha1"),
        "/apis/example.test/{}/namespaces/t-old/widgets/w",
    )
    spoke.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    widget = "apiVersion: example.test/{}\nkind: Widget\nmetadata:\n  name: w\nspec:\n  size: 1\n"
    spoke.deploy("old", widget.format("v1alpha1"))
    spoke.good("old")
    uid = _uid(spoke, place.format("v1alpha1"))
    cursor = spoke.cursor()
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.test"
    changed = _crd("widgets", served="v1beta1")
    spoke.ask("PATCH", path, {"spec": {"versions": _both()}})
    # as whoever retires a version has to: what is stored in it is written anew
    stored = {"metadata": {"labels": {"stored": "anew"}}}
    wait_until(lambda: spoke.plane.get(place.format("v1beta1")), what="the new version")
    spoke.ask("PATCH", place.format("v1beta1"), stored)
    spoke.ask("PATCH", f"{path}/status", {"status": {"storedVersions": ["v1beta1"]}})
    spoke.ask("PATCH", path, {"spec": {"versions": changed["spec"]["versions"]}})
    wait_until(
        lambda: spoke.plane.get(place.format("v1alpha1")) is None, what="the old version's end"
    )
    assert spoke.fleet.cli("app", "refresh", "old", "--hard").status == 0
    spoke.fleet.wait_row("north/old", message="does not serve", timeout=LONG)
    assert "v1alpha1" in spoke.fleet.estate.apps()["north/old"].message
    spoke.fleet.commit({"old/all.yaml": widget.format("v1beta1")})
    spoke.good("old")
    assert _uid(spoke, place.format("v1beta1")) == uid
    assert not [
        w for w in cursor.writes(user=AGENT) if w.resource == "widgets" and "delete" in w.verb
    ]


def test_an_aggregated_api_that_is_down_takes_nothing_away(spoke: Spoke) -> None:
    spoke.deploy("amid", configmap("a", text="hi") + "---\n" + configmap("b", text="hi"))
    spoke.good("amid")
    service: JsonObject = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.down.example.test"},
        "spec": {
            "group": "down.example.test", "version": "v1", "groupPriorityMinimum": 1000,
            "versionPriority": 10, "insecureSkipTLSVerify": True,
            "service": {"namespace": "default", "name": "nobody"},
        },
    }  # fmt: skip
    path = "/apis/apiregistration.k8s.io/v1/apiservices"
    spoke.ask("POST", path, service)
    try:
        cursor = spoke.cursor()
        spoke.fleet.commit({"amid/all.yaml": configmap("a", text="bye")})
        spoke.plane.wait_for(
            at("configmaps", "t-amid", "a"),
            lambda found: found["data"]["text"] == "bye",  # type: ignore[index]
        )
        spoke.good("amid")
        assert [w.name for w in deleted(cursor)] == ["b"], "what is known to be served is pruned"
        alien = "apiVersion: down.example.test/v1\nkind: Alien\nmetadata:\n  name: x\n"
        spoke.fleet.commit({"amid/all.yaml": configmap("a", text="bye") + "---\n" + alien})
        spoke.fleet.wait_row("north/amid", message="Alien", timeout=LONG)
        assert [w.name for w in deleted(cursor)] == ["b"]
    finally:
        spoke.ask("DELETE", f"{path}/v1.down.example.test")


def _labelled(kind: str) -> JsonObject:
    body: JsonObject = {
        "apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "labels": {"text": "hi"}},
    }  # fmt: skip
    return {**body, "spec": {"ports": [{"port": 80}]}} if kind == "Service" else body


def _uid(spoke: Spoke, path: str) -> str:
    found = spoke.plane.get(path)
    assert found is not None, path
    return str(found["metadata"]["uid"])


def _version(name: str, *, served: bool, storage: bool) -> JsonObject:
    schema: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": schema},
    }  # fmt: skip


def _both() -> list[JsonObject]:
    return [
        _version("v1alpha1", served=False, storage=False),
        _version("v1beta1", served=True, storage=True),
    ]


def _crd(plural: str, *, served: str) -> JsonObject:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.test"},
        "spec": {
            "group": "example.test",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": "Widget", "listKind": "WidgetList", "singular": "widget"},
            "versions": [_version(served, served=True, storage=True)],
        },
    }  # fmt: skip
