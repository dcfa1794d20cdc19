"""Signing in through PgBouncer with what is rendered: neither it nor PostgreSQL ever gets the password."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.render.families import families
from watoto_infra.programs import find
from watoto_infra.rendering import throwaway, use_cases
from watoto_infra.rendering.endpoints import DatabaseEndpoints
from watoto_infra.rendering.inputs import Inputs, Secrets
from watoto_infra.rendering.run import Ran, run
from watoto_infra.servers.pgbouncer import config as pgbouncer
from watoto_infra.servers.pgbouncer.server import CLIENTS
from watoto_infra.servers.rabbitmq.check import answers
from watoto_infra.templating import Templates
from watoto_infra.values.addresses import Endpoint

pytestmark = pytest.mark.local

PASSWORDS = {
    "database": "owner-6sFt4Qw2",
    "postgresql-monitor": "monitor-8uGh5Er3",
    "replicator": "replicator-2xKd9Tz1",
}
OWNER = "watoto_user"
Running = AbstractContextManager["subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Pooled:
    """A primary with the rendered rules of access, and a pooler before it; both as rendered but for ports and sizes."""

    inputs: Inputs
    tree: Path

    @property
    def primary(self) -> Endpoint:
        return self.inputs.endpoints.databases[0].primary

    def ask(self, endpoint: Endpoint, user: str, database: str, statement: str, **how: str) -> Ran:
        """Run one statement over TCP; ``how`` are libpq's variables that give the password."""
        address = ["-h", endpoint.host, "-p", str(endpoint.port), "-U", user, "-d", database]
        return run([find("psql") or "psql", "-X", "-A", "-t", "-w", *address, "-c", statement], environment=how)

    def through_pooler(self, statement: str, password: str) -> Ran:
        return self.ask(self.inputs.endpoints.one(CLIENTS), OWNER, "watoto_lms", statement, PGPASSWORD=password)

    def words_of_pooler(self) -> str:
        return (self.tree / "pgbouncer/said.log").read_text(errors="replace")

    def as_superuser(self, statement: str) -> None:
        sockets = ["-h", self.inputs.places.run, "-p", str(self.primary.port)]
        done = run(
            [find("psql") or "psql", "-X", "-v", "ON_ERROR_STOP=1", *sockets, "-U", "postgres", "-c", statement],
            user=throwaway.account(),
        )
        assert done.code == 0, done.output


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """A folder that servers running as another account can enter."""
    with tempfile.TemporaryDirectory(prefix="watoto-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def pooled(stage_inputs: Callable[..., Inputs], require_binary, tree: Path) -> Iterator[Pooled]:
    for program in ("postgres", "initdb", "pgbouncer", "psql"):
        require_binary(program)
    ports = [throwaway.free_port() for _ in range(2)]
    inputs = stage_inputs("phase1")
    sockets = tree / "run"
    account = throwaway.account() or os.environ.get("USER") or "nobody"
    inputs = replace(
        inputs,
        endpoints=replace(
            inputs.endpoints,
            databases=(DatabaseEndpoints(Endpoint("127.0.0.1", ports[0], "primary")),),
            listening={
                **inputs.endpoints.listening,
                CLIENTS.kind: (Endpoint("127.0.0.1", ports[1], "pgbouncer"),),
            },
        ),
        places=replace(inputs.places, config=str(tree), run=str(sockets), os_user=account),
        secrets=Secrets(PASSWORDS),
    )
    for file in use_cases.render(families("postgresql", "pgbouncer"), inputs, Templates()):
        use_cases.place(
            tree, replace(file, text=file.text.replace("query_wait_timeout = 10", "query_wait_timeout = 1"))
        )
    sockets.mkdir()
    throwaway.hand_over(tree)
    with primary(tree, ports[0]), pooler(tree, ports[1]):
        found = Pooled(inputs, tree)
        for user, secret in ((OWNER, "database"), ("watoto_monitor", "postgresql-monitor")):
            found.as_superuser(f"CREATE ROLE {user} LOGIN PASSWORD '{pgbouncer.verifier(inputs, user, secret)}'")
        found.as_superuser(f"CREATE DATABASE watoto_lms OWNER {OWNER}")
        yield found


def primary(tree: Path, port: int) -> Running:
    """Start PostgreSQL on the rendered files; only what would take this machine's memory or archive is otherwise."""
    folder = tree / "postgresql/primary"
    data = folder / "data"
    made = run(
        [find("initdb") or "initdb", "-D", str(data), "-U", "postgres", "--no-sync", "-E", "UTF8"],
        user=throwaway.account(),
    )
    assert made.code == 0, made.output
    files = {"config_file": "postgresql.conf", "hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf"}
    settings = {name: str(folder / file) for name, file in files.items()}
    settings |= {"shared_buffers": "16MB", "huge_pages": "off", "archive_mode": "off", "fsync": "off"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [find("postgres") or "postgres", "-D", str(data), *options]
    return throwaway.server(command, folder=folder, ready=lambda: accepts(port))


def accepts(port: int) -> bool:
    return run([find("pg_isready") or "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).code == 0


def pooler(tree: Path, port: int) -> Running:
    folder = tree / "pgbouncer"
    command = [find("pgbouncer") or "pgbouncer", str(folder / "pgbouncer.ini")]
    return throwaway.server(command, folder=folder, ready=lambda: answers(port))


def test_the_app_signs_in_through_pgbouncer_with_its_password(pooled: Pooled):
    done = pooled.through_pooler("SELECT current_user", PASSWORDS["database"])
    assert (done.code, done.output) == (0, OWNER)


def test_a_wrong_password_is_refused_by_pgbouncer_and_by_postgresql(pooled: Pooled):
    for endpoint in (pooled.inputs.endpoints.one(CLIENTS), pooled.primary):
        done = pooled.ask(endpoint, OWNER, "watoto_lms", "SELECT 1", PGPASSWORD="guessed")
        assert done.code != 0
        assert "authentication failed" in done.output


def test_the_monitor_reads_pgbouncers_figures_and_the_app_does_not(pooled: Pooled):
    pooler_endpoint = pooled.inputs.endpoints.one(CLIENTS)
    mine, others = PASSWORDS["postgresql-monitor"], PASSWORDS["database"]
    assert (
        "watoto_lms"
        in pooled.ask(pooler_endpoint, "watoto_monitor", "pgbouncer", "SHOW DATABASES", PGPASSWORD=mine).output
    )
    assert pooled.ask(pooler_endpoint, OWNER, "pgbouncer", "SHOW DATABASES", PGPASSWORD=others).code != 0


def test_replication_signs_in_with_the_rendered_password_file(pooled: Pooled):
    file = pooled.tree / "postgresql/primary/pgpass"
    assert file.stat().st_mode & 0o777 == 0o600
    pooled.as_superuser(f"CREATE ROLE replicator LOGIN REPLICATION PASSWORD '{PASSWORDS['replicator']}'")
    connection = "dbname=replication replication=true"
    address = pooled.primary
    done = pooled.ask(address, "replicator", connection, "IDENTIFY_SYSTEM", PGPASSFILE=str(file))
    assert done.code == 0, done.output
    assert pooled.ask(address, "replicator", connection, "IDENTIFY_SYSTEM", PGPASSFILE="/dev/null").code != 0


def test_pgbouncer_is_let_in_only_where_postgresql_holds_the_very_same_verifier(pooled: Pooled):
    password = PASSWORDS["database"]
    mine = pgbouncer.verifier(pooled.inputs, OWNER, "database")
    assert mine is not None
    assert mine in (pooled.tree / "pgbouncer/userlist.txt").read_text()
    assert password not in (pooled.tree / "pgbouncer/userlist.txt").read_text()

    pooled.as_superuser(f"ALTER ROLE {OWNER} PASSWORD '{pgbouncer.scram(password, b'another salt....')}'")
    pooled.as_superuser(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{OWNER}'")
    assert pooled.ask(pooled.primary, OWNER, "watoto_lms", "SELECT 3", PGPASSWORD=password).output == "3"
    assert pooled.through_pooler("SELECT 3", password).code != 0
    assert "password authentication failed" in pooled.words_of_pooler()
