"""Wires the components of one stack: each is made when another first asks for it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import pulumi

from watoto_infra.components.app_servers import AppServers, AppServersArgs
from watoto_infra.components.cache import Cache, CacheArgs
from watoto_infra.components.context import Context
from watoto_infra.components.database import Database, DatabaseArgs
from watoto_infra.components.edge import Edge, EdgeArgs
from watoto_infra.components.encryption import Encryption, EncryptionArgs
from watoto_infra.components.endpoint_parameters import EndpointParameters, EndpointParametersArgs
from watoto_infra.components.endpoints import Endpoints, EndpointsArgs
from watoto_infra.components.firewall import Firewall, FirewallArgs, Role
from watoto_infra.components.flow_logs import FlowLogs, FlowLogsArgs
from watoto_infra.components.generated_secret import GeneratedSecret, GeneratedSecretArgs, GeneratedSecrets
from watoto_infra.components.identity import Access, StorageAccess
from watoto_infra.components.load_balancer import LoadBalancer, LoadBalancerArgs, Targets
from watoto_infra.components.network import Network, NetworkArgs
from watoto_infra.components.queue import Queue, QueueArgs
from watoto_infra.components.storage import BucketRole, Storage, StorageArgs
from watoto_infra.derived import names
from watoto_infra.derived import shards as sharding
from watoto_infra.derived.nginx import POD_PORT, gateway_context
from watoto_infra.derived.user_data import References, UserData, user_data
from watoto_infra.errors import SettingsError
from watoto_infra.program.exports import Parts
from watoto_infra.settings import StageSettings
from watoto_infra.settings.app import Platform
from watoto_infra.settings.image import SOURCE_IMAGE
from watoto_infra.settings.network import Tier
from watoto_infra.settings.problems import shown

if TYPE_CHECKING:
    from watoto_infra.components.kubernetes.cluster import Cluster
    from watoto_infra.components.kubernetes.workloads import Workloads


class Builder:
    """Makes each component when it is first asked for, so that what needs another simply names it."""

    def __init__(self, settings: StageSettings, context: Context) -> None:
        self.settings = settings
        self.context = context

    def build(self) -> Parts:
        self._watch_network()
        static = self.storage.buckets[BucketRole.STATIC]
        static.allow(self.edge.may_read(static) if self.edge is not None else ())
        return Parts(
            network=self.network,
            firewall=self.firewall,
            encryption=self.encryption,
            storage=self.storage,
            databases=self.databases,
            caches=self.caches,
            queue=self.queue,
            app_secret=self.app_secret,
            service_accounts=self.service_accounts,
            backup_cipher=self.backup_cipher,
            load_balancer=self.load_balancer,
            edge=self.edge,
            app=self.app,
            cluster=self.cluster,
        )

    @cached_property
    def network(self) -> Network:
        return Network("network", NetworkArgs(context=self.context, settings=self.settings.network))

    @cached_property
    def firewall(self) -> Firewall:
        args = FirewallArgs(
            context=self.context,
            vpc_id=self.network.vpc_id,
            allowed_cidrs=self.settings.load_balancer.allowed_cidrs,
            gateway_port=self._targets.port,
            cluster_group_id=self.cluster.security_group_id if self.cluster is not None else None,
        )
        return Firewall("firewall", args)

    @cached_property
    def encryption(self) -> Encryption:
        args = EncryptionArgs(
            context=self.context, settings=self.settings.encryption, account_id=self.network.account_id
        )
        return Encryption("encryption", args)

    def _watch_network(self) -> None:
        settings = self.settings.network
        logs = FlowLogsArgs(
            context=self.context,
            vpc_id=self.network.vpc_id,
            key_arn=self.encryption.key_arn,
            retention_days=settings.flow_log_retention_days,
        )
        FlowLogs("flow-logs", logs)
        endpoints = EndpointsArgs(
            context=self.context,
            vpc_id=self.network.vpc_id,
            services=settings.interface_endpoints,
            subnet_ids=self.network.tier(Tier.APP),
            route_table_ids=self.network.private_route_table_ids,
            security_group_id=self.firewall.group_ids[Role.ENDPOINTS],
        )
        Endpoints("endpoints", endpoints)

    @cached_property
    def storage(self) -> Storage:
        args = StorageArgs(context=self.context, settings=self.settings.storage, key_arn=self.encryption.key_arn)
        return Storage("storage", args)

    @cached_property
    def databases(self) -> list[Database]:
        """The main database first, then the shards."""
        settings = self.settings.database
        shards = [
            self._database(
                f"shard-{number}", f"watoto-shard-{number}", f"watoto-shard-{number}-replica", settings.shard_replicas
            )
            for number in range(1, settings.shards + 1)
        ]
        return [self._database("database", "watoto-primary", "watoto-replica", settings.replicas), *shards]

    def _database(self, name: str, identifier: str, replica_prefix: str, replicas: int) -> Database:
        args = DatabaseArgs(
            context=self.context,
            settings=self.settings.database,
            identifier=identifier,
            replica_prefix=replica_prefix,
            replicas=replicas,
            zones=self.settings.network.zones,
            subnet_ids=self.network.tier(Tier.DATA),
            security_group_id=self.firewall.group_ids[Role.DATABASE],
            key_arn=self.encryption.key_arn,
            log_retention_days=self.settings.logs.retention_days,
        )
        return Database(name, args)

    @cached_property
    def caches(self) -> dict[str, Cache]:
        settings = self.settings.cache
        return {
            role: Cache(
                role,
                CacheArgs(
                    context=self.context,
                    role=role,
                    group=group,
                    settings=settings,
                    subnet_ids=self.network.tier(Tier.CACHE),
                    security_group_id=self.firewall.group_ids[Role.CACHE],
                    key_arn=self.encryption.key_arn,
                    log_retention_days=self.settings.logs.retention_days,
                ),
            )
            for role, group in settings.groups.items()
        }

    @cached_property
    def queue(self) -> Queue:
        args = QueueArgs(
            context=self.context,
            settings=self.settings.queue,
            subnet_ids=self.network.tier(Tier.DATA),
            security_group_id=self.firewall.group_ids[Role.QUEUE],
            key_arn=self.encryption.key_arn,
        )
        return Queue("queue", args)

    @cached_property
    def app_secret(self) -> GeneratedSecret:
        return self._secret("watoto-app", names.APP_SECRET, "Signs the LMS's sessions")

    @cached_property
    def origin_secret(self) -> GeneratedSecret:
        return self._secret("watoto-origin", names.ORIGIN_SECRET, "By which the balancer knows the CDN")

    @cached_property
    def backup_cipher(self) -> GeneratedSecret:
        description = "Encrypts the repository of base backups and WAL"
        return self._secret("watoto-backup-cipher", names.BACKUP_CIPHER, description, irreplaceable=True)

    @cached_property
    def service_accounts(self) -> GeneratedSecrets:
        """What servers that Watoto runs itself know each other by; the app may not read it."""
        roles = [f"redis-{role}-{account}" for role in self.settings.cache.groups for account in ("replica", "monitor")]
        args = self._secret_args(names.SERVICE_ACCOUNTS, "Accounts of replication and monitoring")
        return GeneratedSecrets("watoto-accounts", args, ["replicator", "postgresql-monitor", *roles])

    def _secret(self, name: str, secret_name: str, description: str, *, irreplaceable: bool = False) -> GeneratedSecret:
        return GeneratedSecret(name, self._secret_args(secret_name, description, irreplaceable=irreplaceable))

    def _secret_args(self, secret_name: str, description: str, *, irreplaceable: bool = False) -> GeneratedSecretArgs:
        return GeneratedSecretArgs(
            context=self.context,
            secret_name=secret_name,
            description=description,
            key_arn=self.encryption.key_arn,
            irreplaceable=irreplaceable,
        )

    @cached_property
    def load_balancer(self) -> LoadBalancer:
        args = LoadBalancerArgs(
            context=self.context,
            settings=self.settings.load_balancer,
            vpc_id=self.network.vpc_id,
            subnet_ids=self.network.tier(Tier.PUBLIC),
            security_group_id=self.firewall.group_ids[Role.LOAD_BALANCER],
            targets=self._targets,
            logs_bucket=self.storage.buckets[BucketRole.LOGS].bucket_name,
            logs_policy=self.storage.logs_policy,
            origin_secret=self.origin_secret.value if self.settings.edge.enabled else None,
        )
        return LoadBalancer("load-balancer", args)

    @cached_property
    def edge(self) -> Edge | None:
        if not self.settings.edge.enabled:
            return None
        args = EdgeArgs(
            context=self.context,
            settings=self.settings.edge,
            origin_domain=self.load_balancer.balancer.dns_name,
            origin_is_tls=self.settings.load_balancer.certificate_arn is not None,
            origin_secret=self.origin_secret.value,
            static=self.storage.buckets[BucketRole.STATIC],
            logs=self.storage.buckets[BucketRole.LOGS],
            logs_ready=self.storage.logs_policy,
        )
        return Edge("edge", args)

    @cached_property
    def cluster(self) -> Cluster | None:
        """What the LMS's pods run on; none where it runs on instances of its own."""
        app = self.settings.app
        if app.platform is not Platform.KUBERNETES:
            return None
        from watoto_infra.components.kubernetes.cluster import (  # noqa: PLC0415 - the SDK takes a second
            Cluster,
            ClusterArgs,
        )

        args = ClusterArgs(
            context=self.context,
            settings=app.kubernetes,
            subnet_ids=self.network.tier(Tier.APP),
            key_arn=self.encryption.key_arn,
            log_retention_days=self.settings.logs.retention_days,
        )
        return Cluster("cluster", args)

    @property
    def _targets(self) -> Targets:
        """What requests are sent to. EKS may only add and remove members of what bears its cluster's name."""
        if self.cluster is None:
            return Targets(name="watoto-backend", kind="instance", port=self.settings.app.gateway_port)
        owner = {"eks:eks-cluster-name": self.cluster.cluster.name}
        return Targets(name="watoto-gateway", kind="ip", port=POD_PORT, tags=owner)

    @cached_property
    def app(self) -> AppServers | Workloads:
        return self._instances() if self.cluster is None else self._pods(self.cluster)

    def _pods(self, cluster: Cluster) -> Workloads:
        """Pods first, then listeners: on a move from instances these serve until the pods do."""
        from watoto_infra.components.kubernetes.configuration import configuration  # noqa: PLC0415 - as in ``cluster``
        from watoto_infra.components.kubernetes.workloads import Workloads, WorkloadsArgs  # noqa: PLC0415

        args = WorkloadsArgs(
            context=self.context,
            settings=self.settings,
            cluster=cluster,
            image=_image("app", self.settings.app.image),
            gateway_image=_image("gateway", self.settings.gateway.image),
            configuration=configuration(
                self.settings,
                databases=self.databases,
                cache=self.caches["cache"],
                state=self._state,
                queue=self.queue,
                app_secret=self.app_secret,
                media_bucket=self.storage.buckets[BucketRole.MEDIA].bucket_name,
            ),
            storage=self._storage_access(),
            state=self._state,
            target_group_arn=self.load_balancer.target_group.arn,
        )
        workloads = Workloads("workloads", args)
        self.load_balancer.listen(after=workloads.gateway.serving)
        return workloads

    @property
    def _state(self) -> Cache:
        """The group that evicts nothing, or the only one."""
        return self.caches.get("state", self.caches["cache"])

    def _instances(self) -> AppServers:
        balancer = self.load_balancer
        args = AppServersArgs(
            context=self.context,
            settings=self.settings.app,
            subnet_ids=self.network.tier(Tier.APP),
            security_group_id=self.firewall.group_ids[Role.APP],
            access=self._access(),
            user_data=self._user_data(),
            log_retention_days=self.settings.logs.retention_days,
            target_group_arn=balancer.target_group.arn,
            request_count_label=pulumi.Output.concat(
                balancer.balancer.arn_suffix, "/", balancer.target_group.arn_suffix
            ),
            serving=balancer.listen(),
        )
        return AppServers("app-servers", args)

    @cached_property
    def endpoint_parameters(self) -> EndpointParameters:
        cache, shards = self.caches["cache"], sharding.spans(self.settings.database.shards)
        databases = {sharding.label(number): database for number, database in enumerate(self.databases)}
        values: dict[str, pulumi.Input[str]] = {
            **{f"databases/{label}": one.described(shards.get(label, [])) for label, one in databases.items()},
            "cache": cache.endpoint,
            "state": self._state.endpoint,
            "queue": self.queue.endpoint,
            "media-bucket": self.storage.buckets[BucketRole.MEDIA].bucket_name,
        }
        return EndpointParameters("endpoint-parameters", EndpointParametersArgs(context=self.context, values=values))

    def _access(self) -> Access:
        secrets = [
            self.app_secret,
            *(database.secret for database in self.databases),
            *(cache.secret for cache in self.caches.values()),
            self.queue.secret,
        ]
        mail = self.settings.app.mail_secret_arn
        return Access(
            storage=self._storage_access(),
            secret_arns=[*(secret.arn for secret in secrets), *([mail] if mail is not None else [])],
            parameters_arn=pulumi.Output.concat(
                f"arn:aws:ssm:{self.settings.region}:",
                self.network.account_id,
                ":parameter",
                self.endpoint_parameters.path,
            ),
        )

    def _storage_access(self) -> StorageAccess:
        return StorageAccess(
            media_arn=self.storage.buckets[BucketRole.MEDIA].arn,
            backups_arn=self.storage.buckets[BucketRole.BACKUPS].arn,
            key_arn=self.encryption.key_arn,
        )

    def _user_data(self) -> UserData[pulumi.Input[str]]:
        return user_data(
            self.settings,
            stack=self.context.stack,
            image=_image("app", self.settings.app.image),
            gateway=gateway_context(self.settings),
            parameters=self.endpoint_parameters.path,
            references=References(
                app_secret=self.app_secret.arn,
                cache_secret=self.caches["cache"].secret.arn,
                state_secret=self._state.secret.arn,
                queue_secret=self.queue.secret.arn,
            ),
        )


def _image(section: str, image: str | None) -> str:
    if image is None or image == SOURCE_IMAGE:
        raise SettingsError(
            f"{section}.image is {shown(image)} and there is no source tree beside the stage files",
            hint=f"set {section}.image to repository@sha256:<64 hex digits>",
        )
    return image
