"""The schema: what the migrations make is what the code believes, from any start, whoever runs them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from lms_app.db.engines import EngineOptions, make_engine
from lms_app.db.schema import MIGRATIONS
from lms_app.db.tables import metadata
from lms_app.shards.migrate import migrate
from tests.app.conftest import one_database, services_of
from tests.app.servers.postgres import PostgresServers

pytestmark = pytest.mark.local
GUIDE_INDEXES = {
    "idx_enrollments_user_progress": "(user_id, progress_percentage DESC)",
    "idx_course_modules_course_sequence": "(course_id, sequence_order)",
    "idx_active_users": "(created_at) WHERE is_active",
    "idx_user_courses_covering": "(user_id, course_id, progress_percentage, status)",
}


@pytest.mark.filterwarnings("ignore:Did not recognize type 'pg_lsn'")
def test_the_migrations_make_exactly_the_tables_that_the_code_names(school_cluster):
    engine = services_of(school_cluster.app()).databases.catalogue.primary
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_guides_four_indexes_are_there_under_their_names_and_valid(school_cluster):
    sql = (
        "SELECT i.indexname, i.indexdef, x.indisvalid FROM pg_indexes i"
        " JOIN pg_index x ON x.indexrelid = i.indexname::regclass WHERE i.indexname LIKE 'idx%'"
    )
    found = {name: (definition, valid) for name, definition, valid in school_cluster.primary.query(sql)}
    assert set(found) == set(GUIDE_INDEXES)
    for name, (definition, valid) in found.items():
        assert definition.endswith(GUIDE_INDEXES[name])
        assert valid


@pytest.fixture
def empty_server(postgres_bin):
    servers = PostgresServers(postgres_bin)
    try:
        yield servers.primary(extension=False)
    finally:
        servers.close()


def test_several_migrations_at_once_do_the_work_once_and_all_succeed(empty_server):
    errors: list[Exception] = []

    def run() -> None:
        try:
            migrate(one_database(empty_server), EngineOptions())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert empty_server.query("SELECT count(*) FROM alembic_version") == [(1,)]


def test_an_index_left_invalid_by_an_interrupted_migration_is_built_anew(empty_server):
    shards = one_database(empty_server)
    migrate(shards, EngineOptions())
    empty_server.query("DROP TABLE shard_placement")  # a later revision's
    empty_server.query("UPDATE alembic_version SET version_num = '0001'")
    empty_server.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_active_users'::regclass")
    migrate(shards, replace(EngineOptions(), pool_timeout=5))
    sql = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_active_users'::regclass"
    assert empty_server.query(sql) == [(True,)]


def test_an_index_is_built_however_long_an_older_transaction_reads(empty_server):
    shards, options = one_database(empty_server), EngineOptions(lock_timeout_ms=500)
    migrate(shards, options)
    empty_server.query("DROP TABLE shard_placement")  # a later revision's
    empty_server.query("UPDATE alembic_version SET version_num = '0001'")
    with psycopg.connect(empty_server.url()) as older, ThreadPoolExecutor(1) as pool:
        older.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT count(*) FROM users")
        migrated = pool.submit(migrate, shards, options)
        time.sleep(2)
        assert not migrated.done()
        older.commit()
        migrated.result(timeout=30)
    assert empty_server.query("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def test_without_the_right_to_create_pg_stat_statements_the_schema_is_made_and_the_log_says_what_to_do(
    empty_server, caplog
):
    migrate(one_database(empty_server), EngineOptions())
    assert "let a superuser run CREATE EXTENSION pg_stat_statements" in caplog.text
    assert empty_server.query("SELECT version_num FROM alembic_version") == [("0004",)]


def test_the_schema_can_be_taken_back_and_made_again(empty_server):
    migrate(one_database(empty_server), EngineOptions())
    engine = make_engine(empty_server.url(), EngineOptions(), read_write=True)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    engine.dispose()
    left = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert empty_server.query(left) == [("alembic_version",)]
    migrate(one_database(empty_server), EngineOptions())
    assert len(empty_server.query(left)) == len(metadata.tables) + 1
