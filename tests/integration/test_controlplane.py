"""The clusters that other tests build on do what a cluster does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Transient
from fleet.testing.controlplane import (
    ClusterSource,
    ControlPlane,
    ControlPlanes,
    GivenClusters,
    Options,
)
from fleet.testing.controlplane.given import access_from

READY_DELAY = 1.5
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module")
def full(control_planes: ClusterSource) -> Iterator[ControlPlane]:
    """A cluster with everything, of this module's own."""
    options = Options(pods=True, audit=True, ready_delay=READY_DELAY)
    cluster = control_planes.start_with("full", options)
    yield cluster
    cluster.stop()


def config_map(name: str, **data: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, annotations: dict[str, str] | None = None) -> JsonObject:
    template = {
        "metadata": {"labels": {"app": name}, "annotations": annotations or {}},
        "spec": {"containers": [{"name": "main", "image": "example/none:1"}]},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def is_available(found: JsonObject | None) -> bool:
    return found is not None and found.get("status", {}).get("availableReplicas") == 2


def seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def conditions(pod: JsonObject) -> dict[str, float]:
    """When each condition that is true became so."""
    return {
        each["type"]: seconds(each["lastTransitionTime"])
        for each in pod["status"]["conditions"]
        if each["status"] == "True"
    }


def test_objects_are_stored_and_read_back(cluster: ControlPlane, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/one"
    assert cluster.get(path) is None
    cluster.apply(path, config_map("one", key="value"))
    printed = cluster.kubectl("get", "cm", "one", "-n", namespace, "-o", "jsonpath={.data.key}")
    assert printed == "value"


def test_kubectl_writes_from_its_input(cluster: ControlPlane, namespace: str) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\ndata: {key: other}\n"
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=text)
    found = cluster.get(f"/api/v1/namespaces/{namespace}/configmaps/two")
    assert found is not None
    assert found["data"] == {"key": "other"}


def test_a_failing_kubectl_says_why(cluster: ControlPlane) -> None:
    with pytest.raises(BadInput, match=r"plain.*nothing.*not found"):
        cluster.kubectl("get", "configmap", "nothing")


def test_a_namespace_ends_with_its_content(cluster: ControlPlane) -> None:
    cluster.kubectl("create", "namespace", "short-lived")
    cluster.apply("/api/v1/namespaces/short-lived/configmaps/one", config_map("one"))
    cluster.request("DELETE", "/api/v1/namespaces/short-lived")
    cluster.wait_for("/api/v1/namespaces/short-lived", lambda found: found is None)


def test_an_unknown_token_is_refused(cluster: ControlPlane) -> None:
    cluster.kubectl("create", "serviceaccount", "nobody")
    kubeconfig = cluster.kubeconfig_of_service_account("default", "nobody")
    assert cluster.kubectl("auth", "whoami", as_user=kubeconfig).count("default:nobody") == 1
    with pytest.raises(BadInput, match="forbidden"):
        cluster.kubectl("get", "secrets", as_user=kubeconfig)


def test_pods_turn_ready_after_the_delay(full: ControlPlane) -> None:
    started = time.monotonic()
    full.apply(f"{DEPLOYMENTS}/slow", deployment("slow"))
    full.wait_for(f"{DEPLOYMENTS}/slow", is_available)
    assert READY_DELAY <= time.monotonic() - started < READY_DELAY + 10


def test_a_pod_chooses_its_own_delay(full: ControlPlane) -> None:
    annotation = {"pod-ready.stage.kwok.x-k8s.io/delay": "4s"}
    full.apply(f"{DEPLOYMENTS}/slower", deployment("slower", annotation))
    full.wait_for(f"{DEPLOYMENTS}/slower", is_available)
    listed = full.get(f"{PODS}?labelSelector=app%3Dslower")
    assert listed is not None
    for pod in listed["items"]:
        became = conditions(pod)
        assert became["Ready"] - became["PodScheduled"] >= 3  # timestamps are whole seconds


def test_the_audit_log_tells_who_wrote_what(full: ControlPlane) -> None:
    kubeconfig = full.kubeconfig_of("developer")
    full.kubectl("create", "configmap", "audited", "--from-literal=a=b", as_user=kubeconfig)
    event = next(each for each in full.audit_events() if is_creation_of("audited", each))
    assert event["user"]["username"] == "developer"
    assert event["responseStatus"]["code"] == 201
    assert event["requestObject"]["data"] == {"a": "b"}
    assert len(event["stageTimestamp"].partition(".")[2]) == len("123456Z")


def is_creation_of(name: str, event: JsonObject) -> bool:
    return (event["verb"], event.get("objectRef", {}).get("name")) == ("create", name)


def test_the_audit_log_shows_status_writes_of_controllers(full: ControlPlane) -> None:
    full.apply(f"{DEPLOYMENTS}/watched", deployment("watched"))
    full.wait_for(f"{DEPLOYMENTS}/watched", is_available)
    writers = {
        each["user"]["username"]
        for each in full.audit_events()
        if each.get("objectRef", {}).get("name") == "watched"
        and each["objectRef"].get("subresource") == "status"
        and each["verb"] != "get"
    }
    assert writers == {"system:kube-controller-manager"}


def test_two_clusters_of_one_etcd_do_not_see_each_other(
    cluster: ControlPlane, full: ControlPlane
) -> None:
    path = "/api/v1/namespaces/default/configmaps/only-here"
    full.apply(path, config_map("only-here"))
    assert cluster.get(path) is None
    uids = {_uid_of_kube_system(each) for each in (cluster, full)}
    assert len(uids) == 2


def _uid_of_kube_system(cluster: ControlPlane) -> str:
    found = cluster.get("/api/v1/namespaces/kube-system")
    assert found is not None
    return str(found["metadata"]["uid"])


def test_an_api_server_comes_back_with_its_data(control_planes: ClusterSource) -> None:
    broken = control_planes.start_with("broken", Options(controllers=False))
    path = "/api/v1/namespaces/default/configmaps/kept"
    broken.apply(path, config_map("kept", key="value"))
    server = broken.server
    broken.kill_apiserver()
    with pytest.raises(Transient, match=r"broken.*refused"):
        broken.get(path)
    broken.start_apiserver()
    found = broken.get(path)
    assert found is not None
    assert found["data"] == {"key": "value"}
    assert broken.server == server
    broken.stop()


def test_a_stopped_cluster_leaves_no_process(control_planes: ClusterSource) -> None:
    stopped = control_planes.start("stopped")
    pids = stopped.pids()
    assert set(pids) == {"kube-apiserver", "kube-controller-manager"}
    stopped.stop()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.values())


