"""nginx: the load balancer in front of all app servers, and the gateway in front of one; one template serves both."""

from __future__ import annotations

from collections.abc import Sequence

from watoto_infra.derived.nginx import (
    AppService,
    Gates,
    NginxContext,
    Role,
    Server,
    Site,
    Tls,
    gateway_context,
    nginx_context,
    pod_gateway_context,
)
from watoto_infra.errors import RenderError
from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.rendering.versions import Versions
from watoto_infra.servers.nginx.server import STATUS
from watoto_infra.settings.app import Platform
from watoto_infra.settings.gateway import BalancingSettings
from watoto_infra.values.addresses import Endpoint

CONTEXTS: tuple[type, ...] = (NginxContext,)


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
    """Build the context of the load balancer or of a gateway, for the nginx and OpenSSL that the files are for."""
    settings, endpoints, places = inputs.settings, inputs.endpoints, inputs.places
    if role == "gateway" and settings.app.platform is Platform.KUBERNETES:
        return pod_gateway_context(settings)
    if role == "gateway":
        return gateway_context(settings, gates(inputs.versions))
    status = endpoints.one(STATUS)
    host = values.host(endpoints.front_door.host, "address of the front door")
    site = Site(
        role=role,
        workers=(inputs.balancer_machine or inputs.machine).cores,
        listen=f"{host}:{endpoints.front_door.port}",
        status_listen=f"{values.host(status.host, 'status address')}:{status.port}",
        server_names=(*map(values.server_name, settings.gateway.server_names), "localhost", host),
        services=_services(inputs),
        method=settings.gateway.balancing.method,
        trusted_proxies=settings.gateway.trusted_proxies,
        media_sources="".join(f" {values.origin(origin)}" for origin in endpoints.media_origins),
        static_root=None if places.static is None else values.path(places.static, "static files' folder"),
        tls=_tls(inputs),
        access_log=values.relative_path(places.access_log, "access log"),
    )
    return nginx_context(settings, site, gates(inputs.versions))


def _services(inputs: Inputs) -> tuple[AppService, ...]:
    """Weights and backups are the main service's; the others' servers are all alike."""
    main, *others = inputs.settings.app.groups
    endpoints, balancing = inputs.endpoints, inputs.settings.gateway.balancing
    alike = BalancingSettings(method=balancing.method)
    return (
        AppService(main.service, main.paths, members(endpoints.app_servers, balancing)),
        *(
            AppService(group.service, group.paths, members(endpoints.services[group.service], alike))
            for group in others
        ),
    )


def _tls(inputs: Inputs) -> Tls | None:
    places = inputs.places
    if places.certificate is None or places.certificate_key is None:
        return None
    return Tls(
        listen=f"{inputs.endpoints.front_door.host}:{443}",
        certificate=values.path(places.certificate, "certificate"),
        key=values.path(places.certificate_key, "certificate's key"),
    )


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """Both roles, each with its own snippets: nginx reads includes relative to the configuration file."""
    roles: tuple[Role, ...] = ("load-balancer", "gateway")
    found = []
    for role in roles:
        ctx = context(inputs, role)
        found.append(FileSpec(f"nginx/{role}/nginx.conf", f"nginx/{role}/nginx.conf.j2", ctx))
        found.extend(
            FileSpec(f"nginx/{role}/snippets/{name}", f"nginx/snippets/{name}.j2", ctx) for name in ctx.snippets
        )
    return tuple(found)
