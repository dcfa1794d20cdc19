"""PgBouncer as a stack runs it, before a real primary and a real shard."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from tests.local import processes
from tests.local.topologies import LocalStack, local_stack
from watoto_infra.servers.lms.connections import connections
from watoto_infra.servers.pgbouncer import process as pgbouncer
from watoto_infra.servers.postgresql import process as postgresql

pytestmark = pytest.mark.local

POOLED = {"database": {"pgbouncer": True, "shards": 1, "shard_replicas": 0, "replicas": 0}}


@pytest.fixture(scope="module")
def stack(require_binary) -> Iterator[LocalStack]:
    for name in ("postgres", "pgbackrest", "pgbouncer"):
        require_binary(name)
    with local_stack([postgresql, pgbouncer], ["prometheus", "postgresql", "backup", "pgbouncer"]) as stack:
        stack.declare("phase3", POOLED)
        yield stack


def asked(stack: LocalStack, database: str, secret: str, question: str, user: str = "watoto_user") -> str:
    address = stack.address("pgbouncer")
    password = stack.topology.secret(secret)
    with psycopg.connect(
        host=address.host, port=address.port, user=user, password=password, dbname=database, autocommit=True
    ) as connection:
        return str(connection.execute(question).fetchall()[0][0])


def test_the_app_reaches_each_database_with_its_own_password(stack):
    port = "SELECT current_setting('port')"
    primary, shard = (stack.address(f"postgresql-{name}").port for name in ("primary", "shard1-primary"))
    assert asked(stack, "watoto_lms", "database", port) == str(primary)
    assert asked(stack, "watoto_lms_shard1", "database-shard1", port, "watoto_user_shard1") == str(shard)
    assert asked(stack, "watoto_lms", "database", port) == str(primary)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        asked(stack, "watoto_lms_shard1", "database", port, "watoto_user_shard1")


def test_the_role_carries_the_timeout_that_a_pooled_connection_cannot_ask_for(stack):
    assert asked(stack, "watoto_lms", "database", "SHOW lock_timeout") == "5s"
    assert asked(stack, "watoto_lms", "database", "SHOW statement_timeout") == "14s"
    assert asked(stack, "watoto_lms_shard1", "database-shard1", "SHOW statement_timeout", "watoto_user_shard1") == "14s"


def test_a_changed_password_is_reread_without_a_restart(stack):
    before = stack.pid("pgbouncer")
    done = stack.declare("phase3", POOLED, known={"database": "changed-password"})
    assert done.reloaded == ["pgbouncer"]
    assert asked(stack, "watoto_lms", "database", "SELECT current_user") == "watoto_user"
    assert stack.pid("pgbouncer") == before


def test_passwords_and_sockets_are_nobody_elses(stack):
    pids = processes.of_stack(stack.home.root)
    secrets = stack.topology.inputs.secrets.values.values()
    assert processes.listens_beyond_loopback(pids) == set()
    assert processes.seen_by_others(pids, secrets) == []
    assert processes.readable_by_others(stack.home.root, secrets) == []
    assert processes.files_with(stack.home.logs, secrets) == []


def test_without_the_setting_none_runs(stack):
    done = stack.declare("phase3", {"database": {**POOLED["database"], "pgbouncer": False}})
    assert done.stopped == ["pgbouncer"]
    where = stack.address("postgresql-primary")
    with psycopg.connect(
        host=where.host,
        port=where.port,
        user="watoto_user",
        password=stack.topology.secret("database"),
        dbname="watoto_lms",
    ) as connection:
        assert connection.execute("SHOW statement_timeout").fetchall() == [("0",)]
        assert connection.execute("SHOW lock_timeout").fetchall() == [("0",)]


def test_the_lms_is_told_addresses_by_which_it_comes_through_the_pool(stack):
    stack.declare("phase3", POOLED)
    shard_map = json.loads(connections(stack.topology)["SHARD_MAP"].read_text())
    for found, server in zip(shard_map["databases"].values(), ("primary", "shard1-primary"), strict=True):
        with psycopg.connect(found["primary_url"], autocommit=True, prepare_threshold=None) as connection:
            port = connection.execute("SELECT current_setting('port')").fetchall()[0][0]
        assert port == str(stack.address(f"postgresql-{server}").port)
        assert f":{port}/" not in found["primary_url"]
