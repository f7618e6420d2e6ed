"""What the agent takes for a difference, asked of API servers that set defaults and know units and owners."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.apply import Applier
from agents.cache import Cache
from agents.comparisons import Comparisons, Examined, Manner
from agents.desired import DesiredStates
from agents.ignoring import Ignoring
from agents.live import LiveTable
from agents.prediction import Predictor
from fleet.codec.jsontypes import JsonObject
from fleet.jq.paths import JqPaths
from fleet.kube.adapter import KubernetesCluster
from fleet.kube.connection import Connection, ConnectionSettings
from fleet.model.assignment import IgnoreRule, ProjectRules, Section
from fleet.runtime.clock import SystemClock
from fleet.sync.desired import desired_manifests
from fleet.sync.diff import changed_paths
from fleet.sync.manifest import Manifest, Scope
from fleet.testing.admission import AdmissionWebhook, Mode
from fleet.testing.apiservers import APPLY, MERGE, ApiServer, eventually
from fleet.testing.controlplane import ControlPlane

SERVER = Manner(always=True)
STRUCTURE = Manner(dry_run=False)


def web(**spec: object) -> JsonObject:
    """A Deployment as people write them: without defaults, units as they like."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"team": "a"}, "creationTimestamp": None},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}, "creationTimestamp": None},
                "spec": {
                    "containers": [
                        {
                            "name": "main",
                            "image": "example/none:1",
                            "env": [{"name": "EMPTY", "value": ""}, {"name": "A", "value": "b"}],
                            "ports": [{"containerPort": 80}],
                            "resources": {
                                "limits": {"cpu": "1000m", "memory": "1024Mi"},
                                "requests": {"cpu": 0.1},
                            },
                            "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
                        }
                    ],
                    "volumes": [{"name": "scratch", "emptyDir": {}}],
                },
            },
            **spec,
        },
    }


@dataclass
class Compared:
    """One object of one API server, applied and compared as the agent does it."""

    server: ApiServer
    applier: Applier
    comparisons: Comparisons
    cluster: KubernetesCluster
    ignoring: Ignoring

    def manifest(self, body: JsonObject, *rules: IgnoreRule) -> Manifest:
        section = Section(
            target="app",
            project=ProjectRules(name="default", namespaces=("*",)),
            namespace=self.server.namespace,
            ignore=rules,
        )
        found = desired_manifests(
            section, [body], lambda _group, _kind: Scope.NAMESPACED, cluster="contract"
        )
        (manifest,) = found.manifests
        return manifest

    async def apply(self, body: JsonObject) -> JsonObject:
        manifest = self.manifest(body)
        resource = await self.applier.resource_for(manifest)
        return await self.cluster.apply(resource, manifest.body, force=True)

    async def compare(
        self, body: JsonObject, manner: Manner = SERVER, *rules: IgnoreRule
    ) -> Examined:
        manifest = self.manifest(body, *rules)
        live = (await self.applier.whole_as([manifest], singly=True))[manifest.ref]
        return await self.comparisons.examine(manifest, live, manner)

    def change(self, patch: JsonObject, sub: str = "", manager: str = "autoscaler") -> None:
        path = f"{self.server.deployments('web')}{sub}?fieldManager={manager}"
        self.server.do("PATCH", path, patch, MERGE)


@asynccontextmanager
async def opened(server: ApiServer, folder: Path) -> AsyncIterator[Compared]:
    kubeconfig = server.access.write_kubeconfig(folder / "kubeconfig")
    cluster = KubernetesCluster(Connection(ConnectionSettings(kubeconfig=str(kubeconfig))))
    clock, table = SystemClock(), LiveTable()
    jq = JqPaths(clock)
    ignoring = Ignoring(jq)
    applier = Applier(cluster, table, clock, ignoring, concurrency=4)
    comparisons = Comparisons(
        applier,
        table,
        DesiredStates(Cache(folder), "contract"),
        ignoring,
        Predictor(cluster, applier, concurrency=4),
    )
    try:
        yield Compared(server, applier, comparisons, cluster, ignoring)
    finally:
        await jq.close()
        await cluster.close()


@pytest.fixture
async def compared(server: ApiServer, tmp_path: Path) -> AsyncIterator[Compared]:
    async with opened(server, tmp_path) as found:
        yield found


def paths(found: Examined) -> tuple[str, ...]:
    return changed_paths(*found.counted())


CONTAINER = web()["spec"]["template"]["spec"]["containers"][0]


def _with_container(**fields: object) -> JsonObject:
    body = web()
    pod = {**body["spec"]["template"]["spec"], "containers": [{**CONTAINER, **fields}]}
    return web(template={**body["spec"]["template"], "spec": pod})


