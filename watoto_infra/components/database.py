"""PostgreSQL on RDS: one primary and its read replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import cloudwatch, iam, rds

from watoto_infra.components.context import Context
from watoto_infra.components.generated_secret import GeneratedSecret, GeneratedSecretArgs
from watoto_infra.components.policies import assumed_by
from watoto_infra.derived.names import database_secret
from watoto_infra.derived.postgresql import NEEDS_RESTART, primary_parameters, replica_parameters
from watoto_infra.derived.shards import Spans
from watoto_infra.settings.data import DatabaseSettings
from watoto_infra.settings.objectives import DataClass
from watoto_infra.settings.windows import days_later

LOGS = ("postgresql", "upgrade")
MONITORING_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """``identifier`` names the primary; replica N is ``replica_prefix``-N. ``log_retention_days`` is for its logs."""

    context: Context
    settings: DatabaseSettings
    identifier: str
    replica_prefix: str
    replicas: int
    zones: Sequence[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    log_retention_days: int


class Database(pulumi.ComponentResource):
    """A primary, encrypted and with a generated password, and read replicas spread over the zones."""

    primary: rds.Instance
    replicas: list[rds.Instance]
    secret: GeneratedSecret

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:data:Database", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._monitoring = self._monitoring_role() if args.settings.monitoring_interval_seconds else None
        self.secret = self._generate_password()
        self.primary = self._make_primary()
        self.replicas = self._make_replicas()
        self.register_outputs(
            {
                "address": self.primary.address,
                "port": self.primary.port,
                "replicas": [replica.address for replica in self.replicas],
                "secret_arn": self.secret.arn,
            }
        )

    def url_of(self, instance: rds.Instance) -> pulumi.Output[str]:
        """``host:port/database`` of one of the servers, without user and password."""
        return pulumi.Output.concat(instance.address, ":", instance.port.apply(str), f"/{self._args.settings.name}")

    def described(self, shards: Spans) -> pulumi.Output[str]:
        """JSON of where the servers answer, where the owner's password is, and which logical shards are kept here."""
        return pulumi.Output.json_dumps(
            {
                "primary": self.url_of(self.primary),
                "replicas": [self.url_of(replica) for replica in self.replicas],
                "secret": self.secret.arn,
                "shards": shards,
            }
        )

    def _generate_password(self) -> GeneratedSecret:
        args = self._args
        facts = {"engine": "postgres", "dbname": args.settings.name, "username": args.settings.username}
        return GeneratedSecret(
            args.identifier,
            GeneratedSecretArgs(
                context=args.context,
                secret_name=database_secret(args.identifier),
                description=f"Owner of the database on {args.identifier}",
                key_arn=args.key_arn,
                facts=facts,
            ),
            self._child,
        )

    def _make_primary(self) -> rds.Instance:
        args, settings, context = self._args, self._args.settings, self._args.context
        identifier = context.named(args.identifier)
        subnets = rds.SubnetGroup(
            args.identifier,
            description=f"Where {args.identifier} and its replicas live",
            subnet_ids=args.subnet_ids,
            tags=context.tags(args.identifier),
            opts=self._child,
        )
        common = self._common(args.identifier, primary_parameters(settings))
        return rds.Instance(
            args.identifier,
            **common,
            identifier=identifier,
            engine="postgres",
            engine_version=settings.engine_version,
            instance_class=settings.instance_class,
            db_name=settings.name,
            username=settings.username,
            password=self.secret.value,
            allocated_storage=settings.storage_gib,
            max_allocated_storage=settings.max_storage_gib,
            storage_type="gp3",
            kms_key_id=args.key_arn,
            db_subnet_group_name=subnets.name,
            multi_az=settings.multi_az,
            backup_retention_period=settings.backup_retention_days,
            backup_window=settings.backup_window,
            maintenance_window=settings.maintenance_window,
            delete_automated_backups=not context.protection,
            deletion_protection=context.protection,
            skip_final_snapshot=not context.protection,
            final_snapshot_identifier=f"{identifier}-final" if context.protection else None,
            tags=context.tags(args.identifier, DataClass.CRITICAL),
            opts=pulumi.ResourceOptions.merge(
                context.guarded(self),
                pulumi.ResourceOptions(
                    depends_on=self._log_groups(args.identifier),
                    # Storage grows by itself and can never shrink: what is declared is only where it begins.
                    ignore_changes=["allocatedStorage"],
                ),
            ),
        )

    def _make_replicas(self) -> list[rds.Instance]:
        args, settings, context = self._args, self._args.settings, self._args.context
        if not args.replicas:
            return []
        common = self._common(args.replica_prefix, replica_parameters(settings))
        replicas = []
        for number in range(1, args.replicas + 1):
            name = f"{args.replica_prefix}-{number}"
            replica = rds.Instance(
                name,
                **common,
                identifier=context.named(name),
                replicate_source_db=self.primary.identifier,
                instance_class=settings.replica_class or settings.instance_class,
                availability_zone=args.zones[(number - 1) % len(args.zones)],
                maintenance_window=days_later(settings.maintenance_window, number),
                skip_final_snapshot=True,
                tags=context.tags(name),
                opts=pulumi.ResourceOptions(parent=self, depends_on=self._log_groups(name)),
            )
            replicas.append(replica)
        return replicas

    def _common(self, label: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """What primary and replicas have in common, with parameter and log groups of their own."""
        settings, context = self._args.settings, self._args.context
        family = f"postgres{settings.engine_version}"
        group = rds.ParameterGroup(
            # The name holds the major version: an upgrade needs the old group beside the new one.
            f"{label}-{family}",
            description=f"How {label} is tuned",
            family=family,
            parameters=[
                {"name": name, "value": value, "apply_method": _apply_method(name)}
                for name, value in sorted(parameters.items())
            ],
            tags=context.tags(label),
            opts=self._child,
        )
        shared: dict[str, Any] = {
            "parameter_group_name": group.name,
            "vpc_security_group_ids": [self._args.security_group_id],
            "publicly_accessible": False,
            "storage_encrypted": True,
            "auto_minor_version_upgrade": True,
            "apply_immediately": settings.apply_immediately,
            "copy_tags_to_snapshot": True,
            "iam_database_authentication_enabled": True,
            "enabled_cloudwatch_logs_exports": list(LOGS),
            "ca_cert_identifier": "rds-ca-rsa2048-g1",
            "monitoring_interval": settings.monitoring_interval_seconds,
        }
        if self._monitoring is not None:
            shared["monitoring_role_arn"] = self._monitoring.arn
        if settings.performance_insights:
            shared["performance_insights_enabled"] = True
            shared["performance_insights_kms_key_id"] = self._args.key_arn
            shared["performance_insights_retention_period"] = settings.performance_insights_days
        return shared

    def _log_groups(self, name: str) -> list[pulumi.Resource]:
        """RDS would make these itself, and keep what is in them for ever, unencrypted by our key."""
        args = self._args
        return [
            cloudwatch.LogGroup(
                f"{name}-{log}",
                name=f"/aws/rds/instance/{args.context.named(name)}/{log}",
                retention_in_days=args.log_retention_days,
                kms_key_id=args.key_arn,
                tags=args.context.tags(f"{name}-{log}"),
                opts=self._child,
            )
            for log in LOGS
        ]

    def _monitoring_role(self) -> iam.Role:
        label = f"{self._args.identifier}-monitoring"
        role = iam.Role(
            label,
            description="Sends figures of the operating system below the databases",
            assume_role_policy=assumed_by("monitoring.rds.amazonaws.com"),
            force_detach_policies=True,
            tags=self._args.context.tags(label),
            opts=self._child,
        )
        iam.RolePolicyAttachment(label, role=role.name, policy_arn=MONITORING_POLICY, opts=self._child)
        return role


def _apply_method(parameter: str) -> str:
    return "pending-reboot" if parameter in NEEDS_RESTART else "immediate"
