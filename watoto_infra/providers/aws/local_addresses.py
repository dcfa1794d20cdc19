"""Where local processes answer for what the emulator only names: laid over the outputs of a few types.

Nothing listens at the addresses that the emulator makes up. Each type below has a process of the local target's data
plane behind it, whose port is the stack's port table's, by URN and kind. Outputs alone are touched, and outputs are
never compared, so an address is no difference; a replacement keeps it, since it keeps the URN.

The kinds: ``postgresql`` (an RDS instance, primary or replica), ``redis`` (the primary of a replication group),
``amqp`` and ``amqp-console`` (a broker, without TLS: only loopback is spoken over), ``http`` (a load balancer). A
group's replica listens on a port of its own, kind ``redis-replica``, which no output can name: AWS has one ``port`` for
all addresses of a group. So the reader's address here is the primary's, as on AWS for a group without replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from watoto_infra.values.addresses import Addresses, Endpoint

Outputs = dict[str, Any]
Reserve = Callable[[str], Endpoint]
"""Gives the address of the resource at hand for a kind of process."""

GROUP_ADDRESSES = ("primaryEndpointAddress", "readerEndpointAddress", "configurationEndpointAddress")


def lay_over(outputs: Mapping[str, Any], type_: str, urn: str, addresses: Addresses | None) -> Outputs:
    """Give the outputs with the addresses of the local process; as they are where none stands for the type."""
    local = _LOCAL.get(type_)
    if local is None or addresses is None:
        return dict(outputs)
    table = addresses
    return {**outputs, **local(outputs, lambda kind: table.reserve(urn, kind))}


def _database(_: Mapping[str, Any], reserve: Reserve) -> Outputs:
    server = reserve("postgresql")
    return {"address": server.host, "port": server.port, "endpoint": str(server)}


def _replication_group(outputs: Mapping[str, Any], reserve: Reserve) -> Outputs:
    server = reserve("redis")
    named = {name: server.host for name in GROUP_ADDRESSES if outputs.get(name)}
    return {**named, "port": server.port}


def _broker(_: Mapping[str, Any], reserve: Reserve) -> Outputs:
    server, console = reserve("amqp"), reserve("amqp-console")
    node = {"endpoints": [f"amqp://{server}"], "consoleUrl": f"http://{console}", "ipAddress": server.host}
    return {"instances": [node]}


def _load_balancer(_: Mapping[str, Any], reserve: Reserve) -> Outputs:
    return {"dnsName": str(reserve("http"))}


_LOCAL: Mapping[str, Callable[[Mapping[str, Any], Reserve], Outputs]] = {
    "aws:rds/instance:Instance": _database,
    "aws:elasticache/replicationGroup:ReplicationGroup": _replication_group,
    "aws:mq/broker:Broker": _broker,
    "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
}
