"""The LMS's own processes: schema migration, app servers, job workers, relay and heartbeat.

They run from a copy of the source tree, named by its digest as an image would be, in the LMS's own environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from watoto_infra.derived.background import BACKGROUND, BackgroundProcess
from watoto_infra.derived.lms_environment import JOB_STOP_SECONDS, WEB_STOP_SECONDS
from watoto_infra.errors import ServiceFailed
from watoto_infra.servers.lms.connections import connections
from watoto_infra.servers.lms.server import BACKGROUND_METRICS
from watoto_infra.servers.postgresql import process as postgresql
from watoto_infra.servers.postgresql.config import MONITOR
from watoto_infra.servers.postgresql.psql import Psql, identifier
from watoto_infra.servers.topology import Topology
from watoto_infra.settings import settings_root
from watoto_infra.settings.app import Platform, ServerGroup
from watoto_infra.settings.source_image import NOT_SOURCE, source_image
from watoto_infra.supervision.commands import run_as
from watoto_infra.supervision.health import http_ok
from watoto_infra.supervision.service import Service, Task, Unit
from watoto_infra.values.addresses import EMULATOR_CREDENTIALS, Endpoint

ENVIRONMENT = Path(f"{Path(sys.prefix).resolve()}-lms")
"""The LMS's own environment lies beside the toolkit's; scripts/setup makes both."""

MIGRATION, PLACEMENT = "lms-migrate", "lms-shards"
MIGRATION_SECONDS, PLACEMENT_SECONDS = 180, 3600
IN_FORCE = "the shard map is in force"
"""What `flask migrate` says when every user's rows lie where the LMS's shard map says."""
START_SECONDS = 180
"""Two to three seconds of processor time each; a busy machine takes its time for a dozen of them at once."""
COPIES_KEPT = 2
"""Copies of the source tree: the one that is to run, and the one that runs until it does."""


def units(topology: Topology) -> tuple[Unit, ...]:
    """One program for each app server and each kind of job worker.

    All wait for the migration, and until users' rows lie where the stage wants them.
    """
    lms = _Lms(topology)
    return (
        Task(MIGRATION, lms.migrate, needs=lms.databases),
        Task(
            PLACEMENT,
            lms.place,
            needs=(MIGRATION, *lms.databases),
            due=lambda: not lms.in_force,
            stops_database_users=True,
        ),
        *(
            lms.app_server(group, number)
            for group in topology.settings.app.groups
            for number in range(1, group.desired + 1)
        ),
        *map(lms.background, BACKGROUND, topology.endpoints.all(BACKGROUND_METRICS)),
    )


def flask(topology: Topology, *arguments: str, seconds: float = 60) -> str:
    """Run one of the LMS's own commands, as its processes run, and give what it printed. Raises ``ServiceFailed``."""
    return _Lms(topology).flask(*arguments, seconds=seconds)


