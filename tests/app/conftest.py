"""Real servers for the LMS's domain and database, and an app on top of them. The cache is off unless wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

from lms_app.app import create_app
from lms_app.db.engines import EngineOptions
from lms_app.db.urls import DatabaseUrls
from lms_app.domain import passwords
from lms_app.domain.identity import Identity, Role
from lms_app.domain.seeding import School, role_of, seed
from lms_app.services import EXTENSION, Services
from lms_app.settings import load_settings
from lms_app.shards.migrate import migrate
from lms_app.shards.moving import record_first
from lms_app.shards.sharding import ShardMap
from tests.app.servers.moto import MotoServer
from tests.app.servers.postgres import PostgresServers, Server

PASSWORD = "correct horse battery"
USERS, COURSES = 10_000, 200
ADMIN, TEACHER, OTHER_TEACHER, STUDENT, OTHER_STUDENT = 1, 200, 300, 5, 6
"""Users of the seeded school. TEACHER teaches course 1."""
COURSE = 1


class Cluster:
    """A primary, mostly with a replica, and apps that use them."""

    def __init__(self, servers: PostgresServers, primary: Server, replica: Server | None) -> None:
        self.servers = servers
        self.primary = primary
        self._replica = replica
        self._apps: list[Services] = []

    @property
    def replica(self) -> Server:
        assert self._replica is not None, "this cluster has none"
        return self._replica

    def environment(self, **changes: Any) -> dict[str, str]:
        return environment(self.primary, self._replica, **changes)

    def app(self, **changes: Any) -> Flask:
        """An app of its own, as another process would have it."""
        app = create_app(load_settings(self.environment(**changes)))
        app.testing = True
        self._apps.append(services_of(app))
        return app

    def close_apps(self) -> None:
        for lms in self._apps:
            lms.databases.close()
        self._apps.clear()

    def wait_for_replay(self) -> None:
        if self._replica is not None:
            self.servers.wait_for_replay(self.primary, self._replica)


def environment(primary: Server, replica: Server | None = None, **changes: Any) -> dict[str, str]:
    """The LMS's environment: these databases, no cache, no broker."""
    given = {
        "secret_key": "test-key-" + "k" * 32,
        "database_primary_url": primary.url(),
        "database_replica_urls": replica.url() if replica else "",
        "redis_cache_url": "redis://127.0.0.1:1",
        "redis_state_url": "redis://127.0.0.1:1",
        "amqp_url": "amqp://127.0.0.1:1",
        "cache_l1": False,
        "cache_l2": False,
        "cookie_secure": False,
        "access_log": False,
    } | changes
    return {f"LMS_{name.upper()}": str(value) for name, value in given.items() if value is not None}


def services_of(app: Flask) -> Services:
    services: Services = app.extensions[EXTENSION]
    return services


def one_database(primary: Server) -> ShardMap:
    return ShardMap.single(DatabaseUrls(primary_url=SecretStr(primary.url())))


def put_on_record(shard_map: ShardMap) -> None:
    """Have the catalogue of a copied template say what `flask migrate` would on new databases with this map."""
    url = shard_map.databases[shard_map.catalogue].primary_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE shard_placement")
    record_first(shard_map, EngineOptions())


def start_cluster(bin_dir: Path, template: Server, *, with_replica: bool = True) -> Cluster:
    servers = PostgresServers(bin_dir, template=template)
    try:
        primary = servers.primary()
        return Cluster(servers, primary, servers.replica(primary) if with_replica else None)
    except BaseException:
        servers.close()
        raise


@pytest.fixture(scope="session")
def postgres_bin(require_binary: Callable[[str], Path]) -> Path:
    return require_binary("initdb").resolve().parent


@pytest.fixture(scope="session")
def template(postgres_bin: Path) -> Iterator[Server]:
    """A stopped cluster with an empty schema, to be copied."""
    servers = PostgresServers(postgres_bin)
    try:
        server = servers.primary()
        migrate(one_database(server), EngineOptions())
        server.stop()
        yield server
    finally:
        servers.close()


@pytest.fixture(scope="session")
def three_servers(postgres_bin: Path, template: Server) -> Iterator[dict[str, Server]]:
    """Servers for several databases; each test fills those it takes anew."""
    started = PostgresServers(postgres_bin, template=template)
    try:
        yield {name: started.primary(name) for name in ("east", "west", "north")}
    finally:
        started.close()


@pytest.fixture(scope="session")
def school_cluster(postgres_bin: Path, template: Server) -> Iterator[Cluster]:
    """A seeded school that no test stops or empties."""
    cluster = start_cluster(postgres_bin, template)
    try:
        lms = services_of(cluster.app())
        school = School(users=USERS, courses=COURSES, password_hash=passwords.hashed(PASSWORD))
        seed(lms.databases, school)
        cluster.wait_for_replay()
        yield cluster
    finally:
        cluster.close_apps()
        cluster.servers.close()


@pytest.fixture
def cluster(postgres_bin: Path, template: Server) -> Iterator[Cluster]:
    """An empty cluster for one test, which may do anything to it."""
    cluster = start_cluster(postgres_bin, template)
    try:
        yield cluster
    finally:
        cluster.close_apps()
        cluster.servers.close()


@pytest.fixture
def lone_cluster(postgres_bin: Path, template: Server) -> Iterator[Cluster]:
    """The same without a replica."""
    cluster = start_cluster(postgres_bin, template, with_replica=False)
    try:
        yield cluster
    finally:
        cluster.close_apps()
        cluster.servers.close()


@pytest.fixture(scope="session")
def file_store() -> Iterator[MotoServer]:
    store = MotoServer("watoto-media")
    store.start()
    yield store
    store.close()


@pytest.fixture(scope="session")
def school_app(school_cluster: Cluster, file_store: MotoServer) -> Flask:
    return school_cluster.app(media_bucket=file_store.bucket, s3_endpoint_url=file_store.url)


class Caller:
    """Calls an app as one user, or as nobody."""

    def __init__(self, app: Flask, user_id: int | None, role: Role | None = None) -> None:
        self.client: FlaskClient = app.test_client()
        self.user_id = user_id
        self.headers: dict[str, str] = {}
        if user_id is not None:
            identity = Identity(user_id, role or role_of(user_id), 1)
            token, _ = services_of(app).sessions.issue(identity)
            self.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, json: Any = None, **more: Any) -> Any:
        headers = self.headers | more.pop("headers", {})
        return self.client.open(path, method=method, json=json, headers=headers, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> Any:
        return self("POST", path, json, **more)


@pytest.fixture
def call_as(school_app: Flask) -> Callable[..., Caller]:
    """Give a function from a user's id to a caller."""

    def make(user_id: int | None, role: Role | None = None) -> Caller:
        return Caller(school_app, user_id, role)

    return make


@pytest.fixture
def course(call_as: Callable[..., Caller], school_cluster: Cluster) -> int:
    """A new published course of TEACHER's with three modules."""
    teacher = call_as(TEACHER)
    made = teacher.post("/api/courses", {"title": "Chemistry", "is_published": True}).json
    for title in ("One", "Two", "Three"):
        teacher.post(f"/api/courses/{made['id']}/modules", {"title": title, "content": f"{title}…"})
    course_id: int = made["id"]
    school_cluster.wait_for_replay()
    return course_id
