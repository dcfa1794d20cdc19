"""RabbitMQ on this machine: Erlang's port mapper and one node, every socket of theirs on loopback.

A declared cluster is stood for by one node: its quorum queues have one member here.
"""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.programs import program
from watoto_infra.servers.rabbitmq.server import DISTRIBUTION, PORT_MAPPER
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.commands import run_as
from watoto_infra.supervision.service import Service, Unit

NODE = "watoto@localhost"
"""Each stack has a port mapper of its own, so the name is the same in all."""
START_SECONDS = 120.0
STOP_SECONDS = 30
HEALTH_SECONDS = 1.0
IMPORT_SECONDS = 60.0
LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false"
AMQP_GREETING = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME = b"\x01"
EPMD_NAMES = b"\x00\x01n"
"""Asks the port mapper for its names: a length of two bytes, then the request."""


def units(topology: Topology) -> tuple[Unit, ...]:
    """The port mapper, then the node."""
    broker = _Broker(topology)
    return broker.port_mapper(), broker.node()


@dataclass(frozen=True)
class _Broker:
    topology: Topology

    @property
    def folder(self) -> Path:
        """Everything of Erlang's: the cookie in its home, the node's database beside it."""
        return self.topology.folder("rabbitmq")

    @property
    def files(self) -> Path:
        return self.topology.config / "rabbitmq"

    @property
    def definitions(self) -> Path:
        return self.files / "definitions.json"

    @property
    def imported(self) -> Path:
        """Digest of the definitions that the node has."""
        return self.folder / "definitions.sha256"

    def port_mapper(self) -> Service:
        listening = self.topology.endpoints.one(PORT_MAPPER)
        return Service(
            name="epmd",
            command=(program("epmd"), "-address", listening.host, "-port", str(listening.port)),
            folder=self.folder,
            stands_for="names of RabbitMQ's nodes",
            healthy=lambda: _answers(listening.host, listening.port, EPMD_NAMES, listening.port.to_bytes(4, "big")),
            address=listening,
        )

    def node(self) -> Service:
        queue = self.topology.endpoints.queue
        return Service(
            name="rabbitmq",
            command=(program("rabbitmq-server"),),
            folder=self.folder,
            stands_for=self._stands_for(),
            healthy=lambda: _answers(queue.host, queue.port, AMQP_GREETING, METHOD_FRAME),
            address=queue,
            environment={**self._environment(), **self._node_environment()},
            start_seconds=START_SECONDS,
            stop_seconds=STOP_SECONDS,
            stops_as_group=False,  # Erlang would take the end of its helpers for a crash
            needs=("epmd",),
            prepare=self._prepare,
            settle=self._settle,
            reads=(self.files / "rabbitmq.conf", self.files / "enabled_plugins"),
            rereads=(self.definitions,),
        )

    def _stands_for(self) -> str:
        declared = self.topology.outputs.queue
        nodes = f": one node for its {declared.nodes}" if declared.nodes > 1 else ""
        return f"Amazon MQ broker {declared.id}{nodes}"

    def _environment(self) -> dict[str, str]:
        """What the node and its tools share; they find the cookie in their home."""
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self.topology.endpoints.one(PORT_MAPPER).port),
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
        }

    def _node_environment(self) -> dict[str, str]:
        return {
            "LC_ALL": "C.UTF-8",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": self.topology.inputs.places.logs,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.files / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.files / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(self.topology.endpoints.one(DISTRIBUTION).port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": LOOPBACK_ONLY,
            # As under systemd: no shell stays between us and Erlang, so that signals reach it and it dies with us.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _prepare(self) -> None:
        """Write the cookie, which Erlang wants for its owner alone; the node reads its definitions when it starts."""
        cookie = self.topology.private_file("erlang-cookie", self.topology.secret("queue-erlang-cookie"))
        cookie.chmod(0o400)
        cookie.replace(self.folder / ".erlang.cookie")
        self._note_import()

    def _settle(self) -> None:
        """Import definitions that changed since the node read them; what is no longer among them stays."""
        if self.imported.read_text() == self._digest():
            return
        environment = {**self._environment(), "RABBITMQ_CTL_ERL_ARGS": LOOPBACK_ONLY}
        command = [program("rabbitmqctl"), "--quiet", "import_definitions", str(self.definitions)]
        run_as(self.topology.user, command, seconds=IMPORT_SECONDS, folder=self.folder, environment=environment)
        self._note_import()

    def _note_import(self) -> None:
        self.topology.private_file(self.imported.name, self._digest()).replace(self.imported)

    def _digest(self) -> str:
        return hashlib.sha256(self.definitions.read_bytes()).hexdigest()


def _answers(host: str, port: int, request: bytes, expected: bytes) -> bool:
    """Tell within a second whether a server's answer begins as it should."""
    try:
        with closing(socket.create_connection((host, port), timeout=HEALTH_SECONDS)) as connection:
            connection.sendall(request)
            return connection.recv(len(expected), socket.MSG_WAITALL) == expected
    except OSError:
        return False
