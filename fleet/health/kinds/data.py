"""Rows for databases, queues, search, storage and what computes on data."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.health.kinds import postgres, stateful
from fleet.health.kinds.entry import READY, Entry

_STRIMZI = "Suspended ReconciliationPaused; Degraded NotReady; Healthy Ready"
_PERCONA = (
    "Progressing .status.state=initializing|stopping; Healthy .status.state=ready; "
    "Degraded .status.state=error; Suspended .status.state=paused; Unknown"
)
_RABBIT = "Healthy Ready=True:SuccessfulCreateOrUpdate; Degraded Ready=False:FailedCreateOrUpdate; Unknown"
_ALTINITY = "Healthy .status.status=Completed; Progressing .status.status=InProgress; Degraded .status.status"
_HUMIO = (
    "Healthy .status.state=Exists|Ready|Running; Missing .status.state=NotFound; "
    "Degraded .status.state=ConfigError; Unknown .status.state=Unknown; Progressing"
)
_ASTRA = (
    "Healthy .status.state=Completed; Progressing .status.state=Running; Degraded .status.state"
)
_ELASTIC = (
    "Degraded .status.health=red; Progressing .status.health=yellow; Healthy .status.health=green"
)
_MARIADB = "Degraded *=False:Failed; Progressing *=False; Healthy .status.conditions"
_MARIADB_PART = "Healthy Ready; Degraded Ready=False|Unknown"

ROWS: Mapping[str, Mapping[str, Entry]] = {
    "kafka.strimzi.io": {
        "*": _STRIMZI,
        "Kafka": "Suspended ReconciliationPaused; Degraded NotReady=True:!Creating; Healthy Ready",
        "KafkaBridge KafkaConnect KafkaConnector KafkaMirrorMaker KafkaMirrorMaker2 KafkaTopic KafkaUser": _STRIMZI,
        "KafkaNodePool": "Degraded NotReady; Healthy .status.nodeIds",
        "KafkaRebalance": (
            "Degraded NotReady; Suspended Stopped; Suspended ProposalReady; Progressing Rebalancing; Healthy Ready"
        ),
    },
    "core.strimzi.io": {
        "StrimziPodSet": "Progressing unseen; Healthy .status.readyPods=.status.pods",
    },
    "kafka.banzaicloud.io": {"KafkaCluster": stateful.koperator_cluster},
    "platform.confluent.io": {
        "Connect ControlCenter KRaftController Kafka KafkaRestProxy KsqlDB SchemaRegistry Zookeeper": (
            "Healthy .status.phase=RUNNING"
        ),
        "Connector": (
            "Healthy .status.state=CREATED .status.connectorState=RUNNING !.status.failedTasksCount; "
            "Degraded .status.state=ERROR; Degraded .status.failedTasksCount=!0"
        ),
    },
    "infinispan.org": {
        "Infinispan": (
            "Degraded PreliminaryChecksPassed=False; Suspended GracefulShutdown; Progressing Stopping; "
            "Progressing Upgrade; Healthy WellFormed; Progressing"
        ),
    },
    "rabbitmq.com": {
        "*": _RABBIT,
        "RabbitmqCluster": (
            "Degraded ReconcileSuccess=False; Progressing ClusterAvailable=False|Unknown; "
            "Progressing AllReplicasReady=False|Unknown; Healthy ClusterAvailable AllReplicasReady"
        ),
    },
    "elasticsearch.k8s.elastic.co": {"Elasticsearch": stateful.elasticsearch},
    "beat.k8s.elastic.co": {
        "Beat": _ELASTIC + "; Progressing .status.expectedNodes !.status.health; Unknown",
    },
    "*.k8s.elastic.co": {"*": _ELASTIC},
    "logstash.k8s.elastic.co": {"Logstash": _ELASTIC},
    "core.humio.com": {"*": _HUMIO},
    "solr.apache.org": {
        "SolrCloud": (
            "Progressing !.status.solrNodes; Progressing .status.solrNodes[].ready=false; Healthy"
        ),
    },
    "zookeeper.pravega.io": {
        "ZookeeperCluster": (
            "Healthy .status.readyReplicas=!0 .status.readyReplicas=.status.replicas"
        ),
    },
    "cassandra.rook.io": {"Cluster": stateful.cassandra_rook},
    "cassandra.datastax.com": {
        "CassandraDatacenter": (
            "Suspended Stopped; Degraded Valid=False; Progressing Updating; Progressing ScalingUp; "
            "Progressing ScalingDown; Progressing ReplacingNodes; Progressing RollingRestart; Healthy Ready"
        ),
    },
    "k8ssandra.io": {
        "K8ssandraCluster": "Degraded .status.error=!None; Healthy CassandraInitialized",
    },
    "acid.zalan.do": {
        "postgresql": (
            "Healthy .status.PostgresClusterStatus=Running; "
            "Progressing .status.PostgresClusterStatus=Creating|Updating; "
            "Degraded .status.PostgresClusterStatus"
        ),
    },
    "postgresql.cnpg.io": {
        "Backup": "Healthy .status.phase=completed; Degraded .status.phase=failed|walArchivingFailing",
        "Cluster": postgres.cluster,
        "Database Publication Subscription": (
            "Progressing unseen; Healthy .status.applied; Degraded .status.applied=false"
        ),
        "Pooler": "Healthy .status.instances .status.instances=.spec.instances",
        "ScheduledBackup ImageCatalog ClusterImageCatalog": None,
    },
    "postgres-operator.crunchydata.com": {"PostgresCluster": postgres.crunchy_cluster},
    "k8s.mariadb.com": {
        "Backup": (
            "Degraded *=False:CronJobScheduled~Failed; Progressing *=False; Healthy .status.conditions"
        ),
        "Connection Database Grant User": _MARIADB_PART,
        "MariaDB": _MARIADB,
        "MaxScale": _MARIADB,
        "SqlJob": "Healthy *=True:JobComplete; Degraded *=True:JobFailed",
    },
    "mariadb.mmontes.io": {
        "MariaDB": _MARIADB,
        "Connection Database Grant User": _MARIADB_PART,
    },
    "psmdb.percona.com": {"PerconaServerMongoDB": _PERCONA},
    "pg.percona.com pgv2.percona.com": {"PerconaPGCluster": _PERCONA},
    "ps.percona.com": {"PerconaServerMySQL": _PERCONA},
    "*.percona.com": {
        "PerconaServerMongoDBBackup PerconaServerMongoDBRestore": (
            "Healthy .status.state=ready; Degraded .status.state=error|rejected"
        ),
        "PerconaPGBackup PerconaPGRestore PerconaXtraDBClusterBackup PerconaXtraDBClusterRestore": (
            "Healthy .status.state=Succeeded; Degraded .status.state=Failed"
        ),
    },
    "pxc.percona.com": {
        "PerconaXtraDBCluster": (
            "Progressing .status.state=initializing; Healthy .status.state=ready; "
            "Degraded .status.state=error|stopping; Unknown"
        ),
    },
    "mongodbcommunity.mongodb.com": {
        "MongoDBCommunity": "Healthy .status.phase=Running; Degraded .status.phase=Failed",
    },
    "mongodb.com": {
        "*": "Healthy .status.phase=Running; Degraded .status.phase=Failed|Unsupported; Progressing .status.phase",
    },
    "mysql.oracle.com": {
        "InnoDBCluster": (
            "Healthy .status.cluster.status=ONLINE; Degraded .status.cluster.status=OFFLINE|INVALID; "
            "Degraded .status.cluster.status=NO_QUORUM|SPLIT_BRAIN; Progressing"
        ),
    },
    "clickhouse.altinity.com": {"ClickHouseInstallation": _ALTINITY},
    "clickhouse-keeper.altinity.com": {"ClickHouseKeeperInstallation": _ALTINITY},
    "dragonflydb.io": {"Dragonfly": "Healthy .status.phase=Ready|ready"},
    "minio.min.io": {
        "Tenant": (
            "Healthy .status.currentState=Initialized; "
            "Degraded .status.currentState=Statefulset?not?controlled?by?operator; "
            "Degraded .status.currentState=Another?MinIO?Tenant?already?exists?in?the?namespace; "
            "Degraded .status.currentState=Tenant?credentials?are?not?set?properly; "
            "Degraded .status.currentState=Different?versions?across?MinIO?Pools; "
            "Degraded .status.currentState=Pool?Decommissioning?Not?Allowed"
        ),
    },
    "ceph.rook.io": {
        "*": "Healthy .status.phase=Ready|Connected|Created; Degraded .status.phase=Failure; "
        "Progressing .status.phase",
        "CephCluster": (
            "Degraded .status.ceph.health=HEALTH_ERR|HEALTH_WARN; "
            "Healthy .status.ceph.health=HEALTH_OK .status.state=Created|Connected; "
            "Healthy .status.ceph.health=HEALTH_OK !.status.state; "
            "Degraded .status.ceph.health=HEALTH_OK .status.state=Error"
        ),
        "CephObjectStore": "Healthy .status.phase=Ready; Degraded .status.phase=Failure",
    },
    "objectbucket.io": {
        "ObjectBucketClaim": "Healthy .status.phase=Bound; Degraded .status.phase=Failed",
        "ObjectBucket": "Healthy .status.phase=Bound; Degraded .status.phase=Failed",
    },
    "ocs.openshift.io": {
        "StorageCluster": "Degraded Degraded; Progressing Progressing; Healthy Available; Unknown",
    },
    "longhorn.io": {
        "Volume": (
            "Healthy .status.robustness=healthy; Degraded .status.robustness=faulted|degraded; "
            "Healthy .status.state=detached"
        ),
        "Node": "Degraded Ready=False; Healthy Ready",
        "EngineImage": "Healthy .status.state=deployed; Degraded .status.state=incompatible|error",
    },
    "snapshot.storage.k8s.io": {
        "VolumeSnapshot VolumeSnapshotContent": (
            "Healthy .status.readyToUse; Degraded .status.error"
        ),
        "VolumeSnapshotClass": None,
    },
    "groupsnapshot.storage.k8s.io": {
        "VolumeGroupSnapshot VolumeGroupSnapshotContent": (
            "Healthy .status.readyToUse; Degraded .status.error"
        ),
        "VolumeGroupSnapshotClass": None,
    },
    "volsync.backube": {
        "ReplicationDestination ReplicationSource": (
            "Degraded Synchronizing=False:Error; Suspended .spec.paused; "
            "Degraded .status.latestMoverStatus.result=Failed; Healthy .status.lastSyncTime; Healthy Synchronizing"
        ),
    },
    "velero.io": {
        "BackupStorageLocation": (
            "Healthy .status.phase=Available; Degraded .status.phase=Unavailable"
        ),
        "Backup Restore": (
            "Healthy .status.phase=Completed; Degraded .status.phase=*Failed|FailedValidation; "
            "Progressing .status.phase"
        ),
        "Schedule": (
            "Suspended .spec.paused; Degraded .status.phase=FailedValidation; Healthy .status.phase=Enabled"
        ),
        "VolumeSnapshotLocation": None,
    },
    "astra.netapp.io": {
        "AppVault": "Healthy .status.state=available|Available; Degraded .status.state=failed|Failed",
        "Application": READY,
        "Backup ExecHooksRun ResourceBackup ResticVolumeBackup Snapshot": _ASTRA,
        "ExecHook": "Healthy .spec.enabled=true; Suspended .spec.enabled=false",
        "Schedule": "Healthy",
    },
    "trident.netapp.io": {
        "TridentBackendConfig": (
            "Healthy .status.phase=Bound .status.lastOperationStatus=Success; "
            "Degraded .status.lastOperationStatus=Failed"
        ),
        "TridentOrchestrator": "Healthy .status.status=Installed; Degraded .status.status=Failed|Error",
    },
    "flink.apache.org": {
        "FlinkDeployment FlinkSessionJob": (
            "Healthy .status.reconciliationStatus.success; "
            "Healthy .status.reconciliationStatus.state=DEPLOYED; "
            "Degraded .status.reconciliationStatus .status.jobManagerDeploymentStatus=ERROR"
        ),
    },
    "sparkoperator.k8s.io": {"SparkApplication": stateful.spark_application},
    "ray.io": {
        "RayCluster": (
            "Suspended .spec.suspend; Suspended .status.state=suspended; Degraded .status.state=failed; "
            "Healthy .status.state=ready"
        ),
        "RayJob": (
            "Suspended .status.jobDeploymentStatus=Suspended; Degraded .status.jobStatus=FAILED|STOPPED; "
            "Degraded .status.jobDeploymentStatus=Failed; Healthy .status.jobStatus=SUCCEEDED"
        ),
        "RayService": "Healthy Ready; Healthy .status.serviceStatus=Running",
    },
    "kubeflow.org": {
        "MPIJob PyTorchJob TFJob XGBoostJob PaddleJob": (
            "Suspended Suspended; Degraded Failed; Healthy Succeeded; Progressing"
        ),
        "Notebook": "Degraded ContainersReady=False:*Error*|*BackOff; Healthy Ready",
    },
    "serving.kserve.io": {
        "InferenceService": (
            "Progressing !.status.conditions; Suspended Stopped; "
            "Degraded .status.modelStatus.transitionStatus=!UpToDate|InProgress; "
            "Progressing .status.modelStatus.transitionStatus=InProgress; "
            "Healthy Ready !*=Unknown; Progressing"
        ),
    },
}  # fmt: skip
