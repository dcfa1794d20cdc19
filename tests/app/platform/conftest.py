"""Servers that the cache, the queue and the metrics of the LMS are tested on; each is started once a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lms_app.settings import Settings, load_settings
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
