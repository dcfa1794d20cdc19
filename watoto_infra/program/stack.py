"""One stack: components wired together from a stage's settings."""

from __future__ import annotations

import pulumi

from watoto_infra.components.app_servers import AppServers, AppServersArgs
from watoto_infra.components.cache import Cache, CacheArgs
from watoto_infra.components.context import Context
from watoto_infra.components.database import Database, DatabaseArgs
from watoto_infra.components.edge import Edge, EdgeArgs
from watoto_infra.components.encryption import Encryption, EncryptionArgs
from watoto_infra.components.endpoints import Endpoints, EndpointsArgs
from watoto_infra.components.firewall import Firewall, FirewallArgs, Role
from watoto_infra.components.flow_logs import FlowLogs, FlowLogsArgs
from watoto_infra.components.generated_secret import GeneratedSecret, GeneratedSecretArgs
from watoto_infra.components.identity import Access
from watoto_infra.components.load_balancer import LoadBalancer, LoadBalancerArgs
from watoto_infra.components.network import Network, NetworkArgs
from watoto_infra.components.queue import Queue, QueueArgs
from watoto_infra.components.storage import BucketRole, Storage, StorageArgs
from watoto_infra.components.user_data import UserData
from watoto_infra.errors import SettingsError
from watoto_infra.program.exports import Parts, outputs
from watoto_infra.settings import LoadedStage, StageSettings
from watoto_infra.settings.app import SOURCE_IMAGE
from watoto_infra.settings.network import Tier
from watoto_infra.settings.problems import shown

LONGEST_SUFFIX = 16
"""What ElastiCache's 40 characters leave for a stack's name."""


def build_stack(loaded: LoadedStage, stack: str) -> None:
    """Declare everything of a stage and export its outputs.

    Raises ``SettingsError`` for what can only be told here: a stack's name that is too long, an image that is missing.
    """
    builder = _Builder(loaded.settings, _context(loaded, stack))
    for name, value in outputs(builder.build(), loaded).items():
        pulumi.export(name, value)


def _context(loaded: LoadedStage, stack: str) -> Context:
    """Give the context of a stack: on AWS a stack other than the target's own has its name as a suffix."""
    suffix = f"-{stack}" if loaded.target == "aws" and stack != loaded.target else ""
    if len(suffix) > LONGEST_SUFFIX:
        raise SettingsError(
            f"the stack's name {stack} is too long; allowed: {LONGEST_SUFFIX - 1} characters",
            hint="names on AWS end with the stack's, and some may have 40 characters only",
        )
    return Context(stack=stack, suffix=suffix, region=loaded.settings.region, protection=loaded.settings.protection)


