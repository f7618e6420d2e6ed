"""What kubectl and helm do, alike against the embedded API server and a real one; where they differ the real one is right."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.server import Options
from fleet.testing.controlplane import ControlPlane
from fleet.testing.embedded import EmbeddedThread
from fleet.testing.tools import Tools

_CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {mode: fast, level: "1"}
"""
_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: "nginx:1", ports: [{containerPort: 80}]}
"""
_CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: GROUP_PLURAL}
spec:
  group: GROUP
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets, singular: gadget, shortNames: [gd]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What is wanted.
            required: [size]
            properties: {size: {type: integer, minimum: 1}, color: {type: string, default: red}}
"""
_HOOK = """
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {"helm.sh/hook": post-install}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: "x:1"}]}
"""


class Desk:
    """A namespace, and the programs that work in it."""

    def __init__(self, tools: Tools, kubeconfig: Path, namespace: str, folder: Path) -> None:
        self._tools = tools
        self._kubeconfig = kubeconfig
        self.namespace = namespace
        self.folder = folder

    def try_kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [
            str(self._tools.kubectl),
            f"--kubeconfig={self._kubeconfig}",
            f"--namespace={self.namespace}",
            f"--cache-dir={self.folder / 'cache'}",
            *arguments,
        ]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        done = self.try_kubectl(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def object(self, kind: str, name: str) -> JsonObject:
        found: JsonObject = json.loads(
            self.kubectl("get", kind, name, "-o", "json", "--show-managed-fields")
        )
        return found

    def helm(self, *arguments: str) -> str:
        command = [
            str(self._tools.helm),
            f"--kubeconfig={self._kubeconfig}",
            f"--namespace={self.namespace}",
            *arguments,
        ]
        environment = {
            **self._tools.environment(),
            "HOME": str(self.folder),
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedThread]:
    with EmbeddedThread(Options(ready_delay=0.2)) as running:
        yield running


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.controlplane)])
def desk(request: pytest.FixtureRequest, tools: Tools, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "embedded":
        kubeconfig = request.getfixturevalue("embedded").kubeconfig
    else:
        shared: tuple[ControlPlane, ...] = request.getfixturevalue("clusters3")  # with Pods
        kubeconfig = shared[0].kubeconfig
    name = f"desk-{uuid.uuid4().hex[:8]}"
    desk = Desk(tools, kubeconfig, name, tmp_path)
    desk.kubectl("create", "namespace", name)
    yield desk
    desk.kubectl("delete", "namespace", name, "--wait=false")


def test_get_lists_rows_and_selects_by_label_and_field(desk: Desk) -> None:
    desk.kubectl("apply", "-f", "-", stdin=_CONFIG)
    desk.kubectl("create", "configmap", "other", "--from-literal=a=b")
    rows = desk.kubectl("get", "configmaps", "-l", "app=web", "--no-headers").split()
    assert rows[:2] == ["settings", "2"]
    names = desk.kubectl("get", "cm", "--field-selector=metadata.name=other", "-o", "name")
    assert names == "configmap/other\n"
    wide = desk.kubectl("get", "cm,secrets", "--show-labels")
    assert "app=web" in wide
    assert desk.try_kubectl("get", "cm", "absent").stderr.startswith(
        'Error from server (NotFound): configmaps "absent" not found'
    )


def test_apply_three_way_changes_and_prunes_fields(desk: Desk) -> None:
    assert desk.kubectl("apply", "-f", "-", stdin=_CONFIG) == "configmap/settings created\n"
    assert desk.kubectl("apply", "-f", "-", stdin=_CONFIG) == "configmap/settings unchanged\n"
    less = _CONFIG.replace(', level: "1"', "")
    assert desk.kubectl("apply", "-f", "-", stdin=less) == "configmap/settings configured\n"
    assert desk.object("configmap", "settings")["data"] == {"mode": "fast"}


def test_apply_of_a_deployment_keeps_what_others_scaled(desk: Desk) -> None:
    desk.kubectl("apply", "-f", "-", stdin=_DEPLOYMENT.replace("  replicas: 2\n", ""))
    desk.kubectl("scale", "deployment/web", "--replicas=3")
    changed = _DEPLOYMENT.replace("  replicas: 2\n", "").replace("nginx:1", "nginx:2")
    desk.kubectl("apply", "-f", "-", stdin=changed)
    spec = desk.object("deployment", "web")["spec"]
    assert spec["replicas"] == 3
    assert spec["template"]["spec"]["containers"][0]["image"] == "nginx:2"
    assert spec["template"]["spec"]["containers"][0]["ports"] == [
        {"containerPort": 80, "protocol": "TCP"}
    ]


def test_server_side_apply_conflicts_and_forces(desk: Desk) -> None:
    desk.kubectl("apply", "--server-side", "-f", "-", stdin=_CONFIG)
    other = _CONFIG.replace("fast", "slow")
    refused = desk.try_kubectl(
        "apply", "--server-side", "--field-manager=other", "-f", "-", stdin=other
    )
    assert refused.returncode == 1
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.mode' in refused.stderr
    desk.kubectl(
        "apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-",
        stdin=other,
    )  # fmt: skip
    managed = {e["manager"]: e["fieldsV1"] for e in desk.object("cm", "settings")["metadata"]["managedFields"]}  # fmt: skip
    assert managed["kubectl"]["f:data"] == {"f:level": {}}
    assert managed["other"]["f:data"] == {"f:level": {}, "f:mode": {}}


def test_client_side_apply_can_become_server_side(desk: Desk) -> None:
    desk.kubectl("apply", "-f", "-", stdin=_CONFIG)
    desk.kubectl("apply", "--server-side", "-f", "-", stdin=_CONFIG.replace('level: "1"', "x: z"))
    assert desk.object("cm", "settings")["data"] == {"mode": "fast", "x": "z"}


def test_diff_says_what_would_change(desk: Desk) -> None:
    desk.kubectl("apply", "-f", "-", stdin=_CONFIG)
    assert desk.try_kubectl("diff", "-f", "-", stdin=_CONFIG).returncode == 0
    done = desk.try_kubectl("diff", "--server-side", "--force-conflicts", "-f", "-", stdin=_CONFIG.replace("fast", "slow"))  # fmt: skip
    assert done.returncode == 1
    assert "+  mode: slow" in done.stdout or "+  mode: slow" in done.stderr
    assert desk.object("cm", "settings")["data"]["mode"] == "fast"


def test_rollout_turns_ready_and_is_waited_for(desk: Desk) -> None:
    desk.kubectl("apply", "-f", "-", stdin=_DEPLOYMENT)
    status = desk.kubectl("rollout", "status", "deployment/web", "--timeout=50s")
    assert status.endswith('deployment "web" successfully rolled out\n')
    desk.kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=20s")
    desk.kubectl("set", "image", "deployment/web", "main=nginx:2")
    desk.kubectl("rollout", "status", "deployment/web", "--timeout=50s")
    live = desk.object("deployment", "web")
    assert live["status"]["observedGeneration"] == live["metadata"]["generation"]
    assert live["status"]["updatedReplicas"] == 2


def test_delete_waits_for_the_end(desk: Desk) -> None:
    desk.kubectl("apply", "-f", "-", stdin=_CONFIG)
    assert "deleted" in desk.kubectl("delete", "cm", "settings", "--timeout=20s")
    desk.kubectl("wait", "--for=delete", "cm/settings", "--timeout=10s")
    desk.kubectl("create", "cm", "one", "--from-literal=a=b")
    desk.kubectl("delete", "cm", "--all")
    assert "one" not in desk.kubectl("get", "cm", "-o", "name")


def test_watch_prints_changes(desk: Desk) -> None:
    desk.kubectl("apply", "-f", "-", stdin=_CONFIG)
    seen = desk.kubectl("get", "cm", "settings", "-w", "--request-timeout=1s", "-o", "name")
    assert seen == "configmap/settings\n"


def test_edit_by_patches_labels_and_annotations(desk: Desk) -> None:
    desk.kubectl("apply", "-f", "-", stdin=_DEPLOYMENT)
    desk.kubectl("label", "deployment/web", "tier=front", "app-")
    desk.kubectl("annotate", "deployment/web", "note=x")
    sidecar = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s:1"}]}}}}'
    desk.kubectl("patch", "deployment", "web", "-p", sidecar)
    steps = '[{"op":"replace","path":"/spec/replicas","value":5}]'
    desk.kubectl("patch", "deployment", "web", "--type=json", "-p", steps)
    live = desk.object("deployment", "web")
    assert live["metadata"]["labels"] == {"tier": "front"}
    assert live["spec"]["replicas"] == 5
    containers = live["spec"]["template"]["spec"]["containers"]
    assert {c["name"] for c in containers} == {"main", "side"}


def test_what_is_served_and_explained(desk: Desk) -> None:
    listed = desk.kubectl("api-resources", "--api-group=apps", "--no-headers")
    assert [line.split()[0] for line in listed.splitlines()] == [
        "controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets",
    ]  # fmt: skip
    assert "apps/v1\n" in desk.kubectl("api-versions")
    assert "Number of desired pods" in desk.kubectl("explain", "deployment.spec.replicas")
    assert "Server Version: v1.35" in desk.kubectl("version")
    assert desk.kubectl("auth", "can-i", "create", "pods") == "yes\n"


def test_unknown_fields_are_refused_where_asked(desk: Desk) -> None:
    wrong = _CONFIG + "oops: 1\n"
    strict = desk.try_kubectl("apply", "-f", "-", "--validate=strict", stdin=wrong)
    assert strict.returncode == 1
    assert 'unknown field "oops"' in strict.stderr
    warned = desk.try_kubectl("apply", "-f", "-", "--validate=warn", stdin=wrong)
    assert warned.returncode == 0
    assert 'Warning: unknown field "oops"' in warned.stderr


def test_custom_resources(desk: Desk) -> None:
    group = f"{desk.namespace}.example.com"
    definition = _CRD.replace("GROUP_PLURAL", f"gadgets.{group}").replace("GROUP", group)
    desk.kubectl("apply", "-f", "-", stdin=definition)
    desk.kubectl("wait", "--for=condition=Established", f"crd/gadgets.{group}", "--timeout=20s")
    gadget = f"apiVersion: {group}/v1\nkind: Gadget\nmetadata: {{name: g}}\nspec: {{size: 3}}\n"
    desk.kubectl("apply", "-f", "-", stdin=gadget)
    assert desk.object(f"gadgets.{group}", "g")["spec"] == {"size": 3, "color": "red"}
    assert desk.kubectl("get", f"gd.{group}", "--no-headers").split() == ["g", "3"]
    wrong = desk.try_kubectl("apply", "-f", "-", stdin=gadget.replace("size: 3", "size: 0"))
    assert "spec.size in body should be greater than or equal to 1" in wrong.stderr
    assert "What is wanted." in desk.kubectl("explain", f"gadgets.{group}.spec")
    desk.kubectl("delete", "crd", f"gadgets.{group}")
    assert desk.try_kubectl("get", f"gadgets.{group}").returncode == 1


def test_helm_waits_for_hooks_and_brings_definitions(desk: Desk) -> None:
    chart = desk.folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "crds").mkdir()
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    group = f"{desk.namespace}.example.com"
    definition = _CRD.replace("GROUP_PLURAL", f"gadgets.{group}").replace("GROUP", group)
    (chart / "crds" / "gadgets.yaml").write_text(definition)
    gadget = f"apiVersion: {group}/v1\nkind: Gadget\nmetadata: {{name: g}}\nspec: {{size: 3}}\n"
    (chart / "templates" / "all.yaml").write_text(f"{gadget}---\n{_HOOK}")
    desk.helm("install", "shop", str(chart), "--wait", "--timeout=60s")
    assert desk.object(f"gadgets.{group}", "g")["spec"]["size"] == 3
    assert desk.object("job", "migrate")["status"]["succeeded"] == 1
    desk.helm("uninstall", "shop")
    desk.kubectl("delete", "crd", f"gadgets.{group}")


