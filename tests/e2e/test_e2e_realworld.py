"""Real input: Argo CD's example applications as they are, and a monorepo in the shape that Flux users keep."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.testing.audit import AGENT
from fleet.testing.estate import wait_until
from fleet.testing.fleets import (
    Fleet,
    application,
    appset,
    at,
    deployment,
    documents,
)

QUIET = 1.0
DEPLOYED = ("guestbook", "kustomize-guestbook")
HOOKED = ("sync-waves", "pre-post-sync", "helm-hooks")


def test_argo_cd_s_example_applications(fleet: Fleet, shared_dir: Path) -> None:
    folder = shared_dir / "realworld" / "argocd-example-apps"
    files = {
        f"examples/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    template = application(
        "example-{{.path.basename}}",
        repo=fleet.repo.url,
        path="{{.path.path}}",
        cluster="staging",
        namespace="example-{{.path.basename}}",
    )
    generator = {"git": {"repoURL": fleet.repo.url, "revision": "main",
                         "directories": [{"path": "examples/*"}]}}  # fmt: skip
    cursor = fleet.cursor("staging")
    fleet.commit(
        {"fleet/examples.yaml": documents(appset("examples", [generator], template)), **files}
    )

    for name, prefix in zip(DEPLOYED, ("", "kustomize-"), strict=True):
        namespace, object_ = f"example-{name}", f"{prefix}guestbook-ui"
        fleet.wait_for("staging", at("deployments", namespace, object_))
        service = fleet.wait_for("staging", at("services", namespace, object_))
        assert service["spec"]["ports"][0]["targetPort"] == 80
        fleet.wait_good(f"staging/{namespace}")
        found = fleet.get("staging", at("deployments", namespace, object_))
        assert found is not None
        assert found["status"]["availableReplicas"] == 1

    for name in HOOKED:  # in which order they run is test_e2e_hooks' concern
        fleet.wait_good(f"staging/example-{name}", timeout=90)
    time.sleep(QUIET)
    touched = {w.namespace or w.name for w in cursor.writes(user=AGENT)}
    assert touched - {"gitops-fleet"} == {f"example-{name}" for name in (*DEPLOYED, *HOOKED)}


# A monorepo: infrastructure/{controllers,configs}, apps/{base,staging,production}, and a chart in git.

ENVIRONMENTS = {"management": "staging", "staging": "staging", "production": "production"}
CRD: JsonObject = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "issuers.mono.example.com"},
    "spec": {
        "group": "mono.example.com",
        "scope": "Cluster",
        "names": {"plural": "issuers", "singular": "issuer", "kind": "Issuer"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"email": {"type": "string"}},
                            }
                        },
                    }
                },
            }
        ],
    },
}
ISSUER: JsonObject = {
    "apiVersion": "mono.example.com/v1",
    "kind": "Issuer",
    "metadata": {"name": "main"},
    "spec": {"email": "ops@example.com"},
}
BASE = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [deployment.yaml]
configMapGenerator:
- name: settings
  literals: [COLOUR=grey]
"""
OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../base/podinfo]
labels:
- pairs: {{environment: {environment}}}
  includeTemplates: true
configMapGenerator:
- name: settings
  behavior: merge
  literals: [COLOUR={colour}]
patches:
- target: {{kind: Deployment, name: podinfo}}
  patch: |
    - op: replace
      path: /spec/replicas
      value: {replicas}
images:
- name: example.com/podinfo
  newTag: "{tag}"
"""
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.2.3\n",
    "values.yaml": "replicas: 1\ngreeting: hello\n",
    "templates/_helpers.tpl": '{{- define "web.name" -}}{{ .Release.Name }}-{{ .Chart.Name }}{{- end -}}\n',
    "templates/settings.yaml": """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "web.name" . }}
  labels: {chart: "{{ .Chart.Name }}-{{ .Chart.Version }}"}
data:
  text: {{ .Values.greeting | upper | quote }}
  replicas: {{ .Values.replicas | quote }}
  version: {{ .Capabilities.KubeVersion.Version | quote }}
""",
}


def monorepo(repo: str) -> dict[str, str]:
    """All files, fleet documents included."""
    rows = [{"cluster": name, "env": env} for name, env in ENVIRONMENTS.items()]
    generator: JsonObject = {"list": {"elements": rows}}

    def for_every_cluster(name: str, path: str, *, needs: str = "", **source: JsonObject) -> str:
        template = application(
            f"mono-{name}-{{{{.cluster}}}}",
            repo=repo,
            path=path,
            cluster="{{.cluster}}",
            namespace=f"mono-{name}",
            depends_on=needs,
            source=dict(source),
        )
        return documents(appset(f"mono-{name}", [generator], template))

    helm: JsonObject = {
        "releaseName": "shop",
        "valueFiles": ["../../apps/values/{{.env}}.yaml"],
        "parameters": [{"name": "greeting", "value": "good day from {{.cluster}}"}],
    }
    sets = [
        for_every_cluster("controllers", "mono/infrastructure/controllers"),
        for_every_cluster("configs", "mono/infrastructure/configs", needs="set/mono-controllers"),
        for_every_cluster("apps", "mono/apps/{{.env}}", needs="set/mono-configs"),
        for_every_cluster("web", "mono/charts/web", needs="set/mono-configs", helm=helm),
    ]
    values = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return {
        "fleet/mono.yaml": "---\n".join(sets),
        "mono/infrastructure/controllers/kustomization.yaml": documents(
            {**values, "resources": ["crd.yaml", "controller.yaml"]}
        ),
        "mono/infrastructure/controllers/crd.yaml": documents(CRD),
        "mono/infrastructure/controllers/controller.yaml": deployment(
            "controller", ready_after=0.5
        ),
        "mono/infrastructure/configs/issuer.yaml": documents(ISSUER),
        "mono/apps/base/podinfo/kustomization.yaml": BASE,
        "mono/apps/base/podinfo/deployment.yaml": deployment(
            "podinfo", image="example.com/podinfo:1.0"
        ),
        "mono/apps/staging/kustomization.yaml": overlay("staging"),
        "mono/apps/production/kustomization.yaml": overlay("production"),
        "mono/apps/values/staging.yaml": "replicas: 1\n",
        "mono/apps/values/production.yaml": "replicas: 3\n",
        **{f"mono/charts/web/{path}": text for path, text in CHART.items()},
    }


def overlay(environment: str, *, tag: str = "2.0") -> str:
    """An environment's kustomization."""
    is_production = environment == "production"
    return OVERLAY.format(
        environment=environment,
        colour="green" if is_production else "blue",
        replicas=3 if is_production else 1,
        tag=tag,
    )


