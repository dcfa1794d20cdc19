"""What nginx is told in front of app servers: the context of its templates, built from a stage's settings alone.

Shared by the program, which puts a gateway before each app server or in pods of its own, and by rendering, which knows
the addresses of a whole stack besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from watoto_infra.derived.machines import of_instance_type
from watoto_infra.settings.app import MAIN_SERVICE, ServerGroup
from watoto_infra.settings.gateway import Balancing
from watoto_infra.settings.stage import StageSettings

Role = Literal["load-balancer", "gateway"]

CONNECTIONS = 10_000
"""Open client connections every stage is rendered for: the guide's simultaneous users."""

IMBALANCE = 1.25
"""How far one worker's share of the connections may lie above the average; reuseport spreads them by hash."""

OPEN_FILE_CACHE = 1_000
OTHER_FILES = 512
"""Logs, temporary files, listening sockets, kept upstream connections."""

BEYOND_THE_BALANCER_SECONDS = 5
"""How much longer than the load balancer nginx keeps an idle connection: the balancer sends into one it has kept."""

UPSTREAM_KEEPALIVE = 64
UPSTREAM_IDLE_SECONDS = 30

SNIPPETS = ("problems.conf", "proxy.conf", "security-headers.conf")
"""Files that ``nginx.conf`` includes from the folder ``snippets`` beside it."""

LOGIN_PATHS = ("/api/auth/sign-in", "/api/auth/register")
IDEMPOTENT_PATHS = ("/api/enrollments",)
"""Requests that may be sent to another server although the first may have had them: one row per user and course."""

READ_TIMEOUT_SECONDS = 15
"""How long nginx waits for an answer: above the report objective of 10 s, below gunicorn's own timeout."""

REQUEST_LINE = 4_094
"""Longest first line of a request that gunicorn takes, in bytes without its end (its ``limit_request_line``)."""
HEADER_FIELD_KIB = 8
"""Longest header field with its line's end: gunicorn takes 8190 bytes without it (its ``limit_request_field_size``)."""

POD_PORT = 8080
"""Port of the gateway in pods, where no process may take one below 1024."""
POD_CONNECTION_SECONDS = 60
"""How long a connection to the pods of a service is used."""
POD_WORKERS = 2
"""nginx processes of a pod of the gateway."""
STATUS_LISTEN = "127.0.0.1:8081"
SESSION_COOKIE = "lms_session"
SMALLEST_KEY_STATE = 128


@dataclass(frozen=True)
class Problem:
    """How nginx answers a status that it makes itself; ``of`` are its own codes that are answered with this one.

    ``early``: it may be made before the address of the request is known.
    """

    status: int
    title: str
    detail: str = ""
    retry_after: int | None = None
    of: tuple[int, ...] = ()
    early: bool = False


_NO_ANSWER = "No app server answered. Try again in a few seconds."
PROBLEMS = (
    Problem(400, "Bad Request", of=(495, 496, 497), early=True),
    Problem(403, "Forbidden"),
    Problem(404, "Not Found"),
    Problem(405, "Method Not Allowed"),
    Problem(408, "Request Timeout"),
    Problem(411, "Length Required"),
    Problem(412, "Precondition Failed"),
    Problem(413, "Content Too Large"),
    Problem(414, "URI Too Long", early=True),
    Problem(416, "Range Not Satisfiable"),
    Problem(421, "Misdirected Request"),
    Problem(429, "Too Many Requests", "Try again in a second.", retry_after=1),
    Problem(431, "Request Header Fields Too Large", of=(494,)),
    Problem(500, "Internal Server Error"),
    Problem(501, "Not Implemented"),
    Problem(502, "Bad Gateway", _NO_ANSWER, retry_after=5),
    Problem(503, "Service Unavailable", _NO_ANSWER, retry_after=5),
    Problem(504, "Gateway Timeout", _NO_ANSWER, retry_after=5),
    Problem(505, "HTTP Version Not Supported", early=True),
)
"""Every status that nginx makes with these templates, with the titles of RFC 9110 and RFC 6585.

494 is nginx's own code for header fields that are too large, 495 to 497 for TLS that does not fit.
"""


@dataclass(frozen=True)
class Server:
    """One member of the upstream."""

    address: str
    weight: int = 1
    backup: bool = False


@dataclass(frozen=True)
class AppService:
    """A bounded context's app servers; what begins with one of ``paths`` is theirs. The main one has none."""

    name: str
    paths: tuple[str, ...]
    servers: tuple[Server, ...]

    @property
    def upstream(self) -> str:
        """What the group of its servers is called; the main one has the guide's name."""
        return "backend_servers" if self.name == MAIN_SERVICE else f"{self.name}_servers"


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
    services: tuple[AppService, ...]
    method_directive: str | None
    keepalive_seconds: int
    upstream_keepalive: int
    upstream_idle_seconds: int
    upstream_connection_seconds: int | None
    read_timeout_seconds: int
    tries: int
    request_line: int
    header_field_kib: int
    problems: tuple[Problem, ...]
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

    @property
    def main(self) -> AppService:
        """The service that answers what no other does."""
        return self.services[0]

    @property
    def snippets(self) -> tuple[str, ...]:
        """Files that the configuration includes."""
        return SNIPPETS

    def service_of(self, path: str) -> AppService:
        """Whose a path is: of several that it begins with the longest counts."""
        owners = [(prefix, service) for service in self.services for prefix in service.paths if path.startswith(prefix)]
        return max(owners, key=lambda owner: len(owner[0]))[1] if owners else self.main


