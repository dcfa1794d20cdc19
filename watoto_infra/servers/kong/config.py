"""Kong as API gateway: its declarative configuration and kong.conf."""

from __future__ import annotations

from watoto_infra.derived.kong import STATUS_PORT, KongContext, KongPlace, kong_context
from watoto_infra.rendering import values
from watoto_infra.rendering.endpoints import is_loopback
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.servers.kong.server import PROXY
from watoto_infra.servers.nginx import config as nginx

CONTEXTS: tuple[type, ...] = (KongContext,)


def context(inputs: Inputs) -> KongContext:
    """Build the context: Kong counts requests in the Redis of the state group."""
    state, proxy = inputs.endpoints.state, inputs.endpoints.one(PROXY)
    place = KongPlace(
        declarative_file=values.path(f"{inputs.places.config}/kong/kong.yml", "declarative configuration"),
        listen=str(proxy),
        status_listen=f"{proxy.host}:{STATUS_PORT}",
        redis_host=values.host(state.host, "address of the state group"),
        redis_port=state.port,
        redis_tls=not is_loopback(state.host),
        # ElastiCache's token is the default user's; our own Redis has a user for the app.
        redis_username="app" if is_loopback(state.host) else "default",
        nested_redis=inputs.versions.at_least("kong", 3, 6),
    )
    return kong_context(inputs.settings, nginx.context(inputs, "load-balancer"), place)


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """kong.yml and kong.conf; passwords are references that Kong resolves from its environment."""
    ctx = context(inputs)
    return tuple(FileSpec(f"kong/{name}", f"kong/{name}.j2", ctx) for name in ("kong.yml", "kong.conf"))