@pytest.fixture(scope="module")
def mono(fleet: Fleet) -> Fleet:
    """The monorepo, deployed on all three clusters."""
    fleet.commit(monorepo(fleet.repo.url))
    for name in ENVIRONMENTS:
        fleet.wait_for(name, at("deployments", "mono-apps", "podinfo"), timeout=60)
    fleet.wait_good(
        *(
            f"{name}/mono-{part}-{name}"
            for name in ENVIRONMENTS
            for part in ("controllers", "configs", "apps", "web")
        )
    )
    return fleet


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_monorepo_is_deployed_as_it_says(mono: Fleet, name: str) -> None:
    environment = ENVIRONMENTS[name]
    issuer = mono.get(name, "/apis/mono.example.com/v1/issuers/main")
    assert issuer is not None
    assert issuer["spec"] == {"email": "ops@example.com"}

    podinfo = mono.get(name, at("deployments", "mono-apps", "podinfo"))
    assert podinfo is not None
    pods = podinfo["spec"]["template"]
    assert podinfo["spec"]["replicas"] == (3 if environment == "production" else 1)
    assert pods["spec"]["containers"][0]["image"] == "example.com/podinfo:2.0"
    assert pods["metadata"]["labels"]["environment"] == environment
    generated = [
        item
        for item in (mono.get(name, at("configmaps", "mono-apps")) or {})["items"]
        if item["metadata"]["name"].startswith("settings-")
    ]
    assert [item["data"]["COLOUR"] for item in generated] == [
        "green" if environment == "production" else "blue"
    ]

    web = mono.get(name, at("configmaps", "mono-web", "shop-web"))
    version = mono.get(name, "/version")
    assert web is not None
    assert version is not None
    assert web["data"] == {
        "text": f"GOOD DAY FROM {name.upper()}",
        "replicas": "3" if environment == "production" else "1",
        "version": version["gitVersion"],
    }
    assert web["metadata"]["labels"]["chart"] == "web-1.2.3"


def test_a_commit_to_one_overlay_of_the_monorepo_reaches_its_clusters_only(mono: Fleet) -> None:
    cursors = {name: mono.cursor(name) for name in ENVIRONMENTS}
    renders = mono.metric("fleet_render_renders_total")

    mono.commit({"mono/apps/production/kustomization.yaml": overlay("production", tag="3.0")})
    path = at("deployments", "mono-apps", "podinfo")
    wait_until(lambda: image(mono, "production", path) == "example.com/podinfo:3.0", what="3.0")

    assert mono.metric("fleet_render_renders_total") == renders + 1
    for name in ("management", "staging"):
        written = [w for w in cursors[name].writes(user=AGENT) if w.namespace != "gitops-fleet"]
        assert not [str(write) for write in written]
        assert image(mono, name, path) == "example.com/podinfo:2.0"

    mono.commit({"mono/apps/production/kustomization.yaml": overlay("production")})
    wait_until(lambda: image(mono, "production", path) == "example.com/podinfo:2.0", what="2.0")
    mono.wait_good("production/mono-apps-production")


def test_a_value_file_of_one_environment_changes_its_clusters_only(mono: Fleet) -> None:
    before = {
        name: mono.get(name, at("configmaps", "mono-web", "shop-web")) for name in ENVIRONMENTS
    }
    mono.commit({"mono/apps/values/staging.yaml": "replicas: 2\n"})
    for name in ("management", "staging"):
        mono.planes[name].wait_for(
            at("configmaps", "mono-web", "shop-web"),
            lambda found: bool(found and found["data"]["replicas"] == "2"),
        )
    assert mono.get("production", at("configmaps", "mono-web", "shop-web")) == before["production"]
    mono.commit({"mono/apps/values/staging.yaml": "replicas: 1\n"})
    for name in ("management", "staging"):
        mono.planes[name].wait_for(
            at("configmaps", "mono-web", "shop-web"),
            lambda found: bool(found and found["data"]["replicas"] == "1"),
        )


def image(fleet: Fleet, name: str, path: str) -> str:
    """The image of a Deployment."""
    found = fleet.get(name, path)
    assert found is not None
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])
