"""Where the LMS keeps what it knows: database, cache groups and message broker."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from watoto_infra.settings.base import Name, Strict, not_allowed
from watoto_infra.settings.windows import DailyWindow, WeeklyWindow, overlap

InstanceClass = Annotated[str, StringConstraints(pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$")]
CacheNodeType = Annotated[str, StringConstraints(pattern=r"^cache\.[a-z0-9]+\.[a-z0-9]+$")]
BrokerInstanceType = Annotated[str, StringConstraints(pattern=r"^mq\.[a-z0-9]+\.[a-z0-9]+$")]


class PoolSettings(Strict):
    """Each app process's pool of database connections; the guide's 1 to 20."""

    min_size: int = Field(default=1, ge=0, le=100)
    """The guide's least; the LMS opens connections as they are needed, so that nothing follows from it."""
    max_size: int = Field(default=20, ge=1, le=100)
    """Connections at most; a process opens one for each of its threads and one spare (5) where that is fewer."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_size > self.max_size:
            raise not_allowed("min_size", self.min_size, f"at most max_size ({self.max_size})")
        return self


class DatabaseSettings(Strict):
    """RDS for PostgreSQL: a primary, its read replicas, and shards beside it."""

    engine_version: Literal["15"] = "15"
    """Major version of PostgreSQL; minor versions follow by themselves."""
    name: Name = "watoto_lms"
    """The LMS's database."""
    username: Name = "watoto_user"
    """The LMS's role."""
    instance_class: InstanceClass
    """Instance class of primary and shards."""
    replica_class: InstanceClass | None = None
    """Instance class of the replicas; none: the primary's."""
    storage_gib: int = Field(ge=20, le=65_536)
    """Storage to begin with; it grows by itself and never shrinks, so that a later change has no effect."""
    max_storage_gib: int = Field(ge=20, le=65_536)
    """Storage to which RDS may grow by itself."""
    multi_az: bool
    """Whether primary and shards have a standby in another zone."""
    replicas: int = Field(ge=0, le=15)
    """Read replicas of the primary."""
    shards: int = Field(default=0, ge=0, le=32)
    """Primaries beside the first one, over which the LMS spreads schools."""
    shard_replicas: int = Field(default=1, ge=0, le=15)
    """Read replicas of each shard."""
    backup_retention_days: int = Field(default=30, ge=0, le=35)
    """Days a point in time can be restored to; 0 turns automated backups, and with them replicas, off."""
    backup_window: DailyWindow = "02:00-03:00"
    """Daily time of the snapshot, UTC."""
    maintenance_window: WeeklyWindow = "sun:03:30-sun:04:30"
    """Weekly time for maintenance, UTC; replicas have theirs on the following days."""
    apply_immediately: bool = False
    """Make changes that interrupt service at once, not in the next maintenance window."""
    monitoring_interval_seconds: Literal[0, 1, 5, 10, 15, 30, 60] = 60
    """Interval of enhanced monitoring; 0: off."""
    performance_insights: bool = True
    """Whether query statistics are kept."""
    performance_insights_days: Literal[7, 31, 93, 186, 372, 731] = 7
    """Days query statistics are kept; the first seven cost nothing."""
    log_min_duration_ms: int = Field(default=1000, ge=-1, le=2_147_483_647)
    """Statements that take longer are logged; -1: none."""
    work_mem_kib: int = Field(default=8192, ge=64, le=2_147_483_647)
    """Memory of one sort or hash."""
    pool: PoolSettings = PoolSettings()
    pgbouncer: bool = False
    """Whether a PgBouncer runs before the databases on the local target; AWS has none declared."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.max_storage_gib < self.storage_gib:
            raise not_allowed("max_storage_gib", self.max_storage_gib, f"storage_gib ({self.storage_gib}) or more")
        replicas = self.replicas or (self.shards and self.shard_replicas)
        if replicas and not self.backup_retention_days:
            raise not_allowed("backup_retention_days", 0, "1 or more, since there are replicas")
        if overlap(self.backup_window, self.maintenance_window):
            allowed = f"a window that does not overlap maintenance_window ({self.maintenance_window})"
            raise not_allowed("backup_window", self.backup_window, allowed)
        return self


class EvictionPolicy(StrEnum):
    """What a full Redis does."""

    ALLKEYS_LRU = "allkeys-lru"
    VOLATILE_LRU = "volatile-lru"
    NOEVICTION = "noeviction"


class CacheGroupSettings(Strict):
    """One replication group."""

    node_type: CacheNodeType
    """Instance type of each node."""
    replicas: int = Field(ge=0, le=5)
    """Replicas of each shard; with at least one, failover is automatic."""
    shards: int = Field(default=1, ge=1, le=90)
    """Shards; more than one is cluster mode, which wants replicas."""
    eviction: EvictionPolicy
    """What happens when memory is full."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shards > 1 and not self.replicas:
            raise not_allowed("replicas", 0, "1 or more, since there are several shards")
        return self


