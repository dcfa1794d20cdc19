"""The smoke suite on a stack of this machine: where its insides can be looked at, and how its first account is made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from watoto_infra.servers.alertmanager import server as alertmanager_server
from watoto_infra.servers.lms import server as lms_server
from watoto_infra.servers.lms.accounts import fill_if_empty, make_account
from watoto_infra.servers.postgresql.replica_reads import reads_on_replicas
from watoto_infra.servers.prometheus import server as prometheus_server
from watoto_infra.servers.topology import Topology
from watoto_infra.smoke.journey import Account, Inside


def inside_of(topology: Topology, say: Callable[[str], None]) -> Inside:
    """Give what can be looked at. ``say`` is told when the LMS is filled with a school first."""
    endpoints = topology.endpoints
    has_replicas = any(group.replicas for group in endpoints.databases)

    def make_admin(account: Account) -> None:
        fill_if_empty(topology, say)
        make_account(topology, account.email, account.password, role="admin")

    return Inside(
        prometheus=f"http://{endpoints.one(prometheus_server.WEB)}",
        alertmanager=f"http://{endpoints.one(alertmanager_server.WEB)}",
        app_metrics=tuple(f"http://{server}/metrics" for server in endpoints.all_app_servers),
        worker_metrics=tuple(f"http://{worker}/metrics" for worker in endpoints.all(lms_server.BACKGROUND_METRICS)),
        replica_reads=partial(reads_on_replicas, topology) if has_replicas else None,
        make_admin=make_admin,
    )