KILLED = """
import sys
from fleet.testing.controlplane import ControlPlanes
planes = ControlPlanes.locate()
plane = planes.start("orphan")
print(plane.kubeconfig.parent.parent, *plane.pids().values(), flush=True)
sys.stdin.read()
"""


def test_a_killed_run_leaves_no_process_and_no_folder(control_planes: ClusterSource) -> None:
    if not isinstance(control_planes, ControlPlanes):
        pytest.skip("given contexts are not started here")
    command = (sys.executable, "-c", KILLED)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        folder, *pids = child.stdout.readline().split()
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        os.kill(child.pid, signal.SIGKILL)
    wait_until_gone([Path(folder), *(Path(f"/proc/{pid}") for pid in pids)])


def wait_until_gone(paths: list[Path]) -> None:
    deadline = time.monotonic() + 10
    while left := [path for path in paths if path.exists() and not is_zombie(path)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def is_zombie(path: Path) -> bool:
    """In a container nobody may wait for orphans; dead is dead."""
    status = path / "stat"
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_cluster_may_be_given_by_its_kubeconfig(
    cluster: ControlPlane,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    with GivenClusters(["plain"]) as source:
        given = source.start("first")
        assert given.get(f"/api/v1/namespaces/{namespace}") is not None
        assert given.is_given
        with pytest.raises(BadInput, match="given, not started here"):
            given.kill_apiserver()


def test_a_kubeconfig_without_known_credentials_is_refused(tmp_path: Path) -> None:
    kubeconfig = {
        "clusters": [{"cluster": {"server": "https://x", "certificate-authority-data": "YQ=="}}],
        "users": [{"user": {"exec": {"command": "cloud"}}}],
    }
    with pytest.raises(BadInput, match="not exec"):
        access_from(kubeconfig, name="cloud", folder=tmp_path)