def open_files_needed(connections: int, workers: int) -> tuple[int, int]:
    """Connections one worker must hold, and the open files it needs for them.

    A proxied request takes two descriptors: the client's and the upstream's.
    """
    worker_connections = 2 * ceil(connections * IMBALANCE / workers)
    return worker_connections, worker_connections + OPEN_FILE_CACHE + OTHER_FILES


@dataclass(frozen=True)
class Site:
    """What differs between the roles. Networks and names are text as nginx reads it."""

    role: Role
    workers: int
    listen: str
    status_listen: str
    server_names: Sequence[str]
    services: tuple[AppService, ...]
    method: Balancing
    trusted_proxies: Sequence[str]
    media_sources: str = ""
    static_root: str | None = None
    tls: Tls | None = None
    access_log: str = "access.log"
    connection_seconds: int | None = None


def nginx_context(settings: StageSettings, site: Site, gates: Gates) -> NginxContext:
    """Build the context of one role from what it shares with the other and what is its own."""
    limits = settings.gateway.limits
    connections = max(CONNECTIONS, settings.usage.concurrent_users)
    worker_connections, open_files = open_files_needed(connections, site.workers)
    return NginxContext(
        role=site.role,
        workers=site.workers,
        connections=connections,
        worker_connections=worker_connections,
        open_files=open_files,
        open_file_cache=OPEN_FILE_CACHE,
        access_log=site.access_log,
        error_log="error.log",
        listen=site.listen,
        status_listen=site.status_listen,
        server_names=_once(site.server_names),
        services=site.services,
        method_directive=None if site.method is Balancing.ROUND_ROBIN else site.method.value,
        keepalive_seconds=settings.load_balancer.idle_timeout_seconds + BEYOND_THE_BALANCER_SECONDS,
        upstream_keepalive=UPSTREAM_KEEPALIVE,
        upstream_idle_seconds=UPSTREAM_IDLE_SECONDS,
        upstream_connection_seconds=site.connection_seconds,
        read_timeout_seconds=READ_TIMEOUT_SECONDS,
        tries=max(len(service.servers) for service in site.services),
        request_line=REQUEST_LINE,
        header_field_kib=HEADER_FIELD_KIB,
        problems=PROBLEMS,
        trusted_proxies=_once(site.trusted_proxies),
        unlimited_networks=_once(limits.exempt),
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
        max_body_mib=settings.gateway.max_body_mib,
        micro_cache=settings.gateway.micro_cache,
        media_sources=site.media_sources,
        static_root=site.static_root,
        tls=site.tls,
        gates=gates,
    )


def gateway_context(settings: StageSettings, gates: Gates = Gates(http2_directive=False, mlkem=False)) -> NginxContext:
    """Build the context of the gateway in front of one LMS, on the machine it shares with it."""
    alone = AppService(MAIN_SERVICE, (), (Server(f"127.0.0.1:{settings.app.port}"),))
    cores = of_instance_type(settings.app.instance_types[0]).cores
    return nginx_context(settings, _behind_balancer(settings, (alone,), cores, settings.app.gateway_port), gates)


def pod_gateway_context(settings: StageSettings) -> NginxContext:
    """Build the context of the gateway in pods of its own: each service answers under one name in the cluster.

    The name is looked up once and stands for one address, which gives each connection to some pod. It is written twice,
    so that what one pod refuses is asked again; connections end after a while, so that new pods get their share.
    """
    services = tuple(
        AppService(group.service, group.paths, (Server(f"{deployment(group)}:{settings.app.port}"),) * 2)
        for group in settings.app.groups
    )
    site = _behind_balancer(settings, services, POD_WORKERS, POD_PORT, access_log="/dev/stdout")
    site = replace(site, connection_seconds=POD_CONNECTION_SECONDS)
    return nginx_context(settings, site, Gates(http2_directive=False, mlkem=False))


def deployment(group: ServerGroup) -> str:
    """Give the name of a service's Deployment, and of the Service in front of it."""
    return f"watoto-{group.service}"


def pods_of(group: ServerGroup) -> str:
    """Give the name that stands for the address of each pod of a service that is ready."""
    return f"{deployment(group)}-pods"


def _behind_balancer(
    settings: StageSettings, services: tuple[AppService, ...], workers: int, port: int, access_log: str = "access.log"
) -> Site:
    """Trust X-Forwarded-For from the VPC alone; accept AWS's default host names where the stage has no alias."""
    own = settings.edge.aliases or ("*.cloudfront.net",)
    return Site(
        role="gateway",
        workers=workers,
        listen=str(port),
        status_listen=STATUS_LISTEN,
        server_names=(*settings.gateway.server_names, *own, "*.elb.amazonaws.com"),
        services=services,
        method=Balancing.LEAST_CONN,
        trusted_proxies=(settings.network.cidr, *settings.gateway.trusted_proxies),
        access_log=access_log,
    )


def _once(names: Sequence[str]) -> tuple[str, ...]:
    """Drop doubles, of which nginx warns, and keep the order."""
    return tuple(dict.fromkeys(names))
