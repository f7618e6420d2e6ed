"""App of apps: a chart whose manifests are Applications, on a hub with and without an agent beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from fleet.codec.jsontypes import JsonObject
from fleet.testing.audit import AGENT
from fleet.testing.estate import wait_until
from fleet.testing.fleets import KEEP_IN_STEP, Fleet, application, at, cluster, configmap, documents

QUIET = 1.5
NAMES = tuple(f"site-{number}" for number in range(6))
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: apps\nversion: 1.0.0\n",
    "templates/apps.yaml": """
{{- range .Values.names }}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: {{ . }}
  namespace: argocd
  finalizers: [resources-finalizer.argocd.argoproj.io]
spec:
  project: {{ $.Values.project }}
  source: {repoURL: {{ $.Values.repoURL }}, targetRevision: main, path: sites/{{ . }}}
  destination: {name: {{ $.Values.cluster }}, namespace: {{ . }}}
  syncPolicy:
    automated: {prune: true, selfHeal: true}
    syncOptions: [CreateNamespace=true]
{{- end }}
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: {{ .Values.project }}, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{name: {{ .Values.cluster }}, namespace: "*"}]
  clusterResourceWhitelist: [{group: "", kind: Namespace}]
""",
}  # fmt: skip


def values(fleet: Fleet, names: Iterable[str], cluster: str) -> str:
    """The chart's values."""
    return documents(
        {"names": list(names), "repoURL": fleet.repo.url, "cluster": cluster, "project": "sites"}
    )


def chart(fleet: Fleet, names: Iterable[str], cluster: str) -> dict[str, str]:
    """The parent's chart, and what its children deploy."""
    return {
        **{f"apps/{path}": text for path, text in CHART.items()},
        "apps/values.yaml": values(fleet, names, cluster),
        **{f"sites/{name}/a.yaml": configmap("a", text=name) for name in NAMES},
    }


def parent(fleet: Fleet, on: str, *, automated: JsonObject | None = KEEP_IN_STEP) -> str:
    """The one Application of the fleet repository."""
    return documents(
        application(
            "apps",
            repo=fleet.repo.url,
            path="apps",
            cluster=on,
            namespace="argocd",
            automated=automated,
        )
    )


def held(fleet: Fleet) -> list[str]:
    """What waits for an approval."""
    return [row["subject"] for row in fleet.cli("approve", "-o", "json").json["items"]]


def is_there(fleet: Fleet, name: str) -> bool:
    return fleet.get("edge", at("configmaps", name, "a")) is not None


