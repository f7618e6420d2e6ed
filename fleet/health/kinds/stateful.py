"""Health of systems that are judged by sums over their parts: Elasticsearch, Kafka (Koperator), Cassandra (Rook), Spark."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.health.fields import at, map_at, maps_at, number_at, optional_number_at, text_at
from fleet.health.result import HEALTHY, HealthResult
from fleet.model.report import Health

_COLOURS = {"green": Health.HEALTHY, "yellow": Health.PROGRESSING, "red": Health.DEGRADED}
_ELASTIC_PHASES = {
    "ApplyingChanges": Health.PROGRESSING,
    "MigratingData": Health.PROGRESSING,
    "Invalid": Health.DEGRADED,
}
_SCALED = frozenset(("GracefulUpscaleSucceeded", "GracefulDownscaleSucceeded"))
_SPARK = {
    "COMPLETED": Health.HEALTHY,
    "FAILED": Health.DEGRADED,
    "FAILING": Health.DEGRADED,
    "INVALIDATING": Health.MISSING,
    "SUBMISSION_FAILED": Health.DEGRADED,
}


def _progressing(message: str) -> HealthResult:
    return HealthResult(Health.PROGRESSING, message)


def elasticsearch(body: JsonObject) -> HealthResult:
    """Judge an Elasticsearch cluster of ECK: all nodes of all sets, then phase and colour."""
    available = optional_number_at(body, "status", "availableNodes")
    wanted = sum(number_at(item, "count") for item in maps_at(body, "spec", "nodeSets"))
    if available is None:
        return HealthResult(Health.UNKNOWN, "says nothing about its nodes")
    if available < wanted:
        return _progressing(f"{available} of {wanted} nodes are available")
    phase, colour = text_at(body, "status", "phase"), text_at(body, "status", "health")
    if available > wanted or not colour:
        return HealthResult(Health.UNKNOWN, f"{available} nodes, {wanted} wanted, phase {phase}")
    if phase == "Ready":
        return HealthResult(_COLOURS.get(colour, Health.UNKNOWN), colour)
    return HealthResult(_ELASTIC_PHASES.get(phase, Health.UNKNOWN), phase)


def koperator_cluster(body: JsonObject) -> HealthResult:
    """Judge a KafkaCluster of Koperator by its brokers."""
    status = map_at(body, "status")
    state, brokers = text_at(status, "state"), map_at(status, "brokersState")
    if state == "ClusterRollingUpgrading" or at(status, "brokersState") is None:
        return _progressing(state or "waits for its status")
    broken = sorted(name for name, broker in brokers.items() if not _is_in_sync(broker))
    if broken:
        return HealthResult(Health.DEGRADED, f"brokers not in sync: {', '.join(broken)}")
    topic = text_at(status, "cruiseControlTopicStatus")
    is_up = state == "ClusterRunning" and topic == "CruiseControlTopicReady"
    return HEALTHY if is_up else _progressing(state or topic)


def _is_in_sync(broker: object) -> bool:
    if not isinstance(broker, dict):
        return False
    scaling = text_at(broker, "gracefulActionState", "cruiseControlState")
    return text_at(broker, "configurationState") == "ConfigInSync" and scaling in _SCALED


def cassandra_rook(body: JsonObject) -> HealthResult:
    """Judge a Cassandra cluster of Rook by its racks."""
    if at(body, "status", "racks") is None:
        return _progressing("waits for its status")
    for name, rack in map_at(body, "status", "racks").items():
        members, ready = at(rack, "members"), at(rack, "readyMembers")
        if members is not None and ready is not None and members != ready:
            return _progressing(f"rack {name}: {ready} of {members} members are ready")
    return HEALTHY


def spark_application(body: JsonObject) -> HealthResult:
    """Judge a SparkApplication: while it runs, it is healthy with the executors that it asks for."""
    state = text_at(body, "status", "applicationState", "state")
    if state in _SPARK:
        message = text_at(body, "status", "applicationState", "errorMessage")
        return HealthResult(_SPARK[state], message or state)
    if state == "RUNNING" and at(body, "status", "executorState") is not None:
        states = map_at(body, "status", "executorState").values()
        running = sum(value == "RUNNING" for value in states)
        if _are_enough(map_at(body, "spec"), running):
            return HEALTHY
        return _progressing(f"{running} executors run")
    return _progressing(state or "waits for its submission")


def _are_enough(spec: JsonObject, running: int) -> bool:
    if optional_number_at(spec, "executor", "instances") == running:
        return True
    if at(spec, "dynamicAllocation", "enabled") is True:
        bounds = map_at(spec, "dynamicAllocation")
        return _within(running, at(bounds, "minExecutors"), at(bounds, "maxExecutors"))
    conf = map_at(spec, "sparkConf")
    for prefix in ("spark.streaming.dynamicAllocation", "spark.dynamicAllocation"):
        if conf.get(f"{prefix}.enabled") == "true":
            least, most = (conf.get(f"{prefix}.{name}Executors") for name in ("min", "max"))
            return _within(running, least, most)
    is_unbounded = (
        at(spec, "dynamicAllocation") is None and at(spec, "executor", "instances") is None
    )
    return is_unbounded and running >= 1


def _within(count: int, least: object, most: object) -> bool:
    return count >= _bound(least, 0) and count <= _bound(most, count)


def _bound(value: object, default: int) -> int:
    is_number = isinstance(value, (int, str)) and str(value).isdecimal()
    return int(str(value)) if is_number else default
