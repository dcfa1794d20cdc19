"""A local stack that runs, as commands need it that use its LMS."""

from __future__ import annotations

from watoto_infra.cli.sessions import open_local
from watoto_infra.errors import ServiceFailed
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.health import http_ok
from watoto_infra.values.outputs import StackOutputs

PATIENCE = 5
"""Times that an LMS is asked whether it is there, a second each."""


def running_topology(stack: str | None) -> Topology:
    """Give a local stack's topology. Raises ``NoSuchStack``, and ``ServiceFailed`` when its LMS does not answer."""
    session = open_local(stack)
    outputs = StackOutputs.from_outputs(session.outputs())
    if not session.target.supervisor.is_alive():
        raise ServiceFailed(f"stack {session.stack} does not run", hint=f"`watoto start{session.option}` starts it")
    topology = session.data_plane.topology(outputs, session.data_plane.ensure_possible())
    healthy = http_ok(topology.endpoints.front_door, "/healthz")
    if not any(healthy() for _ in range(PATIENCE)):  # a server under load may be slow, and another one quick
        raise ServiceFailed(
            f"the LMS of stack {session.stack} does not answer at {outputs.url}",
            hint=f"`watoto status{session.option}` shows what is wrong, `watoto start{session.option}` brings it up",
        )
    return topology