def test_a_hub_without_an_agent_beside_it(new_fleet: Callable[..., Fleet]) -> None:
    fleet = new_fleet("edge")
    own = documents(cluster("edge"), cluster("home", management=True))
    fleet.commit(
        {
            "fleet/clusters.yaml": own,
            "fleet/apps.yaml": parent(fleet, "home"),
            **chart(fleet, NAMES, "edge"),
        }
    )
    for name in NAMES:
        fleet.wait_for("edge", at("configmaps", name, "a"))
    fleet.wait_good("home/apps", *(f"edge/{name}" for name in NAMES))

    shown = fleet.cli("app", "get", "apps")
    assert "Child: Application site-0 (wave 0) Synced Healthy" in shown.text
    assert "Child: AppProject sites (wave 0) Synced" in shown.text
    explained = fleet.cli("explain", "edge/site-0")
    assert "rendered by application apps (apps -> site-0)" in explained.text, explained
    assert fleet.get("edge", "/apis/argoproj.io/v1alpha1/applications") is None

    # one that leaves is pruned with everything it deployed
    cursor = fleet.cursor("edge")
    fleet.commit({"apps/values.yaml": values(fleet, NAMES[:5], "edge")})
    fleet.wait_for("edge", at("configmaps", "site-5", "a"), gone=True)
    fleet.wait_left("edge/site-5")
    deleted = {w.namespace for w in cursor.writes(user=AGENT) if w.verb == "delete"}
    assert deleted == {"site-5"}

    # and comes back with the version before, until somebody lets git decide again
    assert fleet.cli("app", "rollback", "apps").status == 1
    went_back = fleet.cli("app", "rollback", "apps", "--pin", "--reason", "site-5", "--wait")
    assert went_back.status == 0, went_back
    fleet.wait_for("edge", at("configmaps", "site-5", "a"))
    fleet.wait_row("home/apps", sync="OutOfSync", message="rolled back to deployment 1")
    assert fleet.cli("app", "sync", "apps").status == 0
    fleet.wait_for("edge", at("configmaps", "site-5", "a"), gone=True)
    fleet.wait_left("edge/site-5")

    # a chart that renders nothing any more, or does not render, takes nothing
    for broken in ("names: []\n", "names: {{\n"):
        fleet.commit({"apps/values.yaml": broken + "repoURL: x\ncluster: edge\nproject: sites\n"})
        fleet.settled()
        time.sleep(QUIET)
        assert all(is_there(fleet, name) for name in NAMES[:5])
    fleet.commit({"apps/values.yaml": values(fleet, (), "edge")})
    wait_until(lambda: held(fleet) == ["children/apps"], what="the hold")
    fleet.wait_row("home/apps", sync="OutOfSync", message="held until it is approved")

    # the hub is killed, its source is away: what is in force stays, and so does the hold
    away = fleet.repo.path.with_name("away.git")
    fleet.estate.hub.kill()
    fleet.repo.path.rename(away)
    fleet.estate.start_hub()
    time.sleep(2 * QUIET)
    assert {f"edge/{name}" for name in NAMES[:5]} <= fleet.estate.apps().keys()
    assert all(is_there(fleet, name) for name in NAMES[:5])
    away.rename(fleet.repo.path)
    wait_until(lambda: held(fleet) == ["children/apps"], what="the hold", timeout=60)

    approved = fleet.cli("approve", "children/apps", "--reason", "they moved")
    assert approved.status == 0, approved
    for name in NAMES[:5]:
        fleet.wait_for("edge", at("configmaps", name, "a"), gone=True)
        fleet.wait_left(f"edge/{name}")
    assert held(fleet) == []


def test_a_parent_that_is_synced_by_hand(new_fleet: Callable[..., Fleet], shared_dir: Path) -> None:
    fleet = new_fleet("management", "edge", management="management")
    examples = shared_dir / "realworld" / "argocd-example-apps"
    guestbooks = {
        f"sites/{name}/{path.name}": path.read_bytes()
        for name, folder in (("site-0", "guestbook"), ("site-1", "kustomize-guestbook"))
        for path in (examples / folder).iterdir()
    }
    files = {
        path: text for path, text in chart(fleet, NAMES[:2], "edge").items() if "sites/" not in path
    }
    own = {"apps/templates/own.yaml": configmap("own", text="of the parent")}
    fleet.commit(
        {
            "fleet/apps.yaml": parent(fleet, "management", automated=None),
            **files,
            **own,
            **guestbooks,
        }
    )
    fleet.wait_row(
        "management/apps", sync="OutOfSync", message="3 of its documents are not in force"
    )
    time.sleep(QUIET)
    assert not [row for row in fleet.estate.apps() if row.startswith("edge/")]

    asked = fleet.cli("app", "sync", "apps", "--wait")
    assert asked.status == 0, asked
    fleet.wait_for("management", at("configmaps", "argocd", "own"))
    for name, prefix in (("site-0", ""), ("site-1", "kustomize-")):
        fleet.wait_for("edge", at("deployments", name, f"{prefix}guestbook-ui"))

    # without the document of the parent its children go, after an approval where they are many
    fleet.commit({"fleet/apps.yaml": None})
    wait_until(lambda: held(fleet) == ["children/apps"], what="the hold")
    fleet.wait_left("management/apps")
    assert {"edge/site-0", "edge/site-1"} <= fleet.estate.apps().keys()
    assert fleet.cli("approve", "children/apps").status == 0
    for name in NAMES[:2]:
        fleet.wait_left(f"edge/{name}", timeout=60)