class CacheSettings(Strict):
    """ElastiCache for Redis: the cache, and beside it the state that must not be evicted."""

    engine_version: Literal["7.0", "7.1"] = "7.1"
    """Version of Redis."""
    cache: CacheGroupSettings
    state: CacheGroupSettings | None = None
    """Sessions, locks and job results; none: they share the cache's group."""
    snapshot_retention_days: int = Field(default=7, ge=0, le=35)
    """Days snapshots are kept."""
    snapshot_window: DailyWindow = "04:30-05:30"
    """Daily time of the snapshot, UTC, 60 minutes or more."""
    maintenance_window: WeeklyWindow = "sun:05:30-sun:06:30"
    """Weekly time for maintenance, UTC, 60 minutes or more."""
    apply_immediately: bool = False
    """Make changes at once, not in the next maintenance window."""
    l1_seconds: int = Field(default=300, ge=1, le=86_400)
    """How long a process keeps a value in its own memory."""
    l2_seconds: int = Field(default=3600, ge=1, le=604_800)
    """How long Redis keeps it."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if overlap(self.snapshot_window, self.maintenance_window):
            allowed = f"a window that does not overlap maintenance_window ({self.maintenance_window})"
            raise not_allowed("snapshot_window", self.snapshot_window, allowed)
        if self.state is not None and self.state.eviction is EvictionPolicy.ALLKEYS_LRU:
            raise not_allowed("state.eviction", "allkeys-lru", "noeviction or volatile-lru: state must not be evicted")
        if self.state is not None and self.state.shards > 1:
            raise not_allowed("state.shards", self.state.shards, "1: job results and locks need a single keyspace")
        if self.l1_seconds > self.l2_seconds:
            raise not_allowed("l1_seconds", self.l1_seconds, f"at most l2_seconds ({self.l2_seconds})")
        return self

    @property
    def groups(self) -> dict[str, CacheGroupSettings]:
        """The declared groups by role."""
        return {"cache": self.cache} | ({"state": self.state} if self.state is not None else {})


class BrokerDeployment(StrEnum):
    """How many nodes the broker has; a change makes a new broker."""

    SINGLE = "single"
    CLUSTER = "cluster"


class QueueSettings(Strict):
    """Amazon MQ for RabbitMQ."""

    engine_version: Literal["3.13"] = "3.13"
    """Version of RabbitMQ; quorum queues need 3.13."""
    deployment: BrokerDeployment
    """One node, or three in three zones."""
    instance_type: BrokerInstanceType
    """Instance type of each node."""
    username: Name = "watoto_user"
    """The broker's one user."""
    consumer_timeout_ms: int = Field(default=1_800_000, ge=60_000, le=86_400_000)
    """Time after which an unacknowledged job goes back to its queue."""
    maintenance_window: WeeklyWindow = "sun:06:30-sun:08:30"
    """Weekly time for maintenance, UTC; Amazon MQ reads its start, and takes two hours."""
    apply_immediately: bool = False
    """Restart the broker for changes at once, not in the next maintenance window."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.deployment is BrokerDeployment.CLUSTER and ".t3." in self.instance_type:
            raise not_allowed(
                "instance_type", self.instance_type, "mq.m5.large or larger, since Amazon MQ clusters no t3"
            )
        return self
