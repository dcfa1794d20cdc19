"""Where the parts of a stage answer, as rendered files name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from watoto_infra.values.addresses import UNDECLARED, Endpoint

if TYPE_CHECKING:
    from watoto_infra.settings.stage import StageSettings
    from watoto_infra.values.outputs import StackOutputs


@dataclass(frozen=True)
class Port:
    """A port of a server that no output of a stack names.

    ``kind`` tells it from all others. ``names`` gives the names of the endpoints on it, one of the port's kind where it
    is left out. ``usual`` is the port of the first of them where there is no stack; the others follow it.

    A local stack reserves each endpoint in its port table as ``reserved_as`` (with the endpoint's name in place of
    ``{name}``; the kind where it is left out), for the resource whose URN ``urn`` gives from the outputs and the
    endpoint's name. Nothing is reserved for what is not ``local``.
    """

    kind: str
    usual: int
    names: Callable[[StageSettings, Endpoints], Sequence[str]] | None = None
    reserved_as: str = ""
    urn: Callable[[StackOutputs, str], str] = lambda _outputs, _name: UNDECLARED
    local: bool = True


@dataclass(frozen=True)
class DatabaseEndpoints:
    """A primary and its replicas."""

    primary: Endpoint
    replicas: tuple[Endpoint, ...] = ()

    @property
    def servers(self) -> tuple[Endpoint, ...]:
        """The primary, then its replicas."""
        return (self.primary, *self.replicas)


@dataclass(frozen=True)
class Endpoints:
    """All addresses of one stack. ``databases`` starts with the main one; shards follow.

    ``app_servers`` are those of the main service; ``services`` holds those of each other bounded context by its name.
    ``listening`` holds, by a port's kind, the endpoints of everything that is not itself declared.
    """

    front_door: Endpoint
    app_servers: tuple[Endpoint, ...]
    databases: tuple[DatabaseEndpoints, ...]
    cache: Endpoint
    state: Endpoint
    queue: Endpoint
    backups_bucket: str
    media_bucket: str
    region: str
    s3_endpoint: str | None = None
    media_origins: tuple[str, ...] = ()
    services: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    listening: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)

    @property
    def all_app_servers(self) -> tuple[Endpoint, ...]:
        """The app servers of every service."""
        return (*self.app_servers, *(server for servers in self.services.values() for server in servers))

    @property
    def database_servers(self) -> tuple[Endpoint, ...]:
        """Every PostgreSQL server, each primary before its replicas."""
        return tuple(server for group in self.databases for server in group.servers)

    def all(self, port: Port) -> tuple[Endpoint, ...]:
        """Give the endpoints on a port; none where the stage has no such server."""
        return self.listening[port.kind]

    def one(self, port: Port) -> Endpoint:
        """Give the only endpoint on a port. Raises ``ValueError`` where there are none or several."""
        (endpoint,) = self.listening[port.kind]
        return endpoint


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``; names are not looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