def test_helm_installs_upgrades_and_uninstalls(desk: Desk) -> None:
    chart = desk.folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text("mode: fast\n")
    config = _CONFIG.replace("mode: fast", "mode: {{ .Values.mode }}")
    (chart / "templates" / "all.yaml").write_text(f"{config}\n---\n{_DEPLOYMENT}")
    desk.helm("install", "shop", str(chart), "--wait", "--timeout=50s")
    assert desk.object("cm", "settings")["data"]["mode"] == "fast"
    desk.helm("upgrade", "shop", str(chart), "--set", "mode=slow")
    assert desk.object("cm", "settings")["data"]["mode"] == "slow"
    (release,) = json.loads(desk.helm("list", "-o", "json"))
    assert (release["name"], release["revision"], release["status"]) == ("shop", "2", "deployed")
    desk.helm("rollback", "shop", "1")
    assert desk.object("cm", "settings")["data"]["mode"] == "fast"
    desk.helm("uninstall", "shop")
    assert json.loads(desk.helm("list", "-o", "json")) == []
    assert desk.try_kubectl("get", "cm", "settings").returncode == 1


@pytest.mark.parametrize(
    "break_it",
    [lambda body: body.replace("app: web}}\n  template", "app: other}}\n  template")],
    ids=["selector-without-template"],
)
def test_invalid_objects_are_refused(desk: Desk, break_it: Callable[[str], str]) -> None:
    done = desk.try_kubectl("apply", "-f", "-", stdin=break_it(_DEPLOYMENT))
    assert done.returncode == 1
    assert "`selector` does not match template `labels`" in done.stderr
