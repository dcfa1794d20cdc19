"""The settings of the LMS, read from the environment and checked once at start. No other module reads the environment.

Every field is the variable `LMS_<FIELD>`; every one can also be given as `LMS_<FIELD>_FILE`, the path of a file that
holds the value, so that a secret need not stand in the environment. No secret has a default.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from lms_app.db.urls import DatabaseUrls
from lms_app.shards.sharding import ShardMap

PREFIX = "LMS_"
FILE_SUFFIX = "_FILE"
LIST_FIELDS = frozenset({"database_replica_urls", "job_retry_delays_s"})
"""Fields given as a comma-separated list."""

Port = Annotated[int, Field(ge=1, le=65535)]


class SettingsError(Exception):
    """The environment cannot be used; the message has one line per fault and never a value, which may be a secret."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Settings(BaseModel):
    """The settings of one LMS process: web server, worker and relay alike. Times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    secret_key: SecretStr = Field(min_length=32, description="Signs sessions; at least 32 characters.")

    secret_key_previous: SecretStr | None = Field(
        default=None, min_length=32, description="After a change of the key: the one before, until its sessions end."
    )
    session_lifetime_s: int = Field(default=12 * 3600, ge=60, description="A session ends after this at the latest.")
    cookie_secure: bool = Field(default=True, description="Cookies go over HTTPS only. False only without TLS.")

    database_primary_url: SecretStr | None = Field(
        default=None, description="libpq URI of the one database; several hosts may be named. Or give a shard map."
    )
    database_replica_urls: tuple[SecretStr, ...] = Field(default=(), description="Its read replicas, comma-separated.")
    shard_map: ShardMap | None = Field(default=None, description="JSON: databases and the logical shards they hold.")
    db_pool_size: int = Field(default=5, ge=1, le=20, description="Most connections of a process to one server.")
    db_pool_timeout_s: float = Field(default=3.0, gt=0, le=30, description="Longest wait for a pooled connection.")
    db_statement_timeout_s: float = Field(default=15.0, gt=0, description="The server ends a longer statement.")
    db_through_pgbouncer: bool = Field(default=False, description="The URLs lead to PgBouncer, pooling transactions.")
    replica_lag_max_s: float = Field(
        default=10.0,
        ge=6,
        le=50,
        description="A replica further behind is not read; more than one heartbeat (5 s). What just changed is cached "
        "from the primary for about as long, so that no replica's past is kept.",
    )

    redis_cache_url: SecretStr = Field(description="The evicting instance: level 2 of the cache.")
    redis_cache_cluster: bool = Field(default=False, description="Whether that is a Redis cluster.")
    redis_state_url: SecretStr = Field(description="The instance that never evicts: presence, limits.")
    redis_timeout_s: float = Field(default=0.5, gt=0, le=5, description="Longest wait for an answer from Redis.")
    cache_l1: bool = Field(default=True, description="Keep values in the process.")
    cache_l2: bool = Field(default=True, description="Keep values in Redis.")
    cache_l1_s: int = Field(default=300, ge=1, description="Life of a value in the process.")
    cache_l1_entries: int = Field(default=10_000, ge=1, description="Most values in the process; least used go first.")
    cache_l2_s: int = Field(default=3600, ge=1, description="Life of a value in Redis, give or take a tenth.")

    amqp_url: SecretStr = Field(description="The RabbitMQ broker: amqp://user:password@host:port/vhost.")
    job_retry_delays_s: tuple[float, ...] = Field(
        default=(5, 30, 300), min_length=1, description="Waits before each new try; after the last, dead letter."
    )
    worker_concurrency: int = Field(default=1, ge=1, le=64, description="Processes of one worker.")
    mail_url: SecretStr | None = Field(
        default=None,
        description="smtp://[user:password@]host:port[?starttls=1], or file:///folder. The email worker needs it.",
    )
    mail_from: str = "Watoto LMS <no-reply@watoto.invalid>"

    media_bucket: str | None = Field(default=None, description="S3 bucket of media files.")
    s3_endpoint_url: str | None = Field(default=None, description="Only where S3 is not AWS's own.")
    upload_direct_max_bytes: int = Field(default=16 << 20, ge=1, description="Largest file streamed through the LMS.")
    upload_max_bytes: int = Field(default=1 << 30, ge=1, description="Largest file uploaded with a presigned URL.")

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    access_log: bool = Field(default=True, description="One line per request.")
    metrics_port: Port | None = Field(
        default=None, description="Where a worker or the relay serves /metrics on loopback."
    )

    web_bind: str = Field(default="127.0.0.1:8000", description="host:port or unix:path.")
    web_workers: int | None = Field(
        default=None, ge=1, le=64, description="Default: 2 per processor the container has, plus 1."
    )
    web_threads: int = Field(default=4, ge=1, le=64)
    web_timeout_s: int = Field(default=30, ge=1, description="More than the proxy's read timeout (15 s).")

    @field_validator("shard_map", mode="before")
    @classmethod
    def _shard_map_is_json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None

    @field_validator("amqp_url")
    @classmethod
    def _amqp_has_a_scheme(cls, value: SecretStr) -> SecretStr:
        return _with_scheme(value, ("amqp://", "amqps://"))

    @field_validator("redis_cache_url", "redis_state_url")
    @classmethod
    def _redis_has_a_scheme(cls, value: SecretStr) -> SecretStr:
        return _with_scheme(value, ("redis://", "rediss://", "unix://"))

    @field_validator("mail_url")
    @classmethod
    def _mail_has_a_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        return value and _with_scheme(value, ("smtp://", "smtps://", "file:///"))

    @model_validator(mode="after")
    def _one_way_to_the_databases(self) -> Settings:
        if (self.database_primary_url is None) == (self.shard_map is None):
            raise ValueError(f"give either {PREFIX}DATABASE_PRIMARY_URL or {PREFIX}SHARD_MAP, and not both")
        if self.shard_map is not None and self.database_replica_urls:
            raise ValueError(
                f"{PREFIX}DATABASE_REPLICA_URLS goes with one database; the shard map names its own replicas"
            )
        return self

    def shards(self) -> ShardMap:
        """The shard map; one database is a map with one entry."""
        if self.shard_map is not None:
            return self.shard_map
        assert self.database_primary_url is not None
        return ShardMap.single(
            DatabaseUrls(primary_url=self.database_primary_url, replica_urls=self.database_replica_urls)
        )


def _with_scheme(value: SecretStr, schemes: tuple[str, ...]) -> SecretStr:
    if not value.get_secret_value().startswith(schemes):
        raise ValueError(f"must start with {' or '.join(schemes)}")
    return value


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the environment (default: the process's own).

    Raises SettingsError, which names every variable that is missing, unknown, given twice, unreadable or wrong.
    """
    values, faults = _collect(os.environ if environ is None else environ)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(faults + [_describe(dict(fault)) for fault in error.errors(include_input=False)]) from None
    if faults:
        raise SettingsError(faults)
    return settings


