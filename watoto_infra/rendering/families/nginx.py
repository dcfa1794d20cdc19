"""nginx: the load balancer in front of all app servers, and the gateway in front of one; one template serves both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from math import ceil
from pathlib import Path
from typing import Literal

from watoto_infra.errors import RenderError
from watoto_infra.rendering import values
from watoto_infra.rendering.checks import nginx as checks
from watoto_infra.rendering.endpoints import LOOPBACK, Endpoint
from watoto_infra.rendering.families import gunicorn
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import Finding, Piece, RenderedFile
from watoto_infra.rendering.versions import Versions
from watoto_infra.settings.gateway import Balancing, BalancingSettings

SUMMARY = "load balancer (upstream backend_servers) and gateway in front of one LMS"

Role = Literal["load-balancer", "gateway"]

CONNECTIONS = 10_000
"""Open client connections every stage is rendered for: the guide's simultaneous users."""

IMBALANCE = 1.25
"""How far one worker's share of the connections may lie above the average; reuseport spreads them by hash."""

OPEN_FILE_CACHE = 1_000
OTHER_FILES = 512
"""Logs, temporary files, listening sockets, kept upstream connections."""

UPSTREAM_KEEPALIVE = 64
UPSTREAM_IDLE_SECONDS = 30

LOGIN_PATHS = ("/api/auth/login",)
IDEMPOTENT_PATHS = ("/api/enrollments",)
"""Requests that may be sent to another server although the first may have had them: one row per user and course."""

SESSION_COOKIE = "lms_session"
SMALLEST_KEY_STATE = 128


@dataclass(frozen=True)
class Server:
    """One member of the upstream."""

    address: str
    weight: int = 1
    backup: bool = False


@dataclass(frozen=True)
class Tls:
    """Where TLS is ended here; on AWS the load balancer before the gateway does it."""

    listen: str
    certificate: str
    key: str


@dataclass(frozen=True)
class Gates:
    """What depends on the version of nginx and OpenSSL."""

    http2_directive: bool
    mlkem: bool


@dataclass(frozen=True)
class NginxContext:
    """What the nginx templates may say. Rates are requests a second; sizes carry their unit in the name."""

    role: Role
    workers: int
    connections: int
    worker_connections: int
    open_files: int
    open_file_cache: int
    access_log: str
    error_log: str
    listen: str
    status_listen: str
    server_names: tuple[str, ...]
    servers: tuple[Server, ...]
    method_directive: str | None
    upstream_keepalive: int
    upstream_idle_seconds: int
    read_timeout_seconds: int
    tries: int
    trusted_proxies: tuple[str, ...]
    unlimited_networks: tuple[str, ...]
    session_cookie: str
    session_zone_mib: int
    session_rate: int
    session_burst: int
    stranger_rate: int
    stranger_burst: int
    address_rate: int
    address_burst: int
    login_rate: int
    login_burst: int
    login_paths: tuple[str, ...]
    idempotent_paths: tuple[str, ...]
    max_body_mib: int
    micro_cache: bool
    media_sources: str
    static_root: str | None
    tls: Tls | None
    gates: Gates


CONTEXTS: tuple[type, ...] = (NginxContext,)


def open_files_needed(connections: int, workers: int) -> tuple[int, int]:
    """Connections one worker must hold, and the open files it needs for them.

    A proxied request takes two descriptors: the client's and the upstream's.
    """
    worker_connections = 2 * ceil(connections * IMBALANCE / workers)
    return worker_connections, worker_connections + OPEN_FILE_CACHE + OTHER_FILES


def members(endpoints: Sequence[Endpoint], balancing: BalancingSettings) -> tuple[Server, ...]:
    """Lay weights and backups over the app servers. Raises ``RenderError`` for what nginx would refuse."""
    if not endpoints:
        raise RenderError(
            "the upstream backend_servers would have no server, which nginx refuses",
            hint="set app.desired to 1 or more",
        )
    if balancing.backups >= len(endpoints):
        raise RenderError(
            f"gateway.balancing.backups is {balancing.backups} of {len(endpoints)} app servers: nginx refuses a group "
            "in which every server is a backup",
            hint="lower gateway.balancing.backups or raise app.desired",
        )
    first_backup = len(endpoints) - balancing.backups
    return tuple(
        Server(
            address=f"{values.host(endpoint.host, 'address of an app server')}:{endpoint.port}",
            weight=balancing.weights[index] if index < len(balancing.weights) else 1,
            backup=index >= first_backup,
        )
        for index, endpoint in enumerate(endpoints)
    )


def gates(versions: Versions) -> Gates:
    """``http2 on`` came with nginx 1.25.1; the hybrid key exchange X25519MLKEM768 with OpenSSL 3.5."""
    return Gates(
        http2_directive=versions.at_least("nginx", 1, 25, 1),
        mlkem=versions.at_least("openssl", 3, 5),
    )


