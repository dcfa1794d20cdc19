"""A local stack that runs, as commands that use it need it: its topology, and what only this machine can see of it."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from watoto_infra import console
from watoto_infra.cli import wiring
from watoto_infra.cli.options import TargetName
from watoto_infra.errors import ServiceFailed
from watoto_infra.servers.alertmanager import server as alertmanager_server
from watoto_infra.servers.lms import server as lms_server
from watoto_infra.servers.prometheus import server as prometheus_server

if TYPE_CHECKING:
    from watoto_infra.servers.topology import Topology
    from watoto_infra.smoke.journey import Account, Inside

SEED_SECONDS = 120
PATIENCE = 5
"""Times that an LMS is asked whether it is there, a second each."""


def running_topology(stack: str | None) -> Topology:
    """Give a local stack's topology. Raises ``NoSuchStack``, and ``ServiceFailed`` when its LMS does not answer."""
    from watoto_infra.supervision.health import http_ok  # noqa: PLC0415 - only commands on stacks need it
    from watoto_infra.values.outputs import StackOutputs  # noqa: PLC0415

    session = wiring.open_stack(stack, target=TargetName.LOCAL, must_exist=True)
    outputs = StackOutputs.from_outputs(session.deployment.engine.outputs(show_secrets=False))
    option = session.option
    if not session.target.supervisor.is_alive():
        raise ServiceFailed(f"stack {session.stack} does not run", hint=f"`watoto start{option}` starts it")
    topology = session.data_plane.topology(outputs, session.data_plane.ensure_possible())
    healthy = http_ok(topology.endpoints.front_door, "/healthz")
    if not any(healthy() for _ in range(PATIENCE)):  # a server under load may be slow, and another one quick
        raise ServiceFailed(
            f"the LMS of stack {session.stack} does not answer at {outputs.url}",
            hint=f"`watoto status{option}` shows what is wrong, `watoto start{option}` brings it up",
        )
    return topology


def inside_of(topology: Topology) -> Inside:
    """Give what the smoke suite can look at on the stack's own machine."""
    from watoto_infra.servers.postgresql.replica_reads import reads_on_replicas  # noqa: PLC0415
    from watoto_infra.smoke.journey import Inside  # noqa: PLC0415

    endpoints = topology.endpoints
    has_replicas = any(group.replicas for group in endpoints.databases)
    return Inside(
        prometheus=f"http://{endpoints.one(prometheus_server.WEB)}",
        alertmanager=f"http://{endpoints.one(alertmanager_server.WEB)}",
        app_metrics=tuple(f"http://{server}/metrics" for server in endpoints.all_app_servers),
        worker_metrics=tuple(f"http://{worker}/metrics" for worker in endpoints.all(lms_server.BACKGROUND_METRICS)),
        replica_reads=partial(reads_on_replicas, topology) if has_replicas else None,
        make_admin=partial(_make_admin, topology),
    )


def _make_admin(topology: Topology, account: Account) -> None:
    fill_if_empty(topology)
    make_account(topology, account.email, account.password, role="admin")


def make_account(topology: Topology, email: str, password: str, *, role: str, name: str | None = None) -> int:
    """Make an account of the LMS and give its number; the password goes from hand to hand in a private file.

    Raises ``ServiceFailed`` with the LMS's own words when it refuses.
    """
    from watoto_infra.servers.lms.process import flask  # noqa: PLC0415 - with the data plane

    file = topology.private_file(f"new-password-{os.getpid()}", password + "\n")
    called = () if name is None else ("--name", name)
    try:
        made = flask(topology, "create-user", "--role", role, "--password-file", str(file), *called, "--", email)
    except ServiceFailed as refused:
        _, said_by_lms, why = refused.message.partition("Error: ")
        if not said_by_lms:
            raise
        raise ServiceFailed(f"no account was made: {why}", hint=_what_then(why)) from refused
    finally:
        file.unlink(missing_ok=True)
    return int(made)


def _what_then(why: str) -> str:
    """Say what to do when the LMS refuses an account with these words."""
    if "has an account already" in why:
        return "sign in with it, or take another address; administrators see all accounts under People"
    return "the LMS says what is wrong with it; mend it and run this again"


def sessions_of(topology: Topology, number: int) -> tuple[str, ...]:
    """Give sessions of at most so many of the LMS's students; an LMS without accounts is filled with a school first."""
    from watoto_infra.servers.lms.process import flask  # noqa: PLC0415 - with the data plane

    fill_if_empty(topology)
    return tuple(flask(topology, "issue-sessions", "--existing", "--count", str(number)).split())


def fill_if_empty(topology: Topology) -> None:
    """Fill an LMS that nobody uses yet with a school, since what is tried on an empty one tells little."""
    from watoto_infra.servers.lms.process import flask  # noqa: PLC0415 - with the data plane
    from watoto_infra.servers.postgresql.psql import Psql  # noqa: PLC0415

    primary = topology.endpoints.databases[0].primary
    catalogue = Psql(topology.user, topology.sockets, primary.port)
    name = topology.settings.database.name
    if catalogue.value("SELECT EXISTS (SELECT FROM accounts)", database=name) == "t":
        return
    console.note("the LMS is empty: a school of 10,000 users and 200 courses is made first (`flask seed`)")
    flask(topology, "seed", "--if-empty", seconds=SEED_SECONDS)
