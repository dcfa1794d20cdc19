"""Redis as a stack runs it: real servers that replicate, keep state, and refuse whom they do not know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.local import processes
from tests.local.topologies import ONE_SHARD, LocalStack, local_stack
from watoto_infra.servers.redis import process as servers

pytestmark = pytest.mark.local

ALL = ("redis-cache", "redis-cache-replica", "redis-state", "redis-state-replica")


@pytest.fixture(scope="module")
def shared(require_binary) -> Iterator[LocalStack]:
    require_binary("redis-server")
    with local_stack([servers], ["redis"]) as stack:
        yield stack


@pytest.fixture
def stack(shared: LocalStack) -> LocalStack:
    shared.declare()
    return shared


def client(stack: LocalStack, name: str, user: str = "app", secret: str | None = None) -> redis.Redis:
    address = stack.address(name)
    password = stack.topology.secret(secret or name.removesuffix("-replica"))
    return redis.Redis(address.host, address.port, username=user, password=password, decode_responses=True)


def test_a_replica_gets_what_its_primary_is_told_and_takes_no_writes(stack):
    for name in ("redis-cache", "redis-state"):
        client(stack, name).set("lesson", "one")
        replica = client(stack, f"{name}-replica")
        stack.wait(lambda replica=replica: replica.get("lesson") == "one", "the replica does not get it")
        with pytest.raises(redis.exceptions.ReadOnlyError):
            replica.set("lesson", "two")


def test_a_replica_that_missed_a_moment_of_writes_is_sent_those_and_not_everything(stack):
    app = client(stack, "redis-state")
    replication = app.info("replication")
    known, seen = replication["master_replid"], replication["master_repl_offset"]
    for number in range(300):
        app.set(f"missed:{number}", "a" * 10_000)
    as_replica = client(stack, "redis-state", "replica", "redis-state-replica")
    as_replica.response_callbacks.clear()
    connection = as_replica.connection_pool.get_connection()
    try:
        connection.send_command("PSYNC", known, seen + 1)
        assert connection.read_response().startswith("CONTINUE")
    finally:
        connection.disconnect()
    app.unlink(*(f"missed:{number}" for number in range(300)))


def test_bringing_up_what_is_up_changes_nothing(stack):
    before = [stack.pid(name) for name in ALL]
    assert not stack.declare().changed
    assert [stack.pid(name) for name in ALL] == before


def test_state_survives_a_kill_and_a_stop(stack):
    client(stack, "redis-state").set("session", "kept")
    stack.kill("redis-state")
    stack.wait_healthy("redis-state", "redis-state-replica")
    assert client(stack, "redis-state").get("session") == "kept"
    stack.supervisor.shutdown()
    stack.declare()
    assert client(stack, "redis-state").get("session") == "kept"


def test_a_server_without_its_primary_or_with_another_password_is_not_healthy(stack):
    replica = stack.services["redis-cache-replica"]
    assert replica.healthy()
    stack.supervisor.stop("redis-cache")
    stack.wait(lambda: not replica.healthy(), "the replica does not notice")
    stack.declare()
    stack.wait_healthy("redis-cache-replica")

    service = stack.services["redis-cache"]
    stack.topology.inputs.secrets.values["redis-cache-monitor"] = "wrong"
    assert not service.healthy()


def test_nobody_signs_in_without_a_password_and_the_app_cannot_empty_or_configure_a_server(stack):
    address = stack.address("redis-state")
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(address.host, address.port, retry=Retry(NoBackoff(), 0)).ping()
    app = client(stack, "redis-state")
    for command in ("FLUSHALL", "CONFIG GET dir", "KEYS *", "SHUTDOWN"):
        with pytest.raises(redis.exceptions.NoPermissionError):
            app.execute_command(*command.split())


def test_a_changed_password_is_taken_over_with_what_a_server_keeps(stack):
    client(stack, "redis-state").set("session", "kept")
    done = stack.declare(known={"redis-state": "changed-password"})
    assert done.restarted == ["redis-state", "redis-state-replica"]
    assert client(stack, "redis-state").get("session") == "kept"


def test_passwords_and_sockets_are_nobody_elses(stack):
    pids = processes.of_stack(stack.home.root)
    secrets = stack.topology.inputs.secrets.values.values()
    assert {port for _, port in processes.listening(pids)} == {stack.address(name).port for name in stack.services}
    assert processes.listens_beyond_loopback(pids) == set()
    assert processes.seen_by_others(pids, secrets) == []
    assert processes.readable_by_others(stack.home.root, secrets) == []
    assert processes.files_with(stack.home.logs, secrets) == []


def test_a_cluster_is_stood_for_by_one_node_that_has_every_slot(stack):
    stack.declare("phase3", ONE_SHARD)
    assert "redis-cache-replica" not in stack.supervisor.states()
    address = stack.address("redis-cache")
    cluster = redis.cluster.RedisCluster(
        address.host, address.port, username="app", password=stack.topology.secret("redis-cache")
    )
    with cluster:
        for number in range(200):
            cluster.set(f"course:{number}", number)
        assert cluster.get("course:199") == b"199"
    pids = processes.of_stack(stack.home.root)
    assert processes.listens_beyond_loopback(pids) == set()
    assert "all slots" in stack.services["redis-cache"].stands_for


def test_after_shutdown_no_process_is_left(shared):
    shared.supervisor.shutdown()
    assert processes.of_stack(shared.home.root) == set()