OTHER_UNITS = _with_container(
    resources={"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}}
)


@pytest.mark.parametrize("manner", [SERVER, STRUCTURE], ids=["dry run", "structure"])
@pytest.mark.parametrize("body", [web(), OTHER_UNITS], ids=["the same", "other units"])
async def test_nothing_differs_after_an_apply(
    compared: Compared, manner: Manner, body: JsonObject
) -> None:
    await compared.apply(web())
    found = await compared.compare(body, manner)
    assert (found.is_same, found.by_server) == (True, manner.dry_run), paths(found)


@pytest.mark.parametrize("manner", [SERVER, STRUCTURE], ids=["dry run", "structure"])
async def test_what_others_add_is_no_difference(compared: Compared, manner: Manner) -> None:
    await compared.apply(web())
    compared.change({"metadata": {"annotations": {"theirs": "y"}}, "spec": {"minReadySeconds": 3}})
    compared.change({"status": {"observedGeneration": 1}}, "/status")
    found = await compared.compare(web(), manner)
    assert found.is_same, paths(found)


@pytest.mark.parametrize("manner", [SERVER, STRUCTURE], ids=["dry run", "structure"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (web(replicas=2), ("spec.replicas",)),
        (
            _with_container(image="example/none:2"),
            ("spec.template.spec.containers[name=main].image",),
        ),
        (
            _with_container(env=[{"name": "A", "value": "b"}]),
            ("spec.template.spec.containers[name=main].env[name=EMPTY]",),
        ),
        ({**web(), "metadata": {"name": "web"}}, ("metadata.labels.team",)),
    ],
    ids=["a value", "in a list", "an item less", "a label less"],
)
async def test_what_git_changes_is_a_difference(
    compared: Compared, manner: Manner, body: JsonObject, expected: tuple[str, ...]
) -> None:
    await compared.apply(web())
    found = await compared.compare(body, manner)
    assert paths(found) == expected


RULES = {
    "json-pointer": IgnoreRule(group="apps", kind="Deployment", json_pointers=("/spec/replicas",)),
    "jq": IgnoreRule(group="apps", kind="Deployment", jq_expressions=(".spec.replicas",)),
    "managers": IgnoreRule(group="*", kind="*", managers=("autoscaler",)),
}


@pytest.mark.parametrize("manner", [SERVER, STRUCTURE], ids=["dry run", "structure"])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
async def test_an_autoscaler_with_a_rule(
    compared: Compared, manner: Manner, rule: IgnoreRule
) -> None:
    await compared.apply(web())
    compared.change({"spec": {"replicas": 4}}, "/scale")
    found = await compared.compare(web(), manner)
    assert paths(found) == ("spec.replicas",)
    found = await compared.compare(web(), manner, rule)
    assert found.is_same, paths(found)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
async def test_respected_values_are_applied_as_they_live(
    compared: Compared, rule: IgnoreRule
) -> None:
    await compared.apply(web())
    compared.change({"spec": {"replicas": 4}}, "/scale")
    manifest = compared.manifest(web(), rule)
    live = (await compared.applier.whole_as([manifest], singly=True))[manifest.ref]
    body = await compared.ignoring.with_live(manifest, live)
    assert body["spec"]["replicas"] == 4
    resource = await compared.applier.resource_for(manifest)
    after = await compared.cluster.apply(resource, body, force=True)
    assert after["spec"] == live["spec"]


async def test_a_dry_run_writes_nothing(compared: Compared) -> None:
    before = await compared.apply(secret(a="one"))
    found = await compared.compare(secret(a="two"))
    assert not found.is_same
    live = await compared.compare(secret(a="one"))
    assert live.is_same
    metadata = live.before["metadata"]
    assert metadata["resourceVersion"] == before["metadata"]["resourceVersion"]


def secret(**data: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys"},
        "stringData": data,
    }


@pytest.mark.parametrize("manner", [SERVER, STRUCTURE], ids=["dry run", "structure"])
async def test_a_secret_in_plain_text(compared: Compared, manner: Manner) -> None:
    await compared.apply(secret(a="one", b="two"))
    found = await compared.compare(secret(a="one", b="two"), manner)
    assert found.is_same, paths(found)
    found = await compared.compare(secret(a="other", b="two"), manner)
    assert paths(found) == ("data.a",)


IMAGE: JsonObject = {
    "op": "replace",
    "path": "/spec/template/spec/containers/0/image",
    "value": "mirror.example.com/none:1",
}


@pytest.fixture
async def guarded(
    cluster: ControlPlane, tmp_path: Path
) -> AsyncIterator[tuple[Compared, AdmissionWebhook]]:
    """A real API server that asks a webhook about Deployments."""
    name = f"guarded-{uuid.uuid4().hex[:8]}"
    server = ApiServer(cluster.access, name)
    labels = {"guarded": name}
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
    }
    server.do("POST", "/api/v1/namespaces", namespace)
    with AdmissionWebhook() as webhook:
        async with opened(server, tmp_path) as found:
            yield found, webhook
    server.do("DELETE", f"/api/v1/namespaces/{name}")


