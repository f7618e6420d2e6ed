"""Hooks on a real API server: the audit log says what was created and deleted, in which order, and after what.

Argo CD's own examples as they are, and a harder application of ours: waves, hooks, prunes and a CRD that comes too late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.testing.audit import AGENT, Cursor, Write
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, configmap, deployment, documents

EXAMPLES = ("sync-waves", "pre-post-sync", "helm-hooks")
GENERATED = "upgrade-sql-schema"
TIMEOUT = 90.0


def changes(cursor: Cursor, namespace: str, *more: str) -> list[str]:
    """What the agent created (``+kind/name``) and deleted (``-kind/name``) for one application, in order."""
    found = []
    for write in cursor.writes(user=AGENT):
        if write.namespace != namespace and write.name not in more:
            continue
        if write.is_creation:
            found.append(f"+{write.resource}/{short(write.name)}")
        elif write.verb == "delete":
            found.append(f"-{write.resource}/{short(write.name)}")
    return found


def short(name: str) -> str:
    """A generated name without what is different each time."""
    return GENERATED if name.startswith(GENERATED) else name


def completed(cursor: Cursor, namespace: str, name: str) -> float:
    """When a Job was written to be complete."""
    writes = [
        w for w in cursor.writes(resource="jobs", namespace=namespace) if short(w.name) == name
    ]
    done = [w for w in writes if is_complete(w.response)]
    assert done, f"{name} never completed"
    return done[0].received


def is_complete(job: Mapping[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Complete" and c["status"] == "True" for c in conditions)


def created(cursor: Cursor, namespace: str, resource: str, name: str) -> Write:
    """The one creation of an object."""
    (found,) = [
        w
        for w in cursor.writes(user=AGENT, resource=resource, namespace=namespace)
        if w.is_creation and short(w.name) == name
    ]
    return found


def succeeded(fleet: Fleet, target: str) -> Callable[[], bool]:
    """Whether a target's last sync has succeeded."""

    def holds() -> bool:
        row = fleet.estate.apps().get(target)
        return row is not None and "Succeeded" in row.operation and row.sync == "Synced"

    return holds


def follow(cursor: Cursor, namespace: str, steps: list[tuple[str, str, str]]) -> None:
    """Assert for (Job, resource, name) that the object was created only when the Job was complete."""
    for job, resource, name in steps:
        at = created(cursor, namespace, resource, name).received
        assert completed(cursor, namespace, job) <= at, f"{name} came before {job} was complete"


@pytest.fixture
def one(new_fleet: Callable[..., Fleet]) -> Fleet:
    """A fleet of one cluster whose Pods turn Ready and whose Jobs end."""
    return new_fleet("one", pods=True)


def test_argo_cd_s_examples_run_in_their_order(one: Fleet, shared_dir: Path) -> None:
    folder = shared_dir / "realworld" / "argocd-example-apps"
    files: dict[str, Any] = {
        f"examples/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    apps = [
        application(name, repo=one.repo.url, path=f"examples/{name}", cluster="one", namespace=name)
        for name in EXAMPLES
    ]
    cursor = one.cursor("one")
    one.commit({"fleet/examples.yaml": documents(*apps), **files})
    for name in EXAMPLES:
        wait_until(succeeded(one, f"one/{name}"), timeout=TIMEOUT, what=f"the sync of {name}")

    assert changes(cursor, "sync-waves") == [
        "+namespaces/sync-waves",
        f"+jobs/{GENERATED}",
        "+services/backend",
        "+replicasets/backend",
        "+jobs/maint-page-up",
        "+services/frontend",
        "+replicasets/frontend",
        "+jobs/maint-page-down",
    ]
    follow(
        cursor,
        "sync-waves",
        [(GENERATED, "services", "backend"), ("maint-page-up", "services", "frontend")],
    )
    assert changes(cursor, "pre-post-sync") == [
        "+namespaces/pre-post-sync",
        "+jobs/pre-post-sync-before",
        "+services/pre-post-sync-kustomize-guestbook-ui",
        "+deployments/pre-post-sync-kustomize-guestbook-ui",
        "+jobs/pre-post-sync-after",
        "-jobs/pre-post-sync-after",
        "-jobs/pre-post-sync-before",
    ]
    follow(
        cursor,
        "pre-post-sync",
        [("pre-post-sync-before", "services", "pre-post-sync-kustomize-guestbook-ui")],
    )
    assert changes(cursor, "helm-hooks") == [
        "+namespaces/helm-hooks",
        f"+jobs/{GENERATED}",
        "+jobs/maint-page-up",
        "+replicasets/frontend",
        "+services/frontend",
        "+jobs/maint-page-down",
    ]
    follow(
        cursor,
        "helm-hooks",
        [(GENERATED, "jobs", "maint-page-up"), ("maint-page-up", "replicasets", "frontend")],
    )


def job(name: str, hook: str, wave: int = 0, **notes: str) -> JsonObject:
    """A Job as a hook."""
    container = {"name": "main", "image": "example.com/job:1"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": {**at_wave(wave), HOOK: hook, **notes}},
        "spec": {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}},
    }


HOOK = "argocd.argoproj.io/hook"
OPTIONS = "argocd.argoproj.io/sync-options"
PLURAL = "valves.hooks.example.com"


def at_wave(wave: int) -> dict[str, str]:
    return {"argocd.argoproj.io/sync-wave": str(wave)}


