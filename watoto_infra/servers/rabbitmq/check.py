"""RabbitMQ: what definitions refer to must be in them; then a throw-away node must start with them."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.programs import find
from watoto_infra.rendering import throwaway
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile
from watoto_infra.rendering.run import Checker, Ran, as_ran, run
from watoto_infra.values.contracts import Json

REFERENCES = Checker("rabbitmq", "cross-references")
NODE = Checker("rabbitmq", "a throw-away RabbitMQ", servers=("rabbitmq",))
SETTINGS = {
    "RABBITMQ_CONF_ENV_FILE": "/dev/null",
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
}


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Check that the definitions refer only to what they define, then let a throw-away node load them."""
    del inputs
    folder = tree / "rabbitmq"
    names = [file.path for file in files]
    try:
        definitions = json.loads((folder / "definitions.json").read_text(encoding="utf-8"))
    except ValueError as error:
        return (REFERENCES.judged(names[-1:], as_ran([f"not JSON: {error}"])),)
    first = REFERENCES.judged(names[-1:], as_ran(inconsistencies(definitions)))
    if find("rabbitmq-server") is None or find("epmd") is None:
        return first, NODE.absent(names)
    try:
        with node(folder) as running:
            ran = _compare(running, definitions)
    except throwaway.DidNotStartError as error:
        ran = Ran(1, str(error))
    return first, NODE.judged(names, ran, folder=folder)


def inconsistencies(definitions: Json) -> list[str]:
    """What the broker would take without a word and only show when a message is lost."""
    queues = {queue["name"]: queue for queue in definitions["queues"]}
    exchanges = {exchange["name"] for exchange in definitions["exchanges"]} | {""}
    sources = {(binding["source"], binding["destination"]) for binding in definitions["bindings"]}
    problems = [f"queue {name} is no quorum queue" for name, queue in queues.items() if not _is_quorum(queue)]
    problems += [
        f"a binding leads from {source}, which is not defined" for source, _ in sources if source not in exchanges
    ]
    problems += [f"a binding leads to {queue}, which is not defined" for _, queue in sources if queue not in queues]
    for name in queues:
        matching = [policy for policy in definitions["policies"] if re.search(policy["pattern"], name)]
        if len(matching) != 1:
            problems.append(f"queue {name} has {len(matching)} policies; exactly one applies")
        for policy in matching:
            target = policy["definition"].get("dead-letter-exchange")
            if target and not any(source == target for source, _ in sources):
                problems.append(f"policy {policy['name']} dead-letters to {target}, to which no queue is bound")
    return problems


def _is_quorum(queue: Json) -> bool:
    return bool(queue["arguments"].get("x-queue-type") == "quorum")


@dataclass(frozen=True)
class Node:
    """A running throw-away node: its ports and how to ask it with rabbitmqctl."""

    port: int
    management_port: int
    metrics_port: int
    folder: Path
    environment: dict[str, str]

    def control(self, *arguments: str) -> Ran:
        """Run rabbitmqctl against the node."""
        program = find("rabbitmqctl") or "rabbitmqctl"
        command = [program, "--quiet", *arguments]
        return run(command, cwd=self.folder, environment=self.environment, user=throwaway.account())


@contextmanager
def node(folder: Path) -> Iterator[Node]:
    """Run a node with the rendered files of ``folder``, on loopback only. Raises ``DidNotStartError``."""
    epmd_port, distribution, amqp, management, metrics = (throwaway.free_port() for _ in range(5))
    certificate, key = throwaway.certificate(folder)
    text = (folder / "rabbitmq.conf").read_text(encoding="utf-8")
    for name, value in {
        "listeners.tcp.default": f"127.0.0.1:{amqp}",
        "listeners.ssl.default": f"127.0.0.1:{amqp}",
        "ssl_options.certfile": str(certificate),
        "ssl_options.keyfile": str(key),
        "management.tcp.port": str(management),
        "prometheus.tcp.port": str(metrics),
        "load_definitions": str(folder / "definitions.json"),
    }.items():
        text = re.sub(rf"^{re.escape(name)} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
    (folder / "fitted.conf").write_text(text, encoding="utf-8")
    ports = f"{{inet_dist_listen_min, {distribution}}}, {{inet_dist_listen_max, {distribution}}}"
    (folder / "advanced.config").write_text(f"[{{kernel, [{ports}]}}].\n", encoding="utf-8")
    environment = {
        **SETTINGS,
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": f"check{amqp}@localhost",
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "fitted.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
    }
    epmd_folder = folder / "epmd"
    epmd_folder.mkdir()
    throwaway.hand_over(folder)
    epmd = [find("epmd") or "epmd", "-address", "127.0.0.1", "-port", str(epmd_port)]
    with (
        throwaway.server(epmd, folder=epmd_folder, ready=lambda: answers(epmd_port)),
        throwaway.server(
            [find("rabbitmq-server") or "rabbitmq-server"],
            folder=folder,
            environment=environment,
            ready=lambda: answers(amqp),
        ),
    ):
        yield Node(amqp, management, metrics, folder, environment)


def answers(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with closing(socket.socket()) as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _compare(running: Node, definitions: Json) -> Ran:
    """Ask which queues there are and which policy each got."""
    asked = running.control("list_queues", "name", "policy", "--formatter", "json")
    try:
        found = {queue["name"]: queue["policy"] for queue in json.loads(asked.output)}
    except (ValueError, TypeError):
        return Ran(1, asked.output or "rabbitmqctl said nothing")
    problems = [f"queue {queue['name']} was not made" for queue in definitions["queues"] if queue["name"] not in found]
    problems += [f"queue {name} got no policy" for name, policy in found.items() if not policy]
    return Ran(1 if problems else 0, "\n".join(problems))
