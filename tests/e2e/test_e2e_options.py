"""Sync options, confirmations, windows, partial syncs and dry runs, on real API servers."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.testing.audit import AGENT
from fleet.testing.estate import wait_until
from fleet.testing.fleets import KEEP_IN_STEP, Fleet, application, at, configmap, documents

CREATE = "CreateNamespace=true"
OPTIONS = "argocd.argoproj.io/sync-options"


def app(
    fleet: Fleet,
    name: str,
    *options: str,
    automated: JsonObject | None = KEEP_IN_STEP,
    project: str = "default",
    annotations: dict[str, str] | None = None,
    **policy: JsonObject,
) -> JsonObject:
    """An application of that name, folder and namespace on production."""
    found = application(
        name,
        repo=fleet.repo.url,
        path=name,
        cluster="production",
        namespace=name,
        automated=automated,
        options=(CREATE, *options),
        project=project,
        annotations=annotations,
    )
    found["spec"]["syncPolicy"] |= policy
    return found


def deploy(fleet: Fleet, document: JsonObject, **objects: str | None) -> None:
    """Commit an application with the files of its folder."""
    name = document["metadata"]["name"]
    sources = {f"{name}/{key}.yaml": text for key, text in objects.items()}
    fleet.commit({f"fleet/{name}.yaml": documents(document), **sources})


def marked(text: str, options: str) -> str:
    """A manifest with sync options of its own."""
    return text.replace("metadata:\n", f"metadata:\n  annotations: {{{OPTIONS}: '{options}'}}\n", 1)


def immutable(name: str, **data: str) -> str:
    return configmap(name, **data) + "immutable: true\n"


def live(fleet: Fleet, namespace: str, name: str) -> JsonObject:
    found = fleet.get("production", at("configmaps", namespace, name))
    assert found is not None
    return found


def wait_data(fleet: Fleet, namespace: str, name: str, data: JsonObject) -> JsonObject:
    path = at("configmaps", namespace, name)
    return (
        fleet.planes["production"].wait_for(
            path, lambda found: bool(found and found.get("data") == data)
        )
        or {}
    )


def make(fleet: Fleet, path: str, body: JsonObject, manager: str) -> None:
    """Create something as another tool would."""
    answer = fleet.planes["production"].request("POST", f"{path}?fieldManager={manager}", body)
    assert answer.is_success(), answer


def namespace(name: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def test_what_cannot_be_changed_is_made_anew_only_by_force(fleet: Fleet) -> None:
    deploy(fleet, app(fleet, "forced"), a=immutable("a", x="1"))
    uid = wait_data(fleet, "forced", "a", {"x": "1"})["metadata"]["uid"]
    deploy(fleet, app(fleet, "forced"), a=immutable("a", x="2"))
    fleet.wait_row("production/forced", message="immutable")
    assert live(fleet, "forced", "a")["metadata"]["uid"] == uid
    deploy(fleet, app(fleet, "forced"), a=marked(immutable("a", x="2"), "Force=true"))
    found = wait_data(fleet, "forced", "a", {"x": "2"})
    assert found["metadata"]["uid"] != uid
    fleet.wait_good("production/forced")


def test_replace_takes_away_what_others_added(fleet: Fleet) -> None:
    deploy(fleet, app(fleet, "replaced", "Replace=true"), a=configmap("a", x="1"))
    wait_data(fleet, "replaced", "a", {"x": "1"})
    fleet.change("production", at("configmaps", "replaced", "a"), {"data": {"other": "o"}})
    deploy(fleet, app(fleet, "replaced", "Replace=true"), a=configmap("a", x="2"))
    found = wait_data(fleet, "replaced", "a", {"x": "2"})
    fleet.wait_good("production/replaced")
    owners = {
        (entry["manager"], entry["operation"])
        for entry in live(fleet, "replaced", "a")["metadata"]["managedFields"]
    }
    assert ("gitops-fleet", "Update") not in owners, found
    cursor = fleet.cursor("production")
    time.sleep(1)
    assert cursor.writes(user=AGENT, namespace="replaced") == []


@pytest.mark.parametrize("manager", ["kubectl-client-side-apply", "argocd-controller"])
def test_what_an_earlier_tool_applied_goes_with_git(fleet: Fleet, manager: str) -> None:
    name = f"from-{manager}"
    path = at("configmaps", name)
    make(fleet, "/api/v1/namespaces", namespace(name), "kubectl-create")
    old: JsonObject = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": name},
        "data": {"x": "1", "old": "o"},
    }
    last = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(old)}
    old["metadata"]["annotations"] = last
    make(fleet, path, old, manager)
    uid = live(fleet, name, "a")["metadata"]["uid"]
    deploy(fleet, app(fleet, name), a=configmap("a", x="1"))
    found = wait_data(fleet, name, "a", {"x": "1"})
    assert found["metadata"]["uid"] == uid
    assert not set(last) & set(found["metadata"]["annotations"])
    fleet.wait_good(f"production/{name}")


def test_what_kubectl_created_is_adopted_and_goes_with_git(fleet: Fleet) -> None:
    make(fleet, "/api/v1/namespaces", namespace("created"), "kubectl-create")
    body: JsonObject = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "created"},
        "data": {"x": "1", "y": "1", "theirs": "t"},
    }
    make(fleet, at("configmaps", "created"), body, "kubectl-create")
    deploy(fleet, app(fleet, "created"), a=configmap("a", x="1", y="1"))
    fleet.wait_good("production/created")
    deploy(fleet, app(fleet, "created"), a=configmap("a", x="1"))
    wait_data(fleet, "created", "a", {"x": "1", "theirs": "t"})


def test_pruning_waits_for_a_confirmation(fleet: Fleet) -> None:
    kept = marked(configmap("kept", x="1"), "Prune=confirm")
    never = marked(configmap("never", x="1"), "Prune=false")
    deploy(fleet, app(fleet, "confirmed"), a=configmap("a", x="1"), kept=kept, never=never)
    fleet.wait_good("production/confirmed")
    deploy(fleet, app(fleet, "confirmed"), a=configmap("a", x="2"), kept=None)
    fleet.wait_row("production/confirmed", message="waits for confirmation to prune")
    wait_data(fleet, "confirmed", "a", {"x": "2"})
    assert live(fleet, "confirmed", "kept")
    approved = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="seconds")
    note = {"argocd.argoproj.io/deletion-approved": approved}
    deploy(fleet, app(fleet, "confirmed", annotations=note))
    fleet.wait_for("production", at("configmaps", "confirmed", "kept"), gone=True)
    fleet.wait_good("production/confirmed")
    deploy(fleet, app(fleet, "confirmed"), never=None)
    fleet.wait_row("production/confirmed", sync="OutOfSync")
    assert live(fleet, "confirmed", "never")


def test_namespace_metadata_follows_git_and_takes_nothing_over(fleet: Fleet) -> None:
    place = "/api/v1/namespaces/labelled"
    make(fleet, "/api/v1/namespaces", namespace("labelled"), "kubectl-create")
    fleet.change("production", place, {"metadata": {"labels": {"owner": "somebody"}}})
    metadata: JsonObject = {"labels": {"team": "web", "tier": "1"}, "annotations": {"a": "b"}}
    document = app(fleet, "labelled", managedNamespaceMetadata=metadata)
    deploy(fleet, document, a=configmap("a", x="1"))
    fleet.wait_good("production/labelled")
    found = (fleet.get("production", place) or {})["metadata"]
    assert found["labels"].items() >= {"team": "web", "tier": "1", "owner": "somebody"}.items()
    assert found["annotations"]["a"] == "b"

    document["spec"]["syncPolicy"]["managedNamespaceMetadata"] = {"labels": {"team": "api"}}
    deploy(fleet, document)

    def is_changed() -> bool:
        labels = (fleet.get("production", place) or {})["metadata"]["labels"]
        return (
            labels.get("team") == "api" and "tier" not in labels and labels["owner"] == "somebody"
        )

    wait_until(is_changed, what="the other labels")
    fleet.wait_good("production/labelled")

    document["spec"]["syncPolicy"]["managedNamespaceMetadata"] = {"labels": {"owner": "us"}}
    deploy(fleet, document)
    fleet.wait_row("production/labelled", sync="OutOfSync", message="somebody else sets")
    assert (fleet.get("production", place) or {})["metadata"]["labels"]["owner"] == "somebody"


def test_a_field_that_the_kind_does_not_have_is_refused_unless_told(fleet: Fleet) -> None:
    text = configmap("a", x="1") + "dta: {x: '2'}\n"
    deploy(fleet, app(fleet, "strict"), a=text)
    fleet.wait_row("production/strict", message="dta")
    assert fleet.get("production", at("configmaps", "strict", "a")) is None


def test_a_partial_sync_touches_what_it_names(fleet: Fleet) -> None:
    manual = app(fleet, "partial", automated=None)
    deploy(fleet, manual, a=configmap("a", x="1"), b=configmap("b", x="1"), c=configmap("c", x="1"))
    fleet.wait_row("production/partial", sync="OutOfSync")
    cursor = fleet.cursor("production")
    ran = fleet.cli("app", "sync", "partial", "--resource", ":ConfigMap:b")
    assert ran.status == 0, ran
    wait_data(fleet, "partial", "b", {"x": "1"})
    time.sleep(1)
    written = {
        w.name for w in cursor.writes(user=AGENT, resource="configmaps", namespace="partial")
    }
    assert written == {"b"}
    fleet.wait_row("production/partial", sync="OutOfSync")


def test_a_dry_run_writes_nothing(fleet: Fleet) -> None:
    deploy(fleet, app(fleet, "dry"), a=configmap("a", x="1"), old=configmap("old", x="1"))
    fleet.wait_good("production/dry")
    deploy(fleet, app(fleet, "dry", automated=None), a=configmap("a", x="2"), old=None)
    fleet.wait_row("production/dry", sync="OutOfSync")
    cursor = fleet.cursor("production")
    ran = fleet.cli("app", "sync", "dry", "--dry-run", "--prune", "--timeout", "30")
    assert ran.status == 0, ran
    assert "would be applied" in ran.text + ran.err
    assert cursor.writes(user=AGENT, namespace="dry") == []
    tried = cursor.writes(user=AGENT, namespace="dry", dry_runs=True)
    assert {(w.verb, w.name) for w in tried if w.dry_run} >= {("patch", "a"), ("delete", "old")}
    assert live(fleet, "dry", "a")["data"] == {"x": "1"}
    assert live(fleet, "dry", "old")


def test_a_sync_window_blocks_until_it_closes(fleet: Fleet) -> None:
    now = datetime.now(UTC)
    start = now - timedelta(minutes=1)
    window: JsonObject = {
        "kind": "deny",
        "schedule": f"{start.minute} {start.hour} * * *",
        "duration": "1h",
        "applications": ["windowed"],
        "manualSync": True,
    }
    project: JsonObject = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "windowed", "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "name": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            "syncWindows": [window],
        },
    }
    fleet.commit({"fleet/windowed-project.yaml": documents(project)})
    deploy(fleet, app(fleet, "windowed", project="windowed"), a=configmap("a", x="1"))
    fleet.wait_row("production/windowed", sync="OutOfSync", message="sync window")
    assert fleet.get("production", at("configmaps", "windowed", "a")) is None
    ran = fleet.cli("app", "sync", "windowed", "--wait", "--timeout", "30")
    assert ran.status == 0, ran
    assert live(fleet, "windowed", "a")["data"] == {"x": "1"}
    deploy(fleet, app(fleet, "windowed", project="windowed"), a=configmap("a", x="2"))
    fleet.wait_row("production/windowed", sync="OutOfSync", message="sync window")
    project["spec"]["syncWindows"] = []
    fleet.commit({"fleet/windowed-project.yaml": documents(project)})
    wait_data(fleet, "windowed", "a", {"x": "2"})
    fleet.wait_good("production/windowed")
