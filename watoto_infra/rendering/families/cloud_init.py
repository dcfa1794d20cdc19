"""cloud-init: what an app server does at its first boot; the same template makes the launch template's user data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.errors import RenderError
from watoto_infra.gateway import NginxContext
from watoto_infra.rendering import values
from watoto_infra.rendering.checks import cloud_init as checks
from watoto_infra.rendering.families import nginx
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import Finding, Piece, RenderedFile

SUMMARY = "user data of the launch template: nginx gateway and the LMS's container by digest"

FILE = "cloud-init/user-data.yaml"
ECR = ".amazonaws.com"


@dataclass(frozen=True)
class CloudInitContext:
    """What the user data may say; the same fields as the launch template's own context.

    Databases are ``host:port/name``, caches and queue ``host:port``; ``*_secret`` name secrets and hold none.
    """

    image: str
    region: str
    gateway: NginxContext
    port: int
    gateway_port: int
    pool_size: int
    l1_seconds: int
    l2_seconds: int
    cache_is_cluster: bool
    database: str
    replicas: tuple[str, ...]
    cache: str
    state: str
    queue: str
    media_bucket: str
    log_group: str
    app_secret: str
    database_secret: str
    cache_secret: str
    state_secret: str
    queue_secret: str

    @property
    def sign_in(self) -> str:
        """The command that lets docker pull from a registry on ECR; nothing for any other registry."""
        registry = self.image.partition("/")[0]
        if not registry.endswith(ECR):
            return "true"
        password = f"aws ecr get-login-password --region {self.region}"
        return f"{password} | docker login --username AWS --password-stdin {registry}"


CONTEXTS: tuple[type, ...] = (CloudInitContext,)


def context(inputs: Inputs) -> CloudInitContext:
    """Build the context. Raises ``RenderError`` where no image is named."""
    settings, endpoints = inputs.settings, inputs.endpoints
    if settings.app.image is None:
        raise RenderError(
            "app.image is not set, so a server would not know what to run",
            hint="set app.image to repository@sha256:<digest> in stacks/overlays/aws.yaml",
        )
    main, name = endpoints.databases[0], settings.database.name
    roles = set(settings.cache.groups)
    return CloudInitContext(
        image=values.token(settings.app.image, "app.image"),
        region=values.token(endpoints.region, "region"),
        gateway=nginx.context(inputs, "gateway"),
        port=settings.app.port,
        gateway_port=settings.app.gateway_port,
        pool_size=settings.database.pool.max_size,
        l1_seconds=settings.cache.l1_seconds,
        l2_seconds=settings.cache.l2_seconds,
        cache_is_cluster=settings.cache.cache.shards > 1,
        database=f"{_address(main.primary.host, main.primary.port)}/{name}",
        replicas=tuple(f"{_address(replica.host, replica.port)}/{name}" for replica in main.replicas),
        cache=_address(endpoints.cache.host, endpoints.cache.port),
        state=_address(endpoints.state.host, endpoints.state.port),
        queue=_address(endpoints.queue.host, endpoints.queue.port),
        media_bucket=values.token(endpoints.media_bucket, "name of the media bucket"),
        log_group="watoto/app",
        app_secret="watoto/app/secret-key",  # noqa: S106 - names of secrets, which Secrets Manager takes like ARNs
        database_secret="watoto/database/watoto-lms",  # noqa: S106
        cache_secret="watoto/cache/cache",  # noqa: S106
        state_secret=f"watoto/cache/{'state' if 'state' in roles else 'cache'}",
        queue_secret="watoto/queue",  # noqa: S106
    )


def _address(host: str, port: int) -> str:
    return f"{values.host(host, 'an address')}:{port}"


def pieces(inputs: Inputs) -> tuple[Piece, ...]:
    """One document."""
    return (Piece(FILE, f"{FILE}.j2", context(inputs)),)


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[Finding, ...]:
    """Ask cloud-init's schema, shellcheck for the script in it and nginx for the gateway in it."""
    del files, inputs
    return checks.check(tree, FILE)