class _Lms:
    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._python = ENVIRONMENT / "bin" / "python"
        self._tree = settings_root() / "src" / "lms_app"
        self._image = source_image(self._tree)
        self._source = topology.home.run / "lms" / self._image.rpartition(":")[2][:16]
        self._files = connections(topology)
        pool = ("pgbouncer",) if topology.settings.database.pgbouncer else ()
        self.databases = (*map(postgresql.unit_name, topology.endpoints.database_servers), *pool)
        self.in_force = True

    def migrate(self) -> None:
        """Bring every database's schema up to date, and let its exporter read the heartbeat; the rest it may not.

        Raises ``ServiceFailed``.
        """
        self.in_force = IN_FORCE in self.flask("migrate", seconds=MIGRATION_SECONDS).splitlines()
        topology, name = self._topology, self._topology.settings.database.name
        for group in topology.endpoints.databases:
            primary = Psql(topology.user, topology.sockets, group.primary.port)
            primary.rows(f"GRANT SELECT ON watoto_heartbeat TO {identifier(MONITOR)}", database=name)

    def place(self) -> str:
        """Move the rows of users between the databases until they lie where the stage wants them; say how many.

        Raises ``ServiceFailed``; run again it goes on where it was.
        """
        began = time.monotonic()
        said = self.flask("shards", "place", seconds=PLACEMENT_SECONDS).strip()
        return f"{said} in {time.monotonic() - began:.1f} s; the LMS was stopped meanwhile"

    def flask(self, *arguments: str, seconds: float) -> str:
        """Run one of the LMS's own commands, from the source tree as it is now, and give what it printed.

        It dies with the caller's thread, so that nothing goes on moving rows for a run that was killed.

        Raises ``ServiceFailed``.
        """
        self._place_source()
        return run_as(
            self._topology.user,
            [str(self._python), "-m", "flask", *arguments],
            seconds=seconds,
            folder=self._source,
            environment={"PATH": "/usr/bin:/bin", **self._environment(f"flask-{arguments[0]}", pooled=False)},
            called=f"the LMS's {arguments[0]}",
            hint="mend it and run this again: nothing is half-done",
        )

    def app_server(self, group: ServerGroup, number: int) -> Service:
        endpoints = self._topology.endpoints
        endpoint = (endpoints.app_servers if group.is_main else endpoints.services[group.service])[number - 1]
        configuration = str(self._source / "lms_app" / "serving" / "gunicorn.conf.py")
        return self._service(
            endpoint.name,
            ("gunicorn", "-c", configuration),
            stands_for=f"app server {number} of {self._declared(self._topology.outputs.app.group(group.service).name)}",
            at=endpoint,
            health="/readyz",
            environment={"LMS_WEB_BIND": str(endpoint)},
            stop_seconds=WEB_STOP_SECONDS,
        )

    def _declared(self, name: str) -> str:
        """What a group of processes is called where it is declared."""
        pods = self._topology.outputs.app.platform == Platform.KUBERNETES
        return f"Deployment {name}" if pods else name

    def background(self, process: BackgroundProcess, at: Endpoint) -> Service:
        return self._service(
            process.name,
            ("flask", *process.arguments),
            stands_for=process.purpose,
            at=at,
            health="/healthz",
            environment={"LMS_METRICS_PORT": str(at.port)},
            stop_seconds=JOB_STOP_SECONDS,
            needs=("rabbitmq",),  # app servers do without it: the outbox holds their jobs
        )

    def _service(
        self,
        name: str,
        module: tuple[str, ...],
        *,
        stands_for: str,
        at: Endpoint,
        health: str,
        environment: Mapping[str, str],
        stop_seconds: int,
        needs: tuple[str, ...] = (),
    ) -> Service:
        return Service(
            name=name,
            command=(str(self._python), "-m", *module),
            folder=self._source,
            stands_for=stands_for,
            healthy=http_ok(at, health),
            address=at,
            environment={**self._environment(name), **environment},
            start_seconds=START_SECONDS,
            stop_seconds=stop_seconds,
            # The master tells its own children; told by us too, they would drop what they have at hand.
            stops_as_group=False,
            uses_database=True,
            needs=(PLACEMENT, *(f"redis-{role}" for role in self._topology.settings.cache.groups), *needs),
            reads=(*self._files.values(), self._rendered),
        )

    def _environment(self, name: str, *, pooled: bool = True) -> dict[str, str]:
        topology = self._topology
        files = self._files if pooled else connections(topology, pooled=False)
        metrics = topology.user.own_folder(topology.home.run / "metrics") / name
        mail = topology.folder("mail")
        return {
            "FLASK_APP": "lms_app.app",
            "PYTHONPATH": str(self._source),
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
            "LMS_COOKIE_SECURE": "false",
            "LMS_MAIL_URL": f"file://{mail}",
            "LMS_MEDIA_BUCKET": topology.endpoints.media_bucket,
            "LMS_S3_ENDPOINT_URL": topology.endpoints.s3_endpoint or "",
            "LMS_ACCESS_LOG": "false",
            "AWS_ACCESS_KEY_ID": EMULATOR_CREDENTIALS,
            "AWS_SECRET_ACCESS_KEY": EMULATOR_CREDENTIALS,
            "AWS_EC2_METADATA_DISABLED": "true",
            **{f"LMS_{name}_FILE": str(path) for name, path in files.items()},
            **_assignments(self._rendered.read_text()),
        }

    @property
    def _rendered(self) -> Path:
        return self._topology.config / "gunicorn" / "app-server.env"

    def _place_source(self) -> None:
        """Copy the source tree to where the processes' user can read it; what runs from an older copy keeps it."""
        if not self._python.exists():
            raise ServiceFailed(
                f"the LMS's environment {ENVIRONMENT} is not there", hint="`make up` makes it (scripts/setup toolkit)"
            )
        if self._source.exists():
            return
        user = self._topology.user
        new = user.own_folder(self._source.parent) / "new"
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(self._tree, new / "lms_app", ignore=shutil.ignore_patterns(*NOT_SOURCE))
        compile_all = [str(self._python), "-m", "compileall", "-q", "-s", str(new), "-p", str(self._source), str(new)]
        subprocess.run(compile_all, check=False, capture_output=True)
        for path in (new, *new.rglob("*")):
            shutil.chown(path, user.uid, user.gid)
        new.touch()
        new.replace(self._source)
        copies = sorted(self._source.parent.iterdir(), key=lambda copy: copy.stat().st_mtime)
        for old in copies[:-COPIES_KEPT]:
            shutil.rmtree(old, ignore_errors=True)


def _assignments(text: str) -> dict[str, str]:
    """Read ``NAME=value`` lines; the rendered file has nothing else but comments."""
    lines = (line.strip() for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
