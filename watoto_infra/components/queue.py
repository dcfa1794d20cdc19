"""RabbitMQ on Amazon MQ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import mq

from watoto_infra.components.context import Context
from watoto_infra.components.generated_secret import GeneratedSecret, GeneratedSecretArgs
from watoto_infra.derived.names import QUEUE_SECRET
from watoto_infra.settings.data import BrokerDeployment, QueueSettings
from watoto_infra.values.addresses import Endpoint

DAY_NAMES = {
    "mon": "MONDAY",
    "tue": "TUESDAY",
    "wed": "WEDNESDAY",
    "thu": "THURSDAY",
    "fri": "FRIDAY",
    "sat": "SATURDAY",
    "sun": "SUNDAY",
}
DEPLOYMENT_MODES = {BrokerDeployment.SINGLE: "SINGLE_INSTANCE", BrokerDeployment.CLUSTER: "CLUSTER_MULTI_AZ"}
NODES = {BrokerDeployment.SINGLE: 1, BrokerDeployment.CLUSTER: 3}


@dataclass(frozen=True, kw_only=True)
class QueueArgs:
    """Size of the broker, where it answers and who may connect, and the key of its data."""

    context: Context
    settings: QueueSettings
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]


class Queue(pulumi.ComponentResource):
    """The broker, its configuration and its one user."""

    broker: mq.Broker
    secret: GeneratedSecret
    endpoints: pulumi.Output[list[str]]
    console_url: pulumi.Output[str]
    nodes: int

    def __init__(self, name: str, args: QueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:data:Queue", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.nodes = NODES[args.settings.deployment]
        self.secret = GeneratedSecret(
            "watoto-broker",
            GeneratedSecretArgs(
                context=args.context,
                secret_name=QUEUE_SECRET,
                description="User of the broker",
                key_arn=args.key_arn,
                facts={"username": args.settings.username},
            ),
            self._child,
        )
        self.broker = self._make_broker(self._configure())
        self.endpoints = self.broker.instances.apply(
            lambda instances: [endpoint for one in instances for endpoint in one.endpoints or []]
        )
        self.console_url = self.broker.instances.apply(lambda instances: instances[0].console_url or "")
        self.register_outputs(
            {"endpoints": self.endpoints, "console_url": self.console_url, "secret_arn": self.secret.arn}
        )

    @property
    def endpoint(self) -> pulumi.Output[str]:
        """``host:port`` of the first node, without the scheme."""
        return self.endpoints.apply(lambda urls: str(Endpoint.of_url(urls[0])))

    def _configure(self) -> mq.Configuration:
        settings = self._args.settings
        return mq.Configuration(
            "watoto-broker",
            name=self._args.context.named("watoto-broker"),
            description="What the broker is told; Amazon MQ takes little more",
            engine_type="RabbitMQ",
            engine_version=settings.engine_version,
            data=f"consumer_timeout = {settings.consumer_timeout_ms}\n",
            tags=self._args.context.tags("watoto-broker"),
            opts=self._child,
        )

    def _make_broker(self, configuration: mq.Configuration) -> mq.Broker:
        args, settings = self._args, self._args.settings
        single = settings.deployment is BrokerDeployment.SINGLE
        day, _, time = settings.maintenance_window.partition("-")[0].partition(":")
        return mq.Broker(
            "watoto-broker",
            # The deployment mode cannot change: under a name of its own the new broker stands before the old one goes.
            broker_name=args.context.named(f"watoto-broker-{settings.deployment.value}"),
            engine_type="RabbitMQ",
            engine_version=settings.engine_version,
            host_instance_type=settings.instance_type,
            deployment_mode=DEPLOYMENT_MODES[settings.deployment],
            publicly_accessible=False,
            subnet_ids=args.subnet_ids[:1] if single else args.subnet_ids,
            security_groups=[args.security_group_id],
            auto_minor_version_upgrade=True,
            apply_immediately=settings.apply_immediately,
            maintenance_window_start_time={"day_of_week": DAY_NAMES[day], "time_of_day": time, "time_zone": "UTC"},
            logs={"general": True},
            encryption_options={"kms_key_id": args.key_arn, "use_aws_owned_key": False},
            configuration={"id": configuration.id, "revision": configuration.latest_revision},
            users=[{"username": settings.username, "password": self.secret.value}],
            tags=args.context.tags("watoto-broker"),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=False),
        )
