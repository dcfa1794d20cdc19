"""The LMS with its servers for a measurement: PostgreSQL primary and replica, Redis, gunicorn, nginx, on loopback."""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import PYTHON
from tests.app.servers.moto import CREDENTIALS
from tests.app.servers.postgres import PostgresServers, Server
from tests.app.servers.rabbitmq import free_port
from tests.app.servers.redis import RedisServer

USERS, COURSES = 10_000, 200
WORKERS = 3
BUCKET = "watoto-media"
_S3_SIGNED = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
"""The emulator reads which service is meant from it and checks no signature."""
POSTGRES = Path("/usr/lib/postgresql/15/bin")

NGINX = """
worker_processes 1;
worker_rlimit_nofile 65535;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 24000; }}
http {{
    access_log off;
    sendfile on; tcp_nopush on;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    proxy_cache_path {folder}/cache keys_zone=micro:1m max_size=64m use_temp_path=off;
    upstream backend_servers {{ least_conn; server 127.0.0.1:{app}; keepalive 64; keepalive_timeout 30s; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        keepalive_requests 1000000;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        location = /static {{ return 200 "0123456789\\n"; }}
        location /files/ {{ root {folder}; }}
        location / {{ proxy_pass http://backend_servers; }}
    }}
    server {{
        listen 127.0.0.1:{cached} backlog=4096;
        keepalive_requests 1000000;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / {{
            proxy_pass http://backend_servers;
            proxy_cache micro; proxy_cache_lock on; proxy_cache_use_stale updating; proxy_cache_background_update on;
        }}
    }}
}}
"""
"""The least that stands for the gateway; the stage's own configuration is measured with the whole stack."""


@dataclass(frozen=True)
class LmsServers:
    """Where the running LMS is reached, and its seeded users' sessions."""

    app: str
    nginx: str
    cached: str
    sessions: list[str]
    administrator: str
    database: Server
    replicas: tuple[Server, ...]
    folder: Path
    """nginx serves what lies in its folder `files`."""
    web_pid: int
    environment: dict[str, str]

    def count(self, table: str) -> int:
        """Rows of a table on the primary."""
        return int(self.database.query(f"SELECT count(*) FROM {table}")[0][0])


@contextmanager
def running(**settings: object) -> Iterator[LmsServers]:
    """Start everything, seed it, and end it all afterwards. `settings` are LMS settings, by their field names."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lmsbench")))
        folder.chmod(0o755)
        servers = PostgresServers(POSTGRES, durable=True)
        stack.callback(servers.close)
        primary = servers.primary()
        replica = servers.replica(primary)
        redis = RedisServer(Path("/usr/bin/redis-server"))
        stack.callback(redis.close)
        redis.start()
        store = _object_store(stack, folder)
        app, port, cached = free_port(), free_port(), free_port()
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "src", "FLASK_APP": "lms_app.app"}
        environment |= CREDENTIALS | {"PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}
        given = {
            "secret_key": secrets.token_hex(32),
            "database_primary_url": primary.url(),
            "database_replica_urls": replica.url(),
            "redis_cache_url": redis.url,
            "redis_state_url": redis.url,
            "amqp_url": "amqp://127.0.0.1:1",
            "web_bind": f"127.0.0.1:{app}",
            "web_workers": WORKERS,
            "media_bucket": BUCKET,
            "s3_endpoint_url": store,
        } | settings
        environment |= {f"LMS_{name.upper()}": str(value) for name, value in given.items()}

        def flask(*arguments: str) -> str:
            command = [PYTHON, "-m", "flask", *arguments]
            return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

        flask("migrate")
        flask("seed", "--users", str(USERS), "--courses", str(COURSES), "--courses-per-user", "0")
        primary.query("ANALYZE")
        servers.wait_for_replay(primary, replica)
        sessions = flask("issue-sessions", "--first", "2", "--count", str(USERS - 2)).split()
        web = [PYTHON, "-m", "gunicorn", "-c", "src/lms_app/serving/gunicorn.conf.py"]
        process = _start(stack, web, environment, folder / "web.log")
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, app=app, port=port, cached=cached))
        _start(stack, ["nginx", "-c", str(config), "-p", str(folder), "-g", "daemon off;"], {}, folder / "nginx.out")
        _wait(f"http://127.0.0.1:{port}/healthz")
        yield LmsServers(
            app=f"127.0.0.1:{app}",
            nginx=f"127.0.0.1:{port}",
            cached=f"127.0.0.1:{cached}",
            sessions=sessions,
            administrator=flask("issue-sessions", "--first", "1", "--count", "1").strip(),
            database=primary,
            replicas=(replica,),
            folder=folder,
            web_pid=process.pid,
            environment=environment,
        )


def _object_store(stack: ExitStack, folder: Path) -> str:
    """Start the S3 of a local stack, with one bucket; returns where it is."""
    objects, port = folder / "objects", free_port()
    objects.mkdir()
    command = [PYTHON, "-m", "watoto_infra.local.emulator", "--objects", str(objects)]
    _start(stack, [*command, "-H", "127.0.0.1", "-p", str(port)], {"PYTHONPATH": "."}, folder / "s3.log")
    url = f"http://127.0.0.1:{port}"
    _wait(f"{url}/moto-api/")
    request = urllib.request.Request(f"{url}/{BUCKET}", method="PUT", headers={"Authorization": _S3_SIGNED})
    urllib.request.urlopen(request, timeout=10).close()
    return url


def _start(stack: ExitStack, command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment | {"PATH": os.environ["PATH"]}, stdout=out, stderr=out)

    def stop() -> None:
        process.terminate()
        process.wait(40)

    stack.callback(stop)
    return process


def _wait(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