def context(inputs: Inputs, role: Role) -> NginxContext:
    """Build the context of one role."""
    settings, endpoints, places = inputs.settings, inputs.endpoints, inputs.places
    gateway, limits = settings.gateway, settings.gateway.limits
    is_gateway = role == "gateway"
    workers = inputs.machine.cores
    connections = max(CONNECTIONS, settings.usage.concurrent_users)
    worker_connections, open_files = open_files_needed(connections, workers)
    balancing = BalancingSettings() if is_gateway else gateway.balancing
    servers = members([Endpoint(LOOPBACK, settings.app.port)] if is_gateway else endpoints.app_servers, balancing)
    trusted = [*([settings.network.cidr] if is_gateway else []), *gateway.trusted_proxies]
    return NginxContext(
        role=role,
        workers=workers,
        connections=connections,
        worker_connections=worker_connections,
        open_files=open_files,
        open_file_cache=OPEN_FILE_CACHE,
        access_log="access.log",
        error_log="error.log",
        listen=str(settings.app.gateway_port) if is_gateway else str(endpoints.front_door),
        status_listen=str(endpoints.front_door_status),
        server_names=_server_names(inputs, role),
        servers=servers,
        method_directive=None if balancing.method is Balancing.ROUND_ROBIN else balancing.method.value,
        upstream_keepalive=UPSTREAM_KEEPALIVE,
        upstream_idle_seconds=_idle_below_gunicorn(),
        read_timeout_seconds=gunicorn.READ_TIMEOUT_SECONDS,
        tries=len(servers),
        trusted_proxies=_networks(trusted),
        unlimited_networks=_networks(limits.exempt),
        session_cookie=SESSION_COOKIE,
        session_zone_mib=max(10, ceil(2 * connections * SMALLEST_KEY_STATE / 2**20)),
        session_rate=limits.session_rate,
        session_burst=limits.session_burst,
        stranger_rate=limits.stranger_rate,
        stranger_burst=limits.stranger_burst,
        address_rate=limits.address_rate,
        address_burst=limits.address_burst,
        login_rate=limits.login_rate,
        login_burst=limits.login_burst,
        login_paths=LOGIN_PATHS,
        idempotent_paths=IDEMPOTENT_PATHS,
        max_body_mib=gateway.max_body_mib,
        micro_cache=gateway.micro_cache,
        media_sources="".join(f" {values.origin(origin)}" for origin in endpoints.media_origins),
        static_root=None if is_gateway or places.static is None else values.path(places.static, "static files' folder"),
        tls=None if is_gateway else _tls(inputs),
        gates=gates(inputs.versions),
    )


def _server_names(inputs: Inputs, role: Role) -> tuple[str, ...]:
    names = [values.server_name(name) for name in inputs.settings.gateway.server_names]
    if role == "load-balancer":
        names += ["localhost", values.host(inputs.endpoints.front_door.host, "front door's address")]
    return tuple(dict.fromkeys(names))


def _networks(networks: Sequence[str]) -> tuple[str, ...]:
    """Each network once: nginx warns of doubles in ``geo``."""
    return tuple(dict.fromkeys(str(IPv4Network(network)) for network in networks))


def _idle_below_gunicorn() -> int:
    """Idle time of an upstream connection; gunicorn must not close one that nginx is about to use."""
    if gunicorn.KEEPALIVE_SECONDS <= UPSTREAM_IDLE_SECONDS:
        raise RenderError(
            f"nginx would keep idle connections for {UPSTREAM_IDLE_SECONDS} s, gunicorn for only "
            f"{gunicorn.KEEPALIVE_SECONDS} s: requests would meet closing connections"
        )
    return UPSTREAM_IDLE_SECONDS


def _tls(inputs: Inputs) -> Tls | None:
    places = inputs.places
    if places.certificate is None or places.certificate_key is None:
        return None
    return Tls(
        listen=f"{inputs.endpoints.front_door.host}:{443}",
        certificate=values.path(places.certificate, "certificate"),
        key=values.path(places.certificate_key, "certificate's key"),
    )


def pieces(inputs: Inputs) -> tuple[Piece, ...]:
    """Both roles, each with its own snippets: nginx reads includes relative to the configuration file."""
    roles: tuple[Role, ...] = ("load-balancer", "gateway")
    found = []
    for role in roles:
        ctx = context(inputs, role)
        found.append(Piece(f"nginx/{role}/nginx.conf", f"nginx/{role}/nginx.conf.j2", ctx))
        found.extend(
            Piece(f"nginx/{role}/snippets/{name}", f"nginx/snippets/{name}.j2", ctx)
            for name in ("proxy.conf", "security-headers.conf")
        )
    return tuple(found)


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[Finding, ...]:
    """Ask ``nginx -t`` and gixy-next, and compare the open files needed with this machine's limit."""
    needed = context(inputs, "load-balancer")
    return checks.check(tree, files, connections=needed.connections, open_files=needed.open_files)
