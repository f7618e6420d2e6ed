"""What ``deploy/`` installs is taken by a real API server, runs unprivileged, and gives exactly the rights it says."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from agents.settings import AgentSettings
from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.runtime.settings import load_settings
from fleet.testing.controlplane import ClusterSource, ControlPlane
from fleet.testing.tools import Tools
from hub.settings import HubSettings

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
KUSTOMIZE = DEPLOY / "kustomize"
FOLDERS = (
    "hub/base",
    "hub/overlays/loadbalancer",
    "agent/base",
    "agent/overlays/cluster",
    "agent/overlays/namespaced",
)
AGENT = "system:serviceaccount:gitops-fleet:fleet-agent"
HUB = "system:serviceaccount:gitops-fleet-hub:fleet-hub"
DEPLOYED_VERBS = {"get", "list", "watch", "create", "patch", "delete"}
NAMESPACED_KINDS = {
    "configmaps", "secrets", "services", "serviceaccounts", "persistentvolumeclaims",
    "deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch",
    "ingresses.networking.k8s.io", "networkpolicies.networking.k8s.io",
    "horizontalpodautoscalers.autoscaling", "poddisruptionbudgets.policy",
}  # fmt: skip
READ_BY_PEOPLE = {
    "pods": {"get", "list"},
    "pods/log": {"get"},
    "events": {"list"},
    "replicasets.apps": {"list"},
    "endpointslices.discovery.k8s.io": {"list"},
}


@pytest.fixture(scope="module")
def target(control_planes: ClusterSource) -> Iterator[ControlPlane]:
    """A cluster to install into."""
    cluster = control_planes.start("deploy")
    cluster.kubectl("create", "namespace", "apps")
    yield cluster
    cluster.stop()


def render(tools: Tools, folder: str) -> list[JsonObject]:
    done = subprocess.run(
        (str(tools.kubectl), "kustomize", str(KUSTOMIZE / folder)), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return [each.value for each in yamldoc.load_documents(done.stdout.encode(), source=folder)]


def apply(tools: Tools, cluster: ControlPlane, folder: str) -> subprocess.CompletedProcess[str]:
    command = (
        str(tools.kubectl), f"--kubeconfig={cluster.kubeconfig}",
        "apply", "--server-side", "-k", str(KUSTOMIZE / folder),
    )  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True)


def named(objects: list[JsonObject], kind: str, prefix: str) -> JsonObject:
    (found,) = (
        each
        for each in objects
        if each["kind"] == kind and each["metadata"]["name"].startswith(prefix)
    )
    return found


# taken by an API server


@pytest.mark.parametrize("folder", FOLDERS)
def test_it_applies_cleanly_twice(target: ControlPlane, tools: Tools, folder: str) -> None:
    for _ in range(2):
        done = apply(tools, target, folder)
        assert done.returncode == 0, done.stderr
        assert not done.stderr  # a Pod standard that is violated is only a warning here
        assert "conflict" not in done.stdout


@pytest.mark.parametrize(
    ("folder", "namespace", "pod"),
    [
        pytest.param("hub/base", "gitops-fleet-hub", "fleet-hub-0", id="hub"),
        pytest.param("agent/overlays/cluster", "gitops-fleet", "fleet-agent-0", id="agent"),
    ],
)
def test_its_pod_passes_the_restricted_standard(
    target: ControlPlane, tools: Tools, folder: str, namespace: str, pod: str
) -> None:
    assert apply(tools, target, folder).returncode == 0
    path = f"/api/v1/namespaces/{namespace}"
    labels = (target.get(path) or {})["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    target.wait_for(f"{path}/pods/{pod}", lambda found: found is not None)


def test_the_restricted_standard_is_really_enforced(target: ControlPlane, tools: Tools) -> None:
    assert apply(tools, target, "hub/base").returncode == 0
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "main", "image": "example/none:1"}]},
    }
    answer = target.request("POST", "/api/v1/namespaces/gitops-fleet-hub/pods", pod)
    assert answer.status == 403
    assert "PodSecurity" in answer.body["message"]


# rights


def rights(cluster: ControlPlane, user: str, namespace: str) -> dict[str, set[str]]:
    """Resource -> verbs, as ``kubectl auth can-i --list`` says, without what every account may do."""
    printed = cluster.kubectl(
        "auth", "can-i", "--list", f"--as={user}", "-n", namespace, "--no-headers"
    )
    found: dict[str, set[str]] = {}
    for line in printed.splitlines():
        resource, urls, names, verbs = _cells(line)
        if resource and "selfsubject" not in resource:
            key = f"{resource}/{names}" if names else resource
            found.setdefault(key, set()).update(verbs.split())
        elif not resource and verbs != "get":
            found.setdefault(urls, set()).update(verbs.split())
    return found


def _cells(line: str) -> tuple[str, str, str, str]:
    """``resource   [urls]   [names]   [verbs]``; the resource is empty for URLs."""
    resource, _, rest = line.partition("[")
    urls, names, verbs = re.findall(r"\[(.*?)\]", "[" + rest)
    return resource.strip(), urls, names, verbs


def test_profile_cluster_may_do_everything(target: ControlPlane, tools: Tools) -> None:
    assert apply(tools, target, "agent/overlays/cluster").returncode == 0
    for namespace in ("apps", "kube-system"):
        assert rights(target, AGENT, namespace)["*.*"] == {"*"}
    target.kubectl("delete", "clusterrolebinding", "fleet-agent-cluster-admin")


def test_profile_namespaced_may_do_what_is_listed(target: ControlPlane, tools: Tools) -> None:
    target.kubectl(
        "delete", "clusterrolebinding", "fleet-agent-cluster-admin", "--ignore-not-found"
    )
    assert apply(tools, target, "agent/overlays/namespaced").returncode == 0
    uid = {"namespaces/kube-system": {"get"}}
    own = dict.fromkeys(("configmaps", "secrets"), DEPLOYED_VERBS | {"update"})
    deployed = dict.fromkeys(NAMESPACED_KINDS, DEPLOYED_VERBS)
    assert rights(target, AGENT, "apps") == uid | deployed | READ_BY_PEOPLE
    assert rights(target, AGENT, "gitops-fleet") == uid | own
    assert rights(target, AGENT, "kube-system") == uid
    assert rights(target, AGENT, "default") == uid


def test_the_hub_may_do_nothing(target: ControlPlane, tools: Tools) -> None:
    assert apply(tools, target, "hub/base").returncode == 0
    for namespace in ("gitops-fleet-hub", "kube-system"):
        assert rights(target, HUB, namespace) == {}


# what is in it


@pytest.mark.parametrize("folder", FOLDERS)
def test_containers_are_locked_down(tools: Tools, folder: str) -> None:
    name = "fleet-hub" if folder.startswith("hub") else "fleet-agent"
    pod = named(render(tools, folder), "StatefulSet", name)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not any("hostPath" in volume for volume in pod["volumes"])
    assert "memory" in container["resources"]["limits"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_every_selector_finds_its_pods_and_no_others(tools: Tools) -> None:
    pods = {}
    selectors = []
    for folder in ("hub/overlays/loadbalancer", "agent/overlays/namespaced"):
        for each in render(tools, folder):
            name = each["metadata"]["name"]
            match each["kind"]:
                case "StatefulSet":
                    pods[name] = each["spec"]["template"]["metadata"]["labels"]
                    selectors.append((name, each["spec"]["selector"]["matchLabels"]))
                case "Service":
                    selectors.append((name, each["spec"]["selector"]))
                case "NetworkPolicy":
                    selectors.append((name, each["spec"]["podSelector"]["matchLabels"]))
    assert len(selectors) == 6
    for name, selector in selectors:
        found = {pod for pod, labels in pods.items() if selector.items() <= labels.items()}
        assert found == {name.removesuffix("-agents")}


def test_the_hubs_settings_fit_its_pod(tools: Tools, tmp_path: Path) -> None:
    objects = render(tools, "hub/base")
    settings = load_settings(_written(tmp_path, objects, "fleet-hub", "hub.yaml"), HubSettings)
    workload = named(objects, "StatefulSet", "fleet-hub")["spec"]
    (container,) = workload["template"]["spec"]["containers"]
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert settings.agents.listen == f"0.0.0.0:{ports['agents']}"
    assert settings.api.listen == f"0.0.0.0:{ports['api']}"
    assert settings.api.cert_file is not None
    assert {str(settings.state.parent), str(settings.api.cert_file.parent), "/tmp"} <= mounts
    grace = settings.grace.total_seconds()
    assert workload["template"]["spec"]["terminationGracePeriodSeconds"] > grace
    service = named(objects, "Service", "fleet-hub")
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert settings.external_url == f"https://{host}:8443"


def test_the_agents_settings_fit_its_pod(tools: Tools, tmp_path: Path) -> None:
    objects = render(tools, "agent/base")
    settings = load_settings(
        _written(tmp_path, objects, "fleet-agent", "agent.yaml"), AgentSettings
    )
    workload = named(objects, "StatefulSet", "fleet-agent")["spec"]
    (container,) = workload["template"]["spec"]["containers"]
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert settings.kubeconfig == "in-cluster"
    assert {str(settings.state.path.parent), str(settings.token_file.parent), "/tmp"} <= mounts
    assert settings.state.namespace == named(objects, "Namespace", "")["metadata"]["name"]
    assert settings.probes.listen == f"0.0.0.0:{container['ports'][0]['containerPort']}"
    grace = settings.grace.total_seconds()
    assert workload["template"]["spec"]["terminationGracePeriodSeconds"] > grace


def test_the_namespaced_agent_looks_only_where_it_has_rights(tools: Tools, tmp_path: Path) -> None:
    objects = render(tools, "agent/overlays/namespaced")
    settings = load_settings(
        _written(tmp_path, objects, "fleet-agent", "agent.yaml"), AgentSettings
    )
    bound = {
        each["metadata"]["namespace"]
        for each in objects
        if each["kind"] == "RoleBinding" and each["roleRef"]["kind"] == "ClusterRole"
    }
    assert set(settings.cluster.namespaces) == bound == {"apps"}


def _written(folder: Path, objects: list[JsonObject], config_map: str, key: str) -> Path:
    path = folder / key
    path.write_text(named(objects, "ConfigMap", config_map)["data"][key])
    return path


# images


def project() -> JsonObject:
    found: JsonObject = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return found


def test_the_images_are_those_of_this_version(tools: Tools) -> None:
    version = project()["version"]
    for folder, name in (("hub/base", "fleet-hub"), ("agent/base", "fleet-agent")):
        workload = named(render(tools, folder), "StatefulSet", name)["spec"]["template"]["spec"]
        short = name.removeprefix("fleet-")
        assert workload["containers"][0]["image"] == f"gitops-fleet/{short}:{version}"


def test_the_images_run_as_the_pods_user(tools: Tools) -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    stages = dict(
        re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM|\Z)", text, re.DOTALL | re.MULTILINE)
    )
    for name in ("hub", "agent"):
        workload = named(render(tools, f"{name}/base"), "StatefulSet", f"fleet-{name}")
        context = workload["spec"]["template"]["spec"]["securityContext"]
        assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in stages[name]
        arguments = workload["spec"]["template"]["spec"]["containers"][0]["args"]
        assert f"CMD {json.dumps(arguments)}" in stages[name]
        assert f'ENTRYPOINT ["fleet-{name}"]' in stages[name]
        assert f"fleet-{name}" in project()["scripts"]


def test_what_the_images_copy_is_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE):
        *sources, _ = line.split()
        assert all((REPOSITORY / source).exists() for source in sources), line
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert sent == copied


def test_the_agents_packages_are_pinned_as_in_the_project() -> None:
    lines = (DEPLOY / "agent-requirements.txt").read_text().splitlines()
    wanted = {line for line in lines if not line.startswith("#")}
    assert wanted < set(project()["dependencies"])
    assert not {line.partition("==")[0] for line in wanted} & {"rich", "typer", "GitPython"}


def test_everything_the_agent_imports_is_in_its_image() -> None:
    lines = (DEPLOY / "agent-requirements.txt").read_text().splitlines()
    installed = {line.partition("==")[0].lower() for line in lines if not line.startswith("#")}
    owners = packages_distributions()
    imported = {
        name: {owner.lower() for owner in owners.get(name, [name])}
        for name in _third_party("agents")
    }
    assert len(imported) >= 5
    missing = {name: owner for name, owner in imported.items() if not owner & installed}
    assert not missing


def _third_party(package: str) -> set[str]:
    """Top-level names that the modules of a package import, also inside functions, and also by way of ``fleet``."""
    waiting = [f"{package}.{path.stem}" for path in (REPOSITORY / package).glob("*.py")]
    ours, theirs = set(waiting), set()
    while waiting:
        for name in _imports(waiting.pop()):
            top = name.partition(".")[0]
            if top not in {"fleet", package}:
                theirs.add(top)
            elif name not in ours:
                ours.add(name)
                waiting.append(name)
    return theirs - sys.stdlib_module_names


def _imports(module: str) -> Iterator[str]:
    path = REPOSITORY / Path(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not source.exists():  # a name inside of a module
        return
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            words = node.module.split(".")
            yield from (".".join(words[:count]) for count in range(1, len(words) + 1))
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