class _Builder:
    """Makes the components in the order in which they need one another."""

    def __init__(self, settings: StageSettings, context: Context) -> None:
        self.settings = settings
        self.context = context

    def build(self) -> Parts:
        settings, context = self.settings, self.context
        self.network = Network("network", NetworkArgs(context=context, settings=settings.network))
        self.firewall = Firewall(
            "firewall",
            FirewallArgs(
                context=context,
                vpc_id=self.network.vpc_id,
                allowed_cidrs=settings.load_balancer.allowed_cidrs,
                gateway_port=settings.app.gateway_port,
            ),
        )
        self.encryption = Encryption(
            "encryption",
            EncryptionArgs(context=context, settings=settings.encryption, account_id=self.network.account_id),
        )
        self._watch_network()
        self.storage = Storage(
            "storage",
            StorageArgs(context=context, settings=settings.storage, key_arn=self.encryption.key_arn),
        )
        self.databases = self._databases()
        self.caches = self._caches()
        self.queue = self._queue()
        self.app_secret = self._secret("watoto-app", "watoto/app/secret-key", "Signs the LMS's sessions")
        self.balancer, self.edge = self._delivery()
        self.app = self._app_servers()
        return Parts(
            network=self.network,
            firewall=self.firewall,
            encryption=self.encryption,
            storage=self.storage,
            databases=self.databases,
            caches=self.caches,
            queue=self.queue,
            app_secret=self.app_secret,
            load_balancer=self.balancer,
            edge=self.edge,
            app=self.app,
        )

    def _watch_network(self) -> None:
        settings = self.settings.network
        FlowLogs(
            "flow-logs",
            FlowLogsArgs(
                context=self.context,
                vpc_id=self.network.vpc_id,
                key_arn=self.encryption.key_arn,
                retention_days=settings.flow_log_retention_days,
            ),
        )
        Endpoints(
            "endpoints",
            EndpointsArgs(
                context=self.context,
                vpc_id=self.network.vpc_id,
                services=settings.interface_endpoints,
                subnet_ids=self.network.tier(Tier.APP),
                route_table_ids=self.network.private_route_table_ids,
                security_group_id=self.firewall.group_ids[Role.ENDPOINTS],
            ),
        )

    def _databases(self) -> list[Database]:
        """Make the main database first, then the shards."""
        settings = self.settings.database
        shards = [
            self._database(f"shard-{number}", f"watoto-shard-{number}", f"watoto-shard-{number}-replica", True)
            for number in range(1, settings.shards + 1)
        ]
        return [self._database("database", "watoto-primary", "watoto-replica", False), *shards]

    def _database(self, name: str, identifier: str, replica_prefix: str, is_shard: bool) -> Database:
        settings = self.settings.database
        return Database(
            name,
            DatabaseArgs(
                context=self.context,
                settings=settings,
                identifier=identifier,
                replica_prefix=replica_prefix,
                replicas=settings.shard_replicas if is_shard else settings.replicas,
                zones=self.settings.network.zones,
                subnet_ids=self.network.tier(Tier.DATA),
                security_group_id=self.firewall.group_ids[Role.DATABASE],
                key_arn=self.encryption.key_arn,
                log_retention_days=self.settings.logs.retention_days,
            ),
        )

    def _caches(self) -> dict[str, Cache]:
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

    def _queue(self) -> Queue:
        return Queue(
            "queue",
            QueueArgs(
                context=self.context,
                settings=self.settings.queue,
                subnet_ids=self.network.tier(Tier.DATA),
                security_group_id=self.firewall.group_ids[Role.QUEUE],
                key_arn=self.encryption.key_arn,
            ),
        )

    def _secret(self, name: str, secret_name: str, description: str) -> GeneratedSecret:
        return GeneratedSecret(
            name,
            GeneratedSecretArgs(
                context=self.context,
                secret_name=secret_name,
                description=description,
                key_arn=self.encryption.key_arn,
            ),
        )

    def _delivery(self) -> tuple[LoadBalancer, Edge | None]:
        """Make load balancer and, where there is one, CDN; the static bucket's policy knows who may read it."""
        settings, buckets = self.settings, self.storage.buckets
        static, logs = buckets[BucketRole.STATIC], buckets[BucketRole.LOGS]
        origin = None
        if settings.edge.enabled:
            origin = self._secret("watoto-origin", "watoto/edge/origin", "By which the balancer knows the CDN")
        balancer = LoadBalancer(
            "load-balancer",
            LoadBalancerArgs(
                context=self.context,
                settings=settings.load_balancer,
                vpc_id=self.network.vpc_id,
                subnet_ids=self.network.tier(Tier.PUBLIC),
                security_group_id=self.firewall.group_ids[Role.LOAD_BALANCER],
                gateway_port=settings.app.gateway_port,
                logs_bucket=logs.bucket_name,
                logs_policy=self.storage.logs_policy,
                origin_secret=origin.value if origin else None,
            ),
        )
        if origin is None:
            static.allow()
            return balancer, None
        edge = Edge(
            "edge",
            EdgeArgs(
                context=self.context,
                settings=settings.edge,
                origin_domain=balancer.balancer.dns_name,
                origin_is_tls=settings.load_balancer.certificate_arn is not None,
                origin_secret=origin.value,
                static=static,
                logs=logs,
                logs_ready=self.storage.logs_policy,
            ),
        )
        static.allow(edge.may_read(static))
        return balancer, edge

    def _app_servers(self) -> AppServers:
        settings, context = self.settings, self.context
        image = settings.app.image
        if image is None or image == SOURCE_IMAGE:
            raise SettingsError(
                f"app.image is {shown(image)} and there is no source tree beside the stage files",
                hint="set app.image to repository@sha256:<64 hex digits>",
            )
        return AppServers(
            "app-servers",
            AppServersArgs(
                context=context,
                settings=settings.app,
                subnet_ids=self.network.tier(Tier.APP),
                security_group_id=self.firewall.group_ids[Role.APP],
                access=self._access(),
                user_data=self._user_data(image),
                log_retention_days=settings.logs.retention_days,
                target_group_arn=self.balancer.target_group.arn,
                request_count_label=pulumi.Output.concat(
                    self.balancer.balancer.arn_suffix, "/", self.balancer.target_group.arn_suffix
                ),
                serving=self.balancer.serving,
            ),
        )

    def _access(self) -> Access:
        secrets = [
            self.app_secret,
            *(database.secret for database in self.databases),
            *(cache.secret for cache in self.caches.values()),
            self.queue.secret,
        ]
        return Access(
            media_arn=self.storage.buckets[BucketRole.MEDIA].arn,
            backups_arn=self.storage.buckets[BucketRole.BACKUPS].arn,
            secret_arns=[secret.arn for secret in secrets],
            key_arn=self.encryption.key_arn,
        )

    def _user_data(self, image: str) -> UserData:
        settings, main = self.settings, self.databases[0]
        cache = self.caches["cache"]
        state = self.caches.get("state", cache)
        return UserData(
            image=image,
            region=settings.region,
            log_group=f"/watoto/{self.context.stack}/app",
            port=settings.app.port,
            gateway_port=settings.app.gateway_port,
            pool_size=settings.database.pool.max_size,
            l1_seconds=settings.cache.l1_seconds,
            l2_seconds=settings.cache.l2_seconds,
            cache_is_cluster=cache.cluster_mode,
            database=main.url_of(main.primary),
            replicas=pulumi.Output.all(*(main.url_of(replica) for replica in main.replicas)),
            cache=pulumi.Output.concat(cache.primary_address, ":", cache.group.port.apply(str)),
            state=pulumi.Output.concat(state.primary_address, ":", state.group.port.apply(str)),
            queue=self.queue.endpoints.apply(lambda endpoints: endpoints[0].rpartition("://")[2]),
            media_bucket=self.storage.buckets[BucketRole.MEDIA].bucket_name,
            app_secret=self.app_secret.arn,
            database_secret=main.secret.arn,
            cache_secret=cache.secret.arn,
            state_secret=state.secret.arn,
            queue_secret=self.queue.secret.arn,
        )