def settings_or_exit() -> Settings:
    """Return the settings, or exit with a line for each fault of the environment, without a traceback."""
    try:
        return load_settings()
    except SettingsError as error:
        sys.exit("\n".join(f"error: {fault}" for fault in error.faults))


def _collect(environ: Mapping[str, str]) -> tuple[dict[str, object], list[str]]:
    values: dict[str, object] = {}
    faults: list[str] = []
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        given = variable.removeprefix(PREFIX).lower()
        field = given if given in Settings.model_fields else given.removesuffix(FILE_SUFFIX.lower())
        if field not in Settings.model_fields:
            faults.append(f"{variable} is not a setting of the LMS; is it misspelt?")
            continue
        if field in values:
            faults.append(f"{variable}: {PREFIX}{field.upper()} is given too; set one of them")
            continue
        text = environ[variable]
        if field != given:
            try:
                text = Path(text).read_text().rstrip("\n")
            except OSError as error:
                faults.append(f"{variable}: cannot read the file: {error.strerror}")
        values[field] = [part.strip() for part in text.split(",") if part.strip()] if field in LIST_FIELDS else text
    return values, faults


def _describe(fault: dict[str, Any]) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not fault["loc"]:
        return message
    field, *inner = [str(part) for part in fault["loc"]]
    variable = PREFIX + field.upper()
    if fault["type"] == "missing" and not inner:
        return f"{variable} is required (or {variable}{FILE_SUFFIX}); it has no default"
    return f"{variable}{''.join(f'[{part}]' for part in inner)}: {message[:1].lower()}{message[1:]}"
