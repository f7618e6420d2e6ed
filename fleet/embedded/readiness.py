"""The statuses that controllers write: while a workload comes up, and when it is there.

Pure: the object in, its changed parts out; None where a kind has no such status.
"""

from __future__ import annotations

from collections.abc import Callable

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.store import StoreKey

_Status = Callable[[JsonObject, bool, str], JsonObject]


def progress(key: StoreKey, obj: JsonObject, now: str) -> JsonObject | None:
    """What changes when a controller has seen the specification."""
    status_of = _STATUSES.get(key)
    return None if status_of is None else status_of(obj, False, now)


def ready(key: StoreKey, obj: JsonObject, now: str) -> JsonObject | None:
    """What changes when all is up."""
    status_of = _STATUSES.get(key)
    return None if status_of is None else status_of(obj, True, now)


def _status(obj: JsonObject, **fields: object) -> JsonObject:
    """The new status; zero counts are left out, as in the API's own output."""
    kept = {key: value for key, value in fields.items() if value not in (0, None, [])}
    return {"status": kept}


def _conditions(
    obj: JsonObject, now: str, *wanted: tuple[str, bool, str, str], updates: bool = False
) -> list[JsonObject]:
    """Conditions; the time of one that keeps its status stays."""
    known = {c.get("type"): c for c in (obj.get("status") or {}).get("conditions") or ()}
    found = []
    for kind, holds, reason, message in wanted:
        before = known.get(kind) or {}
        status = "True" if holds else "False"
        since = before.get("lastTransitionTime", now) if before.get("status") == status else now
        condition: JsonObject = {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": since,
        }
        if updates:
            same = all(before.get(key) == condition[key] for key in ("status", "reason"))
            condition["lastUpdateTime"] = before.get("lastUpdateTime", now) if same else now
        found.append(condition)
    return found


def _replicas(obj: JsonObject) -> int:
    wanted = (obj.get("spec") or {}).get("replicas")
    return 1 if wanted is None else int(wanted)


def _deployment(obj: JsonObject, up: bool, now: str) -> JsonObject:
    count = _replicas(obj)
    old = obj.get("status") or {}
    serving = count if up else min(int(old.get("availableReplicas") or 0), count)
    name = obj["metadata"]["name"]
    is_available = up or serving >= count
    conditions = _conditions(
        obj,
        now,
        (
            "Available",
            is_available,
            "MinimumReplicasAvailable" if is_available else "MinimumReplicasUnavailable",
            f"Deployment {'has' if is_available else 'does not have'} minimum availability.",
        ),
        (
            "Progressing",
            True,
            "NewReplicaSetAvailable" if up else "ReplicaSetUpdated",
            f'ReplicaSet "{name}" {"has successfully progressed." if up else "is progressing."}',
        ),
        updates=True,
    )
    return _status(
        obj,
        observedGeneration=obj["metadata"].get("generation"),
        replicas=count,
        updatedReplicas=count,
        readyReplicas=serving,
        availableReplicas=serving,
        unavailableReplicas=count - serving,
        conditions=conditions,
    )


def _replica_set(obj: JsonObject, up: bool, now: str) -> JsonObject:
    count = _replicas(obj)
    serving = count if up else 0
    return {
        "status": {
            "replicas": count,
            "observedGeneration": obj["metadata"].get("generation"),
            **(
                {
                    "fullyLabeledReplicas": count,
                    "readyReplicas": serving,
                    "availableReplicas": serving,
                }
                if serving
                else {}
            ),
        }
    }


def _stateful_set(obj: JsonObject, up: bool, now: str) -> JsonObject:
    count = _replicas(obj)
    old = obj.get("status") or {}
    generation = obj["metadata"].get("generation")
    new = f"{obj['metadata']['name']}-{generation}"
    current = new if up else old.get("currentRevision") or new
    serving = count if up else min(int(old.get("readyReplicas") or 0), count)
    updated = count if up or current == new else 0
    found = _status(
        obj,
        observedGeneration=generation,
        readyReplicas=serving,
        currentReplicas=count if current == new else serving,
        updatedReplicas=updated,
        currentRevision=current,
        updateRevision=new,
        collisionCount=None,
    )
    return {"status": {"replicas": count, "availableReplicas": serving, **found["status"]}}


def _daemon_set(obj: JsonObject, up: bool, now: str) -> JsonObject:
    old = obj.get("status") or {}
    serving = 1 if up else min(int(old.get("numberReady") or 0), 1)
    found = _status(
        obj,
        observedGeneration=obj["metadata"].get("generation"),
        updatedNumberScheduled=1,
        numberAvailable=serving,
        numberUnavailable=1 - serving,
    )
    counts = {
        "currentNumberScheduled": 1,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 1,
        "numberReady": serving,
    }
    return {"status": {**counts, **found["status"]}}


