"""RabbitMQ as a stack runs it: one real node whose queues keep their messages, and its port mapper."""

from __future__ import annotations

from collections.abc import Iterator

import kombu
import pytest

from tests.local import processes
from tests.local.topologies import LocalStack, local_stack
from watoto_infra.servers.rabbitmq import process as rabbitmq
from watoto_infra.servers.rabbitmq import server as rabbitmq_server

pytestmark = pytest.mark.local

QUEUES = ("email_queue", "notification_queue", "analytics_queue")


@pytest.fixture(scope="module")
def shared(require_binary) -> Iterator[LocalStack]:
    for name in ("rabbitmq-server", "epmd"):
        require_binary(name)
    with local_stack([rabbitmq], ["rabbitmq"]) as stack:
        yield stack


@pytest.fixture
def stack(shared: LocalStack) -> LocalStack:
    """Phase2, which declares a cluster of three nodes."""
    shared.declare()
    return shared


def connection(stack: LocalStack, password: str | None = None) -> kombu.Connection:
    address = stack.address("rabbitmq")
    return kombu.Connection(
        hostname=address.host,
        port=address.port,
        userid="watoto_user",
        password=password or stack.topology.secret("queue"),
        transport="pyamqp",
        connect_timeout=5,
        transport_options={"confirm_publish": True},
    )


def publish(stack: LocalStack, queue: str, text: str) -> None:
    """Returns once the broker has confirmed the message."""
    with connection(stack) as opened:
        message = opened.default_channel.prepare_message(
            text, content_type="text/plain", content_encoding="utf-8", properties={"delivery_mode": 2}
        )
        opened.default_channel.basic_publish(message, exchange="", routing_key=queue)


def take(stack: LocalStack, queue: str) -> str | None:
    with connection(stack) as opened:
        message = opened.default_channel.basic_get(queue, no_ack=True)
        return None if message is None else str(message.body)


def test_one_node_takes_confirmed_messages_for_queues_declared_for_three(stack):
    assert "one node for its 3" in stack.services["rabbitmq"].stands_for
    for queue in QUEUES:
        publish(stack, queue, f"for {queue}")
        assert take(stack, queue) == f"for {queue}"


def test_bringing_up_what_is_up_changes_nothing(stack):
    before = stack.pid("rabbitmq")
    assert not stack.declare().changed
    assert stack.pid("rabbitmq") == before


def test_changed_definitions_are_imported_without_a_restart(stack):
    old, before = stack.topology.secret("queue"), stack.pid("rabbitmq")
    done = stack.declare(known={"queue": "changed-password"})
    assert done.reloaded == ["rabbitmq"]
    assert stack.pid("rabbitmq") == before
    connection(stack, "changed-password").connect()
    with pytest.raises(connection(stack).channel_errors, match="ACCESS_REFUSED"):
        connection(stack, old).connect()


def test_every_socket_of_broker_and_port_mapper_is_on_loopback(stack):
    pids = processes.of_stack(stack.home.root)
    ports = {port for _, port in processes.listening(pids)}
    endpoints = stack.topology.endpoints
    assert ports >= {
        endpoints.queue.port,
        endpoints.one(rabbitmq_server.MANAGEMENT).port,
        endpoints.one(rabbitmq_server.METRICS).port,
    }
    assert stack.address("epmd").port in ports
    assert len(ports) == 5  # and Erlang's distribution
    assert processes.listens_beyond_loopback(pids) == set()


def test_cookie_and_password_are_nobody_elses(stack):
    secrets = stack.topology.inputs.secrets.values.values()
    assert processes.seen_by_others(processes.of_stack(stack.home.root), secrets) == []
    assert processes.readable_by_others(stack.home.root, secrets) == []
    assert processes.files_with(stack.home.logs, secrets) == []
    cookie = stack.topology.folder("rabbitmq") / ".erlang.cookie"
    assert cookie.stat().st_mode & 0o777 == 0o400
    assert cookie.stat().st_uid == stack.topology.user.uid


def test_messages_survive_a_kill_of_the_broker_and_of_its_port_mapper(stack):
    publish(stack, "email_queue", "kept")
    stack.kill("epmd")
    stack.kill("rabbitmq")
    stack.wait_healthy("epmd", "rabbitmq")
    assert take(stack, "email_queue") == "kept"


def test_after_shutdown_no_process_is_left(shared):
    shared.supervisor.shutdown()
    assert processes.of_stack(shared.home.root) == set()


@pytest.mark.long
def test_queues_made_for_one_node_are_left_as_they_are_when_three_are_declared(require_binary):
    require_binary("rabbitmq-server")
    with local_stack([rabbitmq], ["rabbitmq"]) as stack:
        stack.declare("phase1")
        publish(stack, "email_queue", "from phase1")
        stack.declare("phase2")
        stack.supervisor.shutdown()
        stack.declare("phase2")
        assert take(stack, "email_queue") == "from phase1"