def plain(name: str, wave: int = 0, notes: Mapping[str, str] | None = None) -> JsonObject:
    """A ConfigMap."""
    metadata = {"name": name, "annotations": {**at_wave(wave), **(notes or {})}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


def definition(wave: int) -> JsonObject:
    """A CRD whose own wave is later than its objects'."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": PLURAL, "annotations": at_wave(wave)},
        "spec": {
            "group": "hooks.example.com",
            "scope": "Namespaced",
            "names": {"plural": "valves", "singular": "valve", "kind": "Valve"},
            "versions": [version],
        },
    }


def valve(name: str, **notes: str) -> JsonObject:
    return {
        "apiVersion": "hooks.example.com/v1",
        "kind": "Valve",
        "metadata": {"name": name, "annotations": notes},
    }


def test_waves_hooks_prunes_and_a_late_crd(one: Fleet) -> None:
    namespace = "hard"
    app = application("hard", repo=one.repo.url, path="hard", cluster="one", namespace=namespace)
    first = documents(
        plain("low"),
        plain("high", 2),
        plain("last", notes={OPTIONS: "PruneLast=true"}),
        plain("stays"),
    )
    cursor = one.cursor("one")
    one.commit({"fleet/hard.yaml": documents(app), "hard/all.yaml": first})
    wait_until(succeeded(one, "one/hard"), timeout=TIMEOUT, what="the first sync")
    made = changes(cursor, namespace)
    assert made[0] == "+namespaces/hard"
    assert sorted(made[1:4]) == ["+configmaps/last", "+configmaps/low", "+configmaps/stays"]
    assert made[4:] == ["+configmaps/high"]

    cursor = one.cursor("one")
    second = documents(
        plain("stays"),
        valve(
            "shut", **{HOOK: "PreSync", "argocd.argoproj.io/hook-delete-policy": "HookSucceeded"}
        ),
        definition(9),
        job("migrate", "PreSync", 1),
        plain("one", 1),
        job("warm", "Sync", 1),
        plain("two", 2),
        job("check", "PostSync"),
        job("alarm", "SyncFail"),
        job("backup", "PreDelete"),
    )
    web = deployment("web", ready_after=2.0)
    one.commit({"hard/all.yaml": f"{second}---\n{web}"})
    wait_until(
        lambda: (
            "+jobs/check" in changes(cursor, namespace, PLURAL) and succeeded(one, "one/hard")()
        ),
        timeout=TIMEOUT,
        what="the second sync",
    )
    assert changes(cursor, namespace, PLURAL) == [
        f"+customresourcedefinitions/{PLURAL}",
        "+valves/shut",
        "+jobs/migrate",
        "-configmaps/high",
        "+deployments/web",
        "+configmaps/one",
        "+jobs/warm",
        "-configmaps/low",
        "+configmaps/two",
        "-configmaps/last",
        "+jobs/check",
        "-valves/shut",
    ]
    follow(
        cursor,
        namespace,
        [
            ("migrate", "deployments", "web"),
            ("warm", "configmaps", "two"),
        ],
    )

    cursor = one.cursor("one")
    one.commit({"fleet/hard.yaml": configmap("nothing-of-ours")})
    one.wait_left("one/hard", timeout=TIMEOUT)
    done = changes(cursor, namespace, PLURAL)
    assert done[0] == "+jobs/backup"
    gone = [item for item in done if item.startswith(("-configmaps", "-deploy"))]
    assert gone[0] == "-configmaps/two"
    assert gone[1] == "-configmaps/one"
    assert sorted(gone[2:]) == ["-configmaps/stays", "-deployments/web"]
    assert f"-customresourcedefinitions/{PLURAL}" not in done
    assert completed(cursor, namespace, "backup") <= min(
        w.received
        for w in cursor.writes(user=AGENT, resource="configmaps", namespace=namespace)
        if w.verb == "delete"
    )


def test_a_sync_that_a_person_asks_for_runs_hooks_again_and_can_be_ended(one: Fleet) -> None:
    namespace = "again"
    app = application("again", repo=one.repo.url, path="again", cluster="one", namespace=namespace)
    files = documents(job("before", "PreSync"), plain("settings"), job("after", "PostSync"))
    cursor = one.cursor("one")
    one.commit({"fleet/again.yaml": documents(app), "again/all.yaml": files})
    wait_until(succeeded(one, "one/again"), timeout=TIMEOUT, what="the first sync")
    assert changes(cursor, namespace) == [
        "+namespaces/again",
        "+jobs/before",
        "+configmaps/settings",
        "+jobs/after",
    ]

    cursor = one.cursor("one")
    ran = one.cli("app", "sync", "again", "--wait", "--timeout", "60", timeout=90)
    assert ran.status == 0, ran.text
    wait_until(
        lambda: (
            changes(cursor, namespace)
            == ["-jobs/before", "+jobs/before", "-jobs/after", "+jobs/after"]
        ),
        timeout=TIMEOUT,
        what="each hook's being made anew",
    )
    wait_until(succeeded(one, "one/again"), timeout=TIMEOUT, what="the second sync")

    cursor = one.cursor("one")
    hanging = job("before", "PreSync")
    hanging["spec"]["suspend"] = True
    one.commit({"again/all.yaml": documents(hanging, plain("settings"), plain("more"))})
    wait_until(
        lambda: "+jobs/before" in changes(cursor, namespace), timeout=TIMEOUT, what="the hook"
    )
    one.wait_row("one/again", message="PreSync wave 0: waits for Job before")
    assert one.cli("app", "terminate", "again").status == 0
    one.wait_row("one/again", message="terminated")
    assert changes(cursor, namespace) == ["-jobs/before", "+jobs/before", "-jobs/before"]
    one.wait_for("one", f"/apis/batch/v1/namespaces/{namespace}/jobs/before", gone=True)