def _job(obj: JsonObject, up: bool, now: str) -> JsonObject:
    spec, old = obj.get("spec") or {}, obj.get("status") or {}
    if spec.get("suspend"):
        conditions = _conditions(obj, now, ("Suspended", True, "JobSuspended", "Job suspended"))
        return {"status": {"conditions": conditions}}
    if old.get("completionTime"):
        return {"status": old}
    count = int(spec.get("completions") or 1)
    started = old.get("startTime") or now
    if not up:
        active = min(count, int(spec.get("parallelism") or 1))
        return {"status": {"active": active, "ready": 0, "startTime": started}}
    reached = "Reached expected number of succeeded pods"
    conditions = _conditions(
        obj,
        now,
        ("SuccessCriteriaMet", True, "CompletionsReached", reached),
        ("Complete", True, "CompletionsReached", reached),
    )
    for condition in conditions:
        condition["lastProbeTime"] = now
    return {
        "status": {
            "startTime": started,
            "completionTime": now,
            "succeeded": count,
            "ready": 0,
            "terminating": 0,
            "uncountedTerminatedPods": {},
            "conditions": conditions,
        }
    }


def _claim(obj: JsonObject, up: bool, now: str) -> JsonObject:
    spec = obj.get("spec") or {}
    if not up:
        return {"status": obj.get("status") or {"phase": "Pending"}}
    volume = spec.get("volumeName") or f"pvc-{obj['metadata']['uid']}"
    return {
        "spec": {**spec, "volumeName": volume},
        "status": {
            "phase": "Bound",
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "capacity": (spec.get("resources") or {}).get("requests") or {},
        },
    }


def _service(obj: JsonObject, up: bool, now: str) -> JsonObject:
    if (obj.get("spec") or {}).get("type") != "LoadBalancer":
        return {"status": {"loadBalancer": {}}}
    if not up:
        return {"status": obj.get("status") or {"loadBalancer": {}}}
    return {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}}}


def _pod(obj: JsonObject, up: bool, now: str) -> JsonObject:
    old = obj.get("status") or {"phase": "Pending"}
    if not up:
        return {"status": old}
    names = [container["name"] for container in (obj.get("spec") or {}).get("containers") or ()]
    conditions = [
        {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
        for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    statuses = [
        {
            "name": name,
            "ready": True,
            "started": True,
            "restartCount": 0,
            "image": "",
            "imageID": "",
            "state": {"running": {"startedAt": now}},
        }
        for name in names
    ]
    return {
        "status": {
            **old,
            "phase": "Running",
            "startTime": now,
            "conditions": conditions,
            "containerStatuses": statuses,
        }
    }


def _ingress(obj: JsonObject, up: bool, now: str) -> JsonObject:
    if not up:
        return {"status": obj.get("status") or {"loadBalancer": {}}}
    return {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}


def _autoscaler(obj: JsonObject, up: bool, now: str) -> JsonObject:
    if not up:
        return {"status": obj.get("status") or {}}
    count = int((obj.get("spec") or {}).get("minReplicas") or 1)
    conditions = _conditions(
        obj,
        now,
        ("AbleToScale", True, "ReadyForNewScale", "recommended size matches current size"),
        (
            "ScalingActive",
            True,
            "ValidMetricFound",
            "the HPA was able to calculate a replica count",
        ),
        ("ScalingLimited", False, "DesiredWithinRange", "the desired count is within the range"),
    )
    return {
        "status": {
            "currentReplicas": count,
            "desiredReplicas": count,
            "conditions": conditions,
        }
    }


def _disruption_budget(obj: JsonObject, up: bool, now: str) -> JsonObject:
    if not up:
        return {"status": obj.get("status") or {}}
    allowed = _conditions(obj, now, ("DisruptionAllowed", True, "SufficientPods", ""))
    return {
        "status": {
            "observedGeneration": obj["metadata"].get("generation"),
            "disruptionsAllowed": 1,
            "currentHealthy": 1,
            "desiredHealthy": 0,
            "expectedPods": 1,
            "conditions": allowed,
        }
    }


_STATUSES: dict[StoreKey, _Status] = {
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    ("apps", "statefulsets"): _stateful_set,
    ("apps", "daemonsets"): _daemon_set,
    ("batch", "jobs"): _job,
    ("", "persistentvolumeclaims"): _claim,
    ("", "services"): _service,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("policy", "poddisruptionbudgets"): _disruption_budget,
    ("", "pods"): _pod,
    ("networking.k8s.io", "ingresses"): _ingress,
}
