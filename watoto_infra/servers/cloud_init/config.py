"""cloud-init: what an app server does at its first boot; the same template makes the launch template's user data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watoto_infra.derived import names
from watoto_infra.derived.background import jobs
from watoto_infra.derived.nginx import NginxContext
from watoto_infra.derived.user_data import FirstBoot
from watoto_infra.errors import RenderError
from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.servers.nginx import config as nginx
from watoto_infra.settings.app import Platform

FILE = "cloud-init/user-data.yaml"


@dataclass(frozen=True)
class CloudInitContext(FirstBoot):
    """What the user data may say; the same fields as the launch template's own context.

    ``parameters`` is the path below which Parameter Store has the addresses; ``*_secret`` name secrets and hold none.
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
    parameters: str
    log_group: str
    app_secret: str
    cache_secret: str
    state_secret: str
    queue_secret: str
    mail_secret: str
    jobs: Mapping[str, tuple[str, ...]]


CONTEXTS: tuple[type, ...] = (CloudInitContext,)


def context(inputs: Inputs) -> CloudInitContext:
    """Build the context. Raises ``RenderError`` where no image is named."""
    settings, kept = inputs.settings, inputs.references
    image = kept.image or settings.app.image
    if image is None:
        raise RenderError(
            "app.image is not set, so a server would not know what to run",
            hint="set app.image to repository@sha256:<digest> in stacks/overlays/aws.yaml",
        )
    return CloudInitContext(
        image=values.token(image, "app.image"),
        region=values.token(inputs.endpoints.region, "region"),
        gateway=nginx.context(inputs, "gateway"),
        port=settings.app.port,
        gateway_port=settings.app.gateway_port,
        pool_size=settings.database.pool.max_size,
        l1_seconds=settings.cache.l1_seconds,
        l2_seconds=settings.cache.l2_seconds,
        cache_is_cluster=settings.cache.cache.shards > 1,
        parameters=values.path(names.endpoint_parameters(inputs.stack), "path of parameters"),
        log_group=values.path(names.app_log_group(inputs.stack), "log group"),
        app_secret=values.token(kept.app_secret, "a secret's name"),
        cache_secret=values.token(kept.cache_secret, "a secret's name"),
        state_secret=values.token(kept.state_secret, "a secret's name"),
        queue_secret=values.token(kept.queue_secret, "a secret's name"),
        mail_secret=settings.app.mail_secret_arn or "",
        jobs=jobs(settings.app),
    )


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """One document; none where the LMS is in pods, which boot no server of ours."""
    if inputs.settings.app.platform is Platform.KUBERNETES:
        return ()
    return (FileSpec(FILE, f"{FILE}.j2", context(inputs)),)
