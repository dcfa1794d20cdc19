"""RDS: PostgreSQL instances, primaries and read replicas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from watoto_infra.providers.aws.clients import ServiceError
from watoto_infra.providers.aws.fields import ChangeEffect, Kind, flag, integer, output, string_set, text, upwards
from watoto_infra.providers.aws.local_addresses import Outputs, Reserve
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.requests import create_request, update_request
from watoto_infra.providers.aws.table import AutoName, Create, Delete, Dependents, Read, Resource, Update
from watoto_infra.providers.aws.tables.database_groups import TAGS


def create_instance(operation: Operation) -> str:
    """Make a primary, or a replica of ``replicateSourceDb``: another call, which takes fewer parameters."""
    request = create_request(operation)
    if operation.inputs.get("replicateSourceDb") is None:
        for name in ("engine", "username"):
            if not operation.inputs.get(name):
                raise ServiceError("create_db_instance", "MissingParameter", f"a primary needs `{name}`")
        operation.call("create_db_instance", **request)
    else:
        taken = _parameters_of(operation, "CreateDBInstanceReadReplica")
        fitting = {name: value for name, value in request.items() if name in taken}
        operation.call("create_db_instance_read_replica", **fitting)
    return operation.known_id()


def finish_replica(operation: Operation) -> None:
    """Give a new replica what the call that makes replicas has no parameter for (its maintenance window).

    The limit of storage autoscaling is its own too: the source's, if it was taken over, is turned off.
    """
    if operation.inputs.get("replicateSourceDb") is None:
        return
    waiter = operation.clients.get("rds", operation.region).get_waiter("db_instance_available")
    waiter.wait(DBInstanceIdentifier=operation.id)
    request = create_request(operation)
    late = _parameters_of(operation, "ModifyDBInstance") - _parameters_of(operation, "CreateDBInstanceReadReplica")
    wanted = {name: request[name] for name in sorted(late & request.keys())}
    found = operation.call("describe_db_instances", DBInstanceIdentifier=operation.id)["DBInstances"][0]
    if "MaxAllocatedStorage" in found and "MaxAllocatedStorage" not in request:
        wanted["MaxAllocatedStorage"] = found["AllocatedStorage"]
    if wanted:
        operation.call("modify_db_instance", DBInstanceIdentifier=operation.id, ApplyImmediately=True, **wanted)


def _parameters_of(operation: Operation, name: str) -> frozenset[str]:
    model = operation.clients.get("rds", operation.region).meta.service_model
    return frozenset(model.operation_model(name).input_shape.members)


def modify_instance(operation: Operation, touched: frozenset[str]) -> None:
    """Make all changes in one call: RDS refuses a second one while the first is carried out."""
    request = update_request(operation, MODIFY, touched & frozenset(IN_PLACE))
    if "maxAllocatedStorage" in touched:
        request["MaxAllocatedStorage"] = _storage_limit(operation)
    if "enabledCloudwatchLogsExports" in touched:
        request["CloudwatchLogsExportConfiguration"] = _log_exports(operation)
    operation.call("modify_db_instance", **request)


def _storage_limit(operation: Operation) -> int:
    """Give ``MaxAllocatedStorage``; RDS turns storage autoscaling off when it equals the present size (RDS API)."""
    there = max(_size(operation.inputs, "allocatedStorage"), _size(operation.state, "allocatedStorage"))
    return max(there, _size(operation.inputs, "maxAllocatedStorage"))


def _log_exports(operation: Operation) -> dict[str, list[str]]:
    """Give the exports that came and went; RDS takes no whole list."""
    old = set(operation.state.get("enabledCloudwatchLogsExports") or ())
    new = set(operation.inputs.get("enabledCloudwatchLogsExports") or ())
    change = {"EnableLogTypes": sorted(new - old), "DisableLogTypes": sorted(old - new)}
    return {name: logs for name, logs in change.items() if logs}


def grown_by_itself(outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    """Tell whether storage autoscaling has grown the storage past the declared size; RDS never shrinks it."""
    asked, limit = _size(inputs, "allocatedStorage"), _size(inputs, "maxAllocatedStorage")
    return 0 < asked < min(limit, _size(outputs, "allocatedStorage"))


def limit_reached(outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    """Tell whether storage has reached the limit of autoscaling; RDS then reports no limit."""
    limit = _size(inputs, "maxAllocatedStorage")
    return not outputs.get("maxAllocatedStorage") and 0 < limit <= _size(outputs, "allocatedStorage")


def _size(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    return value if isinstance(value, int) else 0


def promote(operation: Operation, _: frozenset[str]) -> None:
    """Make a replica a primary of its own. A primary cannot become a replica, nor a replica change its source."""
    if operation.inputs.get("replicateSourceDb") is not None:
        reason = "an instance cannot be made a replica, or another primary's replica; delete it first"
        raise ServiceError("modify_db_instance", "InvalidParameterCombination", reason)
    operation.call("promote_read_replica", DBInstanceIdentifier=operation.id)


def delete_instance(operation: Operation) -> None:
    """Delete the instance, with its final snapshot unless that is to be skipped."""
    request: dict[str, Any] = {"SkipFinalSnapshot": bool(operation.state.get("skipFinalSnapshot"))}
    if not request["SkipFinalSnapshot"]:
        request["FinalDBSnapshotIdentifier"] = operation.state.get("finalSnapshotIdentifier")
        if not request["FinalDBSnapshotIdentifier"]:
            reason = "set `finalSnapshotIdentifier`, or `skipFinalSnapshot` to lose the data"
            raise ServiceError("delete_db_instance", "InvalidParameterCombination", reason)
        request["FinalDBSnapshotIdentifier"] = _free_snapshot_name(operation, request["FinalDBSnapshotIdentifier"])
    if operation.state.get("replicateSourceDb") is None:
        # A replica has no automated backups of its own unless asked for, and RDS refuses the parameter for it.
        request["DeleteAutomatedBackups"] = bool(operation["deleteAutomatedBackups"])
    operation.call("delete_db_instance", DBInstanceIdentifier=operation.id, **request)


def _free_snapshot_name(operation: Operation, name: str) -> str:
    """Give the name, with the time behind it where an earlier instance of that name left a snapshot."""
    try:
        operation.call("describe_db_snapshots", DBSnapshotIdentifier=name)
    except ServiceError as error:
        if error.code in {"DBSnapshotNotFound", "DBSnapshotNotFoundFault"}:
            return name
        raise
    operation.state["finalSnapshotIdentifier"] = f"{name}-{datetime.now(UTC):%Y%m%d%H%M%S}"
    return str(operation.state["finalSnapshotIdentifier"])


def final_snapshot(operation: Operation) -> str:
    """Say which snapshot stays when the instance goes."""
    skipped = operation.state.get("skipFinalSnapshot")
    return "" if skipped else f"final snapshot {operation.state.get('finalSnapshotIdentifier')}"


def local_addresses(_: Mapping[str, Any], reserve: Reserve) -> Outputs:
    """Give where the local PostgreSQL answers, primary or replica alike."""
    server = reserve("postgresql")
    return {"address": server.host, "port": server.port, "endpoint": str(server)}


def promotion(_: Any, source: Any) -> ChangeEffect:
    """Say that RDS promotes a replica at once, and takes no source for an existing instance."""
    return ChangeEffect.AT_ONCE if source is None else ChangeEffect.REFUSED


IN_PLACE = (
    "instanceClass",
    "allocatedStorage",
    "storageType",
    "iops",
    "storageThroughput",
    "engineVersion",
    "password",
    "dbSubnetGroupName",
    "vpcSecurityGroupIds",
    "parameterGroupName",
    "multiAz",
    "publiclyAccessible",
    "deletionProtection",
    "copyTagsToSnapshot",
    "autoMinorVersionUpgrade",
    "iamDatabaseAuthenticationEnabled",
    "backupRetentionPeriod",
    "backupWindow",
    "maintenanceWindow",
    "caCertIdentifier",
    "monitoringInterval",
    "monitoringRoleArn",
    "performanceInsightsEnabled",
    "performanceInsightsKmsKeyId",
    "performanceInsightsRetentionPeriod",
)

MODIFY = Update(
    "modify_db_instance",
    IN_PLACE,
    {
        "DBInstanceIdentifier": "{id}",
        "ApplyImmediately": "{applyImmediately}",
        "AllowMajorVersionUpgrade": "{allowMajorVersionUpgrade}",
    },
)

INSTANCE = Resource(
    type="aws:rds/instance:Instance",
    service="rds",
    fields=(
        # RDS can rename an instance; here the name is the id, and ids do not change.
        text("identifier", "DBInstanceIdentifier", replaces=True),
        text(
            "replicateSourceDb",
            "SourceDBInstanceIdentifier",
            read="ReadReplicaSourceDBInstanceIdentifier",
            on_change=promotion,
        ),
        # A replica takes these over from its source.
        text("engine", computed=True, replaces=True),
        text("engineVersion", computed=True, on_change=upwards(ChangeEffect.IN_WINDOW)),
        text("dbName", "DBName", computed=True, replaces=True),
        text("username", "MasterUsername", computed=True, replaces=True),
        text("kmsKeyId", computed=True, replaces=True),
        integer(
            "allocatedStorage",
            computed=True,
            low=20,
            high=65536,
            ignore_difference=grown_by_itself,
            on_change=upwards(ChangeEffect.IN_WINDOW),
        ),
        integer("maxAllocatedStorage", ignore_difference=limit_reached),
        text("password", "MasterUserPassword", secret=True, not_reported=True),
        text("instanceClass", "DBInstanceClass", required=True, on_change=ChangeEffect.IN_WINDOW),
        flag("storageEncrypted", default=False, replaces=True),
        text(
            "storageType",
            computed=True,
            choices=("gp2", "gp3", "io1", "io2", "standard"),
            on_change=ChangeEffect.IN_WINDOW,
        ),
        integer("iops", computed=True, on_change=ChangeEffect.IN_WINDOW),
        integer("storageThroughput", computed=True, on_change=ChangeEffect.IN_WINDOW),
        text("availabilityZone", computed=True, replaces=True),
        text(
            "dbSubnetGroupName",
            "DBSubnetGroupName",
            read="DBSubnetGroup.DBSubnetGroupName",
            computed=True,
            on_change=ChangeEffect.IN_WINDOW,
        ),
        string_set("vpcSecurityGroupIds", read="VpcSecurityGroups[].VpcSecurityGroupId", computed=True),
        text(
            "parameterGroupName",
            "DBParameterGroupName",
            read="DBParameterGroups[0].DBParameterGroupName",
            computed=True,
        ),
        flag("multiAz", "MultiAZ", default=False, always=True, on_change=ChangeEffect.IN_WINDOW),
        flag("publiclyAccessible", default=False, always=True),
        flag("deletionProtection", default=False, always=True),
        flag("copyTagsToSnapshot", default=False, always=True),
        flag("autoMinorVersionUpgrade", default=True, always=True),
        flag(
            "iamDatabaseAuthenticationEnabled",
            "EnableIAMDatabaseAuthentication",
            read="IAMDatabaseAuthenticationEnabled",
            default=False,
            always=True,
            on_change=ChangeEffect.IN_WINDOW,
        ),
        integer("backupRetentionPeriod", computed=True, low=0, high=35, on_change=ChangeEffect.IN_WINDOW),
        text("backupWindow", "PreferredBackupWindow", computed=True, normalize=str.lower),
        text("maintenanceWindow", "PreferredMaintenanceWindow", computed=True, normalize=str.lower),
        text("caCertIdentifier", "CACertificateIdentifier", computed=True, on_change=ChangeEffect.IN_WINDOW),
        integer("monitoringInterval", default=0, low=0, high=60),
        text("monitoringRoleArn", unset=""),
        # moto reports nothing of performance insights.
        flag(
            "performanceInsightsEnabled",
            "EnablePerformanceInsights",
            read="PerformanceInsightsEnabled",
            default=False,
            not_reported=True,
        ),
        text("performanceInsightsKmsKeyId", "PerformanceInsightsKMSKeyId", computed=True, not_reported=True),
        integer("performanceInsightsRetentionPeriod", computed=True, not_reported=True),
        string_set("enabledCloudwatchLogsExports", "EnableCloudwatchLogsExports", read="EnabledCloudwatchLogsExports"),
        flag("applyImmediately", default=False, behaviour=True),
        flag("allowMajorVersionUpgrade", default=False, behaviour=True),
        flag("skipFinalSnapshot", default=False, behaviour=True),
        text("finalSnapshotIdentifier", behaviour=True),
        flag("deleteAutomatedBackups", default=True, behaviour=True),
        output("arn", "DBInstanceArn"),
        output("address", "Endpoint.Address"),
        output("endpoint", "join(':', [Endpoint.Address, to_string(Endpoint.Port)])"),
        output("port", "Endpoint.Port", kind=Kind.INT),
        output("hostedZoneId", "Endpoint.HostedZoneId"),
        output("resourceId", "DbiResourceId"),
        output("engineVersionActual", "EngineVersion", unstable=True),
        output("status", "DBInstanceStatus"),
    ),
    create=Create("create_db_instance", id="{identifier}", do=create_instance),
    read=(Read("describe_db_instances", {"DBInstanceIdentifier": "{id}"}, "DBInstances[0]"),),
    updates=(
        Update("promote_read_replica", ("replicateSourceDb",), do=promote),
        Update(
            "modify_db_instance",
            (*IN_PLACE, "maxAllocatedStorage", "enabledCloudwatchLogsExports"),
            do=modify_instance,
            on_change=ChangeEffect.AT_ONCE,
        ),
    ),
    delete=Delete("delete_db_instance", do=delete_instance, left_behind=final_snapshot, wait=True),
    tags=TAGS,
    gone=("DBInstanceNotFound", "DBInstanceNotFoundFault"),
    ready="contains(['available', 'storage-optimization'], DBInstanceStatus)",
    failed="contains(['failed', 'storage-full', 'incompatible-parameters'], DBInstanceStatus)",
    finish=finish_replica,
    timeout=4800,
    auto_name=AutoName("identifier", 63, lower=True),
    # A replica holds its source's data.
    bears_data=lambda inputs: not inputs.get("replicateSourceDb"),
    emulator_forgets=frozenset({"replicateSourceDb"}),
    local_addresses=local_addresses,
    dependents=(
        Dependents(
            "aws:rds/instance:Instance",
            "identifier",
            "describe_db_instances",
            {"DBInstanceIdentifier": "{id}"},
            "DBInstances[0].ReadReplicaDBInstanceIdentifiers",
        ),
    ),
)

RESOURCES = (INSTANCE,)