def register(guarded: tuple[Compared, AdmissionWebhook], plane: ControlPlane) -> None:
    compared, webhook = guarded
    name = compared.server.namespace
    webhook.mode = Mode.CHANGE
    webhook.register(
        plane,
        name,
        namespaces={"guarded": name},
        resources=["deployments"],
        groups=["apps"],
    )
    eventually(lambda: bool(_probed(compared) and webhook.asked))


def _probed(compared: Compared) -> bool:
    """Let the API server notice the webhook: its configuration is read by a watch."""
    body = {**web(), "metadata": {"name": "probe", "namespace": compared.server.namespace}}
    path = f"{compared.server.deployments('probe')}?fieldManager=probe&force=true"
    return compared.server.ask("PATCH", path, body, APPLY).is_success()


@pytest.mark.controlplane
async def test_what_a_webhook_makes_of_our_field_is_no_difference(
    guarded: tuple[Compared, AdmissionWebhook], cluster: ControlPlane
) -> None:
    compared, webhook = guarded
    webhook.patch = [IMAGE]
    register(guarded, cluster)
    live = await compared.apply(web())
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE["value"]
    found = await compared.compare(web())
    assert (found.is_same, found.by_server) == (True, True), paths(found)
    found = await compared.compare(web(), STRUCTURE)
    assert paths(found) == ("spec.template.spec.containers[name=main].image",)


@pytest.mark.controlplane
async def test_what_a_webhook_would_add_counts_only_if_asked_for(
    guarded: tuple[Compared, AdmissionWebhook], cluster: ControlPlane
) -> None:
    compared, _ = guarded
    await compared.apply(web())
    register(guarded, cluster)
    found = await compared.compare(web())
    assert found.is_same, paths(found)
    found = await compared.compare(web(), Manner(always=True, webhooks=True))
    assert paths(found) == ("metadata.labels.injected",)


@pytest.mark.controlplane
async def test_where_admission_refuses_the_structure_decides(
    guarded: tuple[Compared, AdmissionWebhook], cluster: ControlPlane
) -> None:
    compared, webhook = guarded
    await compared.apply(web())
    register(guarded, cluster)
    webhook.mode = Mode.REJECT
    found = await compared.compare(web())
    assert (found.is_same, found.by_server) == (True, False), paths(found)
    found = await compared.compare(web(replicas=2))
    assert paths(found) == ("spec.replicas",)


_texts = st.sampled_from(["", "a", "b"])
_containers = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["x", "y", "z"]), "image": st.just("example/none:1")},
        optional={
            "args": st.lists(_texts, max_size=2),
            "env": st.dictionaries(st.sampled_from(["A", "B"]), _texts, max_size=2).map(
                lambda found: [{"name": name, "value": value} for name, value in found.items()]
            ),
            "ports": st.lists(st.sampled_from([80, 81]), unique=True, max_size=2).map(
                lambda found: [{"containerPort": port} for port in found]
            ),
            "resources": st.sampled_from(
                [
                    {},
                    {"limits": {"cpu": "0.5"}},
                    {"limits": {"cpu": 2, "memory": "1G"}},
                    {"requests": {"memory": "1024Ki"}, "limits": {}},
                ]
            ),
            "securityContext": st.sampled_from([{}, {"privileged": False}, {"runAsUser": 0}]),
            "livenessProbe": st.sampled_from([{"exec": {"command": ["a"]}}, {"tcpSocket": {"port": 80}}]),
        },
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda container: container["name"],
)  # fmt: skip
_pods = st.fixed_dictionaries(
    {"containers": _containers},
    optional={
        "nodeSelector": st.dictionaries(st.sampled_from(["n", "m"]), _texts, max_size=2),
        "tolerations": st.sampled_from([[], [{"key": "a", "operator": "Exists"}]]),
        "hostNetwork": st.booleans(),
        "terminationGracePeriodSeconds": st.sampled_from([0, 30]),
    },
)


@given(pod=_pods)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_an_object_equals_itself_after_defaulting(
    compared: Compared, pod: JsonObject
) -> None:
    """On a fresh object: applying an empty map over one with values of ours removes it, until the next apply."""
    body = web(template={"metadata": {"labels": {"app": "web"}}, "spec": pod})
    body["metadata"] = {"name": f"web-{next(_numbers)}"}
    await compared.apply(body)
    for manner in (SERVER, STRUCTURE):
        found = await compared.compare(body, manner)
        assert found.is_same, paths(found)


_numbers = itertools.count()
