"""PostgreSQL as a stack runs it: real clusters that stream, archive, heal, and follow what is declared."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.local import processes
from tests.local.topologies import SMALL_DATABASE, LocalStack, local_stack, temporary_home, topology_of
from watoto_infra.derived.machines import Machine
from watoto_infra.errors import ServiceFailed
from watoto_infra.programs import program
from watoto_infra.servers.postgresql import archive
from watoto_infra.servers.postgresql import data_folders as postgresql_folders
from watoto_infra.servers.postgresql import process as postgresql
from watoto_infra.servers.postgresql.psql import Psql
from watoto_infra.supervision.commands import run_as
from watoto_infra.supervision.service import Service

pytestmark = pytest.mark.local

PRIMARY, REPLICAS = "postgresql-primary", ("postgresql-replica1", "postgresql-replica2")
ALL = (PRIMARY, *REPLICAS)


@pytest.fixture(scope="module")
def shared(require_binary) -> Iterator[LocalStack]:
    for name in ("postgres", "pgbackrest"):
        require_binary(name)
    with local_stack([postgresql], ["prometheus", "postgresql", "backup"]) as stack:
        yield stack


@pytest.fixture
def stack(shared: LocalStack) -> LocalStack:
    """Phase2: a primary and two replicas, as every test finds them."""
    shared.declare()
    return shared


def server(stack: LocalStack, name: str) -> Psql:
    address = stack.address(name)
    return Psql(stack.topology.user, stack.topology.sockets, address.port)


@contextmanager
def signed_in(stack: LocalStack, user: str, password: str, name: str = PRIMARY, **keywords: Any) -> Iterator[Any]:
    address = stack.address(name)
    where = {"host": address.host, "port": address.port, "dbname": "watoto_lms", **keywords}
    with psycopg.connect(user=user, password=password, autocommit=True, **where) as connection:
        yield connection


def write(stack: LocalStack, text: str) -> None:
    with signed_in(stack, "watoto_user", stack.topology.secret("database")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (text text)")
        connection.execute("INSERT INTO notes VALUES (%s)", [text])


def notes(stack: LocalStack, name: str) -> set[str]:
    with signed_in(stack, "watoto_user", stack.topology.secret("database"), name) as connection:
        there = connection.execute("SELECT to_regclass('notes')").fetchone()[0]
        return {row[0] for row in connection.execute("SELECT text FROM notes")} if there else set()


def wait_for(stack: LocalStack, text: str, *names: str) -> None:
    for name in names:
        stack.wait(lambda name=name: text in notes(stack, name), f"{name} does not get {text!r}", seconds=20)  # type: ignore[misc]


def test_replicas_stream_what_the_primary_commits(stack):
    write(stack, "streamed")
    wait_for(stack, "streamed", *REPLICAS)
    states = server(stack, PRIMARY).rows("SELECT application_name, state FROM pg_stat_replication ORDER BY 1")
    assert states == [["replica1", "streaming"], ["replica2", "streaming"]]


def test_bringing_up_what_is_up_changes_nothing(stack):
    before = [stack.pid(name) for name in ALL]
    assert not stack.declare().changed
    assert [stack.pid(name) for name in ALL] == before


def test_each_role_signs_in_with_its_password_and_has_no_more_rights_than_its_work_needs(stack):
    secrets = stack.topology.secret
    with signed_in(stack, "watoto_user", secrets("database")) as owner:
        owned = owner.execute("SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = current_user")
        assert owned.fetchall() == [("watoto_lms",)]
        assert owner.execute("SELECT count(*) > 0 FROM pg_stat_statements").fetchone()[0]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("CREATE ROLE intruder")
    with signed_in(stack, "watoto_monitor", secrets("postgresql-monitor"), dbname="postgres") as monitor:
        assert monitor.execute("SELECT pg_has_role('pg_monitor', 'member')").fetchone()[0]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            monitor.execute("SELECT rolpassword FROM pg_authid")
    with (
        pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"),
        signed_in(stack, "replicator", secrets("replicator")),
    ):
        pass
    with (
        pytest.raises(psycopg.OperationalError, match="password authentication failed"),
        signed_in(stack, "watoto_user", "wrong"),
    ):
        pass


def test_a_changed_password_takes_the_place_of_the_old_one_without_a_restart(stack):
    before = stack.pid(PRIMARY)
    old = stack.topology.secret("database")
    stack.declare(known={"database": "changed-password"})
    with signed_in(stack, "watoto_user", "changed-password"):
        pass
    with (
        pytest.raises(psycopg.OperationalError, match="password authentication failed"),
        signed_in(stack, "watoto_user", old),
    ):
        pass
    assert stack.pid(PRIMARY) == before


def test_no_password_is_in_arguments_environments_logs_statistics_or_files_that_others_can_read(stack):
    stack.declare(known={"database": "another-password"})
    values = stack.topology.inputs.secrets.values
    known = [
        *values.values(),
        *(row[0] for row in server(stack, PRIMARY).rows("SELECT rolpassword FROM pg_authid") if row[0]),
    ]
    pids = processes.of_stack(stack.home.root)
    assert len(pids) > 10
    assert processes.seen_by_others(pids, known) == []
    assert processes.readable_by_others(stack.home.root, known) == []
    assert processes.files_with(stack.home.logs, known) == []
    kept = server(stack, PRIMARY).value("SELECT string_agg(query, ' ') FROM pg_stat_statements", database="watoto_lms")
    assert not any(secret in kept for secret in known)


def test_every_socket_is_on_loopback_or_in_a_folder_of_ours(stack):
    pids = processes.of_stack(stack.home.root)
    ports = {stack.address(name).port for name in stack.services}
    assert {port for _, port in processes.listening(pids)} == ports
    assert processes.listens_beyond_loopback(pids) == set()
    assert stack.home.sockets.stat().st_mode & 0o077 == 0


def test_wal_is_archived_and_does_not_pile_up(stack):
    primary = server(stack, PRIMARY)
    write(stack, "archived")
    before = int(primary.value("SELECT archived_count FROM pg_stat_archiver"))
    primary.value("SELECT pg_switch_wal()")
    stack.wait(
        lambda: int(primary.value("SELECT archived_count FROM pg_stat_archiver")) > before, "nothing is archived"
    )
    assert primary.value("SELECT failed_count FROM pg_stat_archiver") == "0"
    assert stack.topology.folder("backups", "pgbackrest").stat().st_mode & 0o077 == 0
    waiting = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
    stack.wait(lambda: primary.value(waiting) == "0", "segments wait to be archived")


@pytest.fixture
def short_archive_timeout(stack: LocalStack) -> Iterator[int]:
    """Seconds after which the primary closes a segment: a few, so that a test need not wait for the rendered 30."""
    server(stack, PRIMARY).rows("ALTER SYSTEM SET archive_timeout = '3s'")
    yield 3
    server(stack, PRIMARY).rows("ALTER SYSTEM RESET archive_timeout; SELECT pg_reload_conf()")


@pytest.mark.parametrize("how", ["stopped", "killed", "crashed"])
def test_from_the_first_second_after_a_start_a_segment_is_closed_and_archived_after_archive_timeout(
    stack, short_archive_timeout, how
):
    """The bound is far below checkpoint_timeout, for which an idle checkpointer sleeps."""
    primary = server(stack, PRIMARY)
    write(stack, f"before it was {how}")
    began = float(primary.value("SELECT extract(epoch FROM pg_postmaster_start_time())"))
    if how == "stopped":
        stack.supervisor.stop(PRIMARY)
        stack.supervisor.go_on(PRIMARY)
    elif how == "killed":
        stack.kill(PRIMARY)
    else:
        backend = primary.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
        os.kill(int(backend), signal.SIGKILL)
    started = f"extract(epoch FROM pg_postmaster_start_time()) > {began}"
    stack.wait(lambda: primary.holds(started), "it was not started again", seconds=30)

    write(stack, f"after it was {how}")
    position = primary.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    closed = f"EXISTS (SELECT FROM pg_stat_archiver WHERE right(last_archived_wal, 16) >= right('{position}', 16))"
    stack.wait(lambda: primary.holds(closed), "the segment is not archived", seconds=short_archive_timeout + 10)


def test_an_index_built_beside_an_older_transaction_waits_for_it_and_is_valid(stack):
    owner = ("watoto_user", stack.topology.secret("database"))
    write(stack, "indexed")
    with signed_in(stack, *owner) as older, signed_in(stack, *owner) as builder, ThreadPoolExecutor(1) as pool:
        older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT count(*) FROM notes")
        built = pool.submit(builder.execute, "CREATE INDEX CONCURRENTLY notes_text ON notes (text)")
        time.sleep(6)
        assert not built.done()
        older.execute("COMMIT")
        built.result(timeout=20)
        valid = builder.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'notes_text'::regclass")
        assert valid.fetchall() == [(True,)]
        builder.execute("DROP INDEX notes_text")


def test_a_killed_primary_and_a_killed_replica_come_back_with_every_committed_row(stack):
    write(stack, "before the crash")
    stack.kill(REPLICAS[0])
    stack.kill(PRIMARY)
    stack.wait_healthy(*ALL)
    write(stack, "after the crash")
    wait_for(stack, "after the crash", *ALL)
    assert "before the crash" in notes(stack, PRIMARY)


def test_a_replica_leaves_no_slot_and_no_folder_and_one_added_later_has_every_row(stack):
    one = {"database": {"replicas": 1}}
    assert stack.declare(overrides=one).stopped == ["postgres-exporter-replica2", REPLICAS[1]]
    assert server(stack, PRIMARY).rows("SELECT slot_name FROM pg_replication_slots") == [["replica1"]]
    stack.declare(overrides=one)
    assert not (stack.topology.data / "postgresql" / "replica2").exists()
    write(stack, "written meanwhile")
    assert sorted(stack.declare().started) == ["postgres-exporter-replica2", REPLICAS[1]]
    wait_for(stack, "written meanwhile", REPLICAS[1])


def test_after_a_replica_has_become_the_primary_the_others_follow_it_and_no_row_is_lost(stack):
    write(stack, "before the change")
    wait_for(stack, "before the change", *REPLICAS)
    stack.supervisor.shutdown()
    folders = stack.topology.data / "postgresql"
    swap = folders / "swap"
    for source, target in (("primary", swap), ("replica1", folders / "primary"), (swap, folders / "replica1")):
        (folders / source).rename(target)

    stack.declare()
    write(stack, "after the change")
    wait_for(stack, "after the change", *ALL)
    assert "before the change" in notes(stack, PRIMARY)
    assert server(stack, PRIMARY).value("SELECT timeline_id > 1 FROM pg_control_checkpoint()") == "t"


@pytest.mark.long
def test_a_replica_that_was_promoted_is_not_overwritten_with_its_primarys_data(stack):
    replica = server(stack, REPLICAS[1])
    replica.value("SELECT pg_promote(true, 30)")
    replica.rows("CREATE TABLE written_after_the_promotion ()", database="watoto_lms")
    stack.supervisor.stop(REPLICAS[1])
    with pytest.raises(ServiceFailed, match="was promoted: it is on timeline") as caught:
        stack.declare()
    data = stack.topology.data / "postgresql" / "replica2"
    assert f"remove {data}" in (caught.value.hint or "")
    assert postgresql_folders.exists(data)
    shutil.rmtree(data)
    stack.declare()
    stack.wait_healthy(*ALL)


def test_an_empty_database_never_takes_the_place_of_a_lost_one():
    with temporary_home() as home:
        topology = topology_of(home)
        known = archive.marker(topology, topology.endpoints.databases[0].primary)
        known.write_text("7000000000000000000")
        primary = postgresql.units(topology)[0]
        assert isinstance(primary, Service)
        assert primary.prepare is not None
        with pytest.raises(ServiceFailed, match="is gone, but its archive is in") as caught:
            primary.prepare()
        assert "restore it" in (caught.value.hint or "")
        assert not (topology.data / "postgresql" / "primary").exists()


def test_what_a_killed_run_left_of_a_data_folder_is_not_taken_for_one(require_binary):
    require_binary("initdb")
    with temporary_home() as home:
        topology = topology_of(home)
        data = topology.folder("postgresql") / "primary"
        half = topology.folder("postgresql", ".primary.new")
        (half / "PG_VERSION").write_text("15\n")
        assert not postgresql_folders.exists(data)
        postgresql_folders.make_primary(topology.user, data)
        assert postgresql_folders.exists(data)
        assert not half.exists()
        said = run_as(topology.user, [program("pg_controldata"), str(data)], seconds=10)
        assert re.search(r"Data page checksum version: +1\n", said)


def test_a_changed_parameter_reloads_and_only_one_that_needs_it_restarts(stack):
    before = {name: stack.pid(name) for name in ALL}
    done = stack.declare(overrides={"database": {"log_min_duration_ms": 777}})
    assert sorted(done.reloaded) == sorted(ALL)
    assert {name: stack.pid(name) for name in ALL} == before
    assert server(stack, REPLICAS[1]).value("SHOW log_min_duration_statement") == "777ms"

    larger = Machine(SMALL_DATABASE.cores, SMALL_DATABASE.memory_mib * 2)
    done = stack.declare(overrides={"database": {"log_min_duration_ms": 777}}, database_machine=larger)
    assert sorted(done.restarted) == sorted(ALL)
    assert server(stack, PRIMARY).value("SHOW shared_buffers") == f"{larger.memory_mib // 4}MB"


def test_after_shutdown_no_process_and_no_socket_is_left(shared):
    shared.supervisor.shutdown()
    assert processes.of_stack(shared.home.root) == set()
    assert list(shared.home.sockets.glob(".s.PGSQL*")) == []
