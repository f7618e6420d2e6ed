"""What the API server fills into its own kinds, as ``SetDefaults_*`` of Kubernetes does; the usual kinds only."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.kinds import Kind

_Filler = Callable[[JsonObject, JsonObject | None], JsonObject]


def filled(kind: Kind, obj: JsonObject, live: JsonObject | None) -> JsonObject:
    """The object with the values that its writer left open."""
    filler = _FILLERS.get((kind.group, kind.kind))
    if filler is None or not isinstance(obj.get("spec"), dict):
        return obj
    return {**obj, "spec": filler(obj["spec"], (live or {}).get("spec"))}


def _with(value: JsonValue, **more: JsonValue) -> JsonObject:
    """Fields added where there are none."""
    return {**more, **(value or {})}


# -- pods -------------------------------------------------------------------------------------


def _pod(spec: JsonObject, _: JsonObject | None = None) -> JsonObject:
    found = _with(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if found.get("serviceAccountName"):
        found.setdefault("serviceAccount", found["serviceAccountName"])
    for name in ("containers", "initContainers"):
        if found.get(name):
            found[name] = [_container(item) for item in found[name]]
    if found.get("volumes"):
        found["volumes"] = [_volume(item) for item in found["volumes"]]
    return found


def _bare_pod(spec: JsonObject, _: JsonObject | None = None) -> JsonObject:
    return _with(_pod(spec), enableServiceLinks=True)


def _container(item: JsonObject) -> JsonObject:
    image = str(item.get("image") or "")
    tag = image.rpartition("/")[2].partition(":")[2]
    is_floating = "@" not in image and tag in ("", "latest")
    found = _with(
        item,
        imagePullPolicy="Always" if is_floating else "IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={},
    )
    if found.get("ports"):
        found["ports"] = [_with(port, protocol="TCP") for port in found["ports"]]
    if found.get("env"):
        found["env"] = [_variable(variable) for variable in found["env"]]
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if found.get(name):
            found[name] = _probe(found[name])
    return found


def _variable(item: JsonObject) -> JsonObject:
    source = item.get("valueFrom") or {}
    if "fieldRef" not in source:
        return item
    return {**item, "valueFrom": {**source, "fieldRef": _with(source["fieldRef"], apiVersion="v1")}}


def _probe(item: JsonObject) -> JsonObject:
    found = _with(item, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if found.get("httpGet"):
        found["httpGet"] = _with(found["httpGet"], path="/", scheme="HTTP")
    return found


def _volume(item: JsonObject) -> JsonObject:
    if len(item) == 1:
        return {**item, "emptyDir": {}}
    found = dict(item)
    for name in ("configMap", "secret", "projected", "downwardAPI"):
        if isinstance(found.get(name), dict):
            found[name] = _with(found[name], defaultMode=420)
    if isinstance(found.get("hostPath"), dict):
        found["hostPath"] = _with(found["hostPath"], type="")
    return found


def _template(spec: JsonObject) -> JsonObject:
    template = spec.get("template")
    if not isinstance(template, dict):
        return spec
    return {**spec, "template": {**template, "spec": _pod(template.get("spec") or {})}}


# -- controllers ------------------------------------------------------------------------------


def _deployment(spec: JsonObject, _: JsonObject | None) -> JsonObject:
    found = _with(_template(spec), replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _with(found.get("strategy"), type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = _with(strategy.get("rollingUpdate"), maxUnavailable="25%", maxSurge="25%")
        strategy = {**strategy, "rollingUpdate": rolling}
    return {**found, "strategy": strategy}


def _daemon_set(spec: JsonObject, _: JsonObject | None) -> JsonObject:
    found = _with(_template(spec), revisionHistoryLimit=10)
    strategy = _with(found.get("updateStrategy"), type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = _with(strategy.get("rollingUpdate"), maxUnavailable=1, maxSurge=0)
        strategy = {**strategy, "rollingUpdate": rolling}
    return {**found, "updateStrategy": strategy}


def _stateful_set(spec: JsonObject, _: JsonObject | None) -> JsonObject:
    found = _with(
        _template(spec),
        replicas=1,
        revisionHistoryLimit=10,
        podManagementPolicy="OrderedReady",
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"},
    )
    found.setdefault("serviceName", "")
    strategy = _with(found.get("updateStrategy"), type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = _with(strategy.get("rollingUpdate"), partition=0)
        strategy = {**strategy, "rollingUpdate": rolling}
    if found.get("volumeClaimTemplates"):
        found["volumeClaimTemplates"] = [_claim_template(c) for c in found["volumeClaimTemplates"]]
    return {**found, "updateStrategy": strategy}


def _claim_template(claim: JsonObject) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        **claim,
        "spec": _with(claim.get("spec"), volumeMode="Filesystem"),
        "status": {"phase": "Pending"},
    }


def _replica_set(spec: JsonObject, _: JsonObject | None) -> JsonObject:
    return _with(_template(spec), replicas=1)


def _job(spec: JsonObject, live: JsonObject | None) -> JsonObject:
    found = _with(
        _template(spec),
        completions=1,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        podReplacementPolicy="TerminatingOrFailed",
        manualSelector=False,
    )
    if live and "selector" in live:
        found.setdefault("selector", live["selector"])
    return found


def _cron_job(spec: JsonObject, _: JsonObject | None) -> JsonObject:
    job = spec.get("jobTemplate") or {}
    return _with(
        {**spec, "jobTemplate": {**job, "spec": _template(job.get("spec") or {})}},
        concurrencyPolicy="Allow",
        suspend=False,
        successfulJobsHistoryLimit=3,
        failedJobsHistoryLimit=1,
    )


# -- services, claims -------------------------------------------------------------------------


def _service(spec: JsonObject, _: JsonObject | None) -> JsonObject:
    found = _with(spec, type="ClusterIP", sessionAffinity="None")
    if found["type"] == "ExternalName":
        return found
    found.setdefault("internalTrafficPolicy", "Cluster")
    if found["type"] in ("LoadBalancer", "NodePort"):
        found.setdefault("externalTrafficPolicy", "Cluster")
    if found["type"] == "LoadBalancer":
        found.setdefault("allocateLoadBalancerNodePorts", True)
    if found.get("ports"):
        found["ports"] = [
            _with(port, protocol="TCP", targetPort=port.get("port")) for port in found["ports"]
        ]
    return found


def allocated(spec: JsonObject, live: JsonObject | None) -> JsonObject:
    """A Service with its addresses and node ports; what it had stays."""
    if spec.get("type") == "ExternalName":
        return spec
    found = _with(
        spec,
        clusterIP=(live or {}).get("clusterIP") or _address(spec),
        ipFamilies=["IPv4"],
        ipFamilyPolicy="SingleStack",
    )
    found["clusterIPs"] = [found["clusterIP"]]
    if found["type"] in ("LoadBalancer", "NodePort"):
        known = {port.get("port"): port.get("nodePort") for port in (live or {}).get("ports") or ()}
        found["ports"] = [
            _with(port, nodePort=known.get(port["port"]) or 30000 + _number(port) % 2768)
            for port in found.get("ports") or ()
        ]
    return found


def _address(spec: JsonObject) -> str:
    """An address out of the service range that follows from the Service's own content."""
    number = _number(spec)
    return f"10.96.{number >> 8 & 255}.{number & 255 or 1}"


def _number(value: JsonObject) -> int:
    return zlib.crc32(repr(sorted(value.items(), key=str)).encode())


def _claim(spec: JsonObject, live: JsonObject | None) -> JsonObject:
    found = _with(spec, volumeMode="Filesystem")
    if live and live.get("volumeName"):
        found.setdefault("volumeName", live["volumeName"])
    return found


def _autoscaler(spec: JsonObject, _: JsonObject | None) -> JsonObject:
    target = {"type": "Utilization", "averageUtilization": 80}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    return _with(spec, minReplicas=1, metrics=[metric])


def _network_policy(spec: JsonObject, _: JsonObject | None) -> JsonObject:
    types = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    return _with(spec, policyTypes=types)


_FILLERS: dict[tuple[str, str], _Filler] = {
    ("", "Pod"): _bare_pod,
    ("", "Service"): _service,
    ("", "PersistentVolumeClaim"): _claim,
    ("apps", "Deployment"): _deployment,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
}
