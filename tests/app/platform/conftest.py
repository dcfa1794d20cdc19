"""Servers that the cache, the queue and the metrics of the LMS are tested on; each is started once a session."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from lms_app.caching import Caches
from lms_app.db.engines import EngineOptions
from lms_app.db.urls import DatabaseUrls
from lms_app.job_kinds import Queue
from lms_app.jobs.topology import dead_letter_queue
from lms_app.settings import Settings, load_settings
from lms_app.shards.migrate import migrate
from lms_app.shards.sharding import ShardMap
from tests.app.platform.caching import SETTLE_S
from tests.app.platform.jobs import Crew, Lms
from tests.app.servers.postgres import PostgresServers, Server
from tests.app.servers.rabbitmq import RabbitMqServer
from tests.app.servers.redis import RedisServer

RequireBinary = Callable[[str], Path]
MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="session")
def _redis(require_binary: RequireBinary) -> Iterator[RedisServer]:
    server = RedisServer(require_binary("redis-server"))
    server.start()
    yield server
    server.close()


@pytest.fixture
def redis_server(_redis: RedisServer) -> RedisServer:
    """An empty Redis; a test that killed it gets it back for the next."""
    if _redis.process is None:
        _redis.start()
    _redis.thaw()
    _redis.client().flushall()
    _redis.client().config_resetstat()
    return _redis


@pytest.fixture(scope="session")
def broker(require_binary: RequireBinary) -> Iterator[RabbitMqServer]:
    server = RabbitMqServer(Path("/usr/lib/rabbitmq/bin/rabbitmq-server"), require_binary("epmd"))
    require_binary("rabbitmq-server")
    try:
        server.start()
        yield server
    finally:
        server.close()


def environment(**values: Any) -> dict[str, str]:
    """The LMS's environment with servers that are not there, and the values given."""
    given = {
        "secret_key": "k" * 32,
        "database_primary_url": "postgresql://nowhere.invalid/watoto_lms",
        "redis_cache_url": "redis://127.0.0.1:1",
        "redis_state_url": "redis://127.0.0.1:1",
        "amqp_url": "amqp://127.0.0.1:1",
    } | values
    return {f"LMS_{name.upper()}": str(value) for name, value in given.items()}


@pytest.fixture
def make_settings(redis_server: RedisServer) -> MakeSettings:
    def make(**values: Any) -> Settings:
        urls = {"redis_cache_url": redis_server.url, "redis_state_url": redis_server.url}
        return load_settings(environment(**(urls | values)))

    return make


@pytest.fixture
def make_caches(make_settings: MakeSettings) -> Callable[..., Caches]:
    """Each call stands for another process."""
    return lambda **values: Caches(make_settings(**values), settle_s=SETTLE_S)


@pytest.fixture(scope="session")
def _postgres(require_binary: RequireBinary) -> Iterator[Server]:
    servers = PostgresServers(require_binary("initdb").parent)
    try:
        yield servers.primary()
    finally:
        servers.close()


@pytest.fixture(scope="session")
def _schema(_postgres: Server) -> Server:
    migrate(ShardMap.single(DatabaseUrls(primary_url=SecretStr(_postgres.url()))), EngineOptions())
    return _postgres


@pytest.fixture
def database_server(_schema: Server) -> Server:
    """A migrated database with one student (7) and one course (3), and nothing else."""
    tables = _schema.query("SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = 'public'")
    kept = {"alembic_version", "shard_placement"}
    names = [name for name in tables[0][0].split(", ") if name not in kept]
    _schema.query(f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE")
    _schema.query("INSERT INTO accounts (user_id, email) OVERRIDING SYSTEM VALUE VALUES (7, 'amina@school.example')")
    _schema.query(
        "INSERT INTO users (id, email, name, role, password_hash)"
        " VALUES (7, 'amina@school.example', 'Amina', 'student', 'x')"
    )
    _schema.query(
        "INSERT INTO courses (id, title, teacher_id, is_published) OVERRIDING SYSTEM VALUE"
        " VALUES (3, 'Algebra', 1, true)"
    )
    return _schema


@pytest.fixture(scope="module")
def lms_environment(
    _redis: RedisServer, broker: RabbitMqServer, _schema: Server, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of an LMS whose servers are all there, with short delays and mail to files."""
    return environment(
        redis_cache_url=_redis.url,
        redis_state_url=_redis.url,
        amqp_url=broker.url,
        database_primary_url=_schema.url(),
        job_retry_delays_s="0.3,0.3",
        mail_url=f"file://{tmp_path_factory.mktemp('sent') / 'mail'}",
    ) | {"PYTHONPATH": "src", "PATH": os.environ["PATH"], "FLASK_APP": "lms_app.app"}


@pytest.fixture
def lms(
    lms_environment: dict[str, str],
    redis_server: RedisServer,
    database_server: Server,
    broker: RabbitMqServer,
    tmp_path: Path,
) -> Iterator[Lms]:
    """An LMS that has nothing to do yet."""
    if not broker.processes:
        broker.start()
    broker.purge(*(name for queue in Queue for name in (queue.value, dead_letter_queue(queue))), "retry.0.3s")
    mail = Path(lms_environment["LMS_MAIL_URL"].removeprefix("file://"))
    shutil.rmtree(mail, ignore_errors=True)
    lms = Lms(dict(lms_environment), database_server, broker, tmp_path, mail)
    yield lms
    lms.database.dispose()


@pytest.fixture(scope="module")
def crew(lms_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """The LMS's background processes, which a module's tests share."""
    crew = Crew(lms_environment, tmp_path_factory.mktemp("crew"))
    yield crew
    crew.close()
