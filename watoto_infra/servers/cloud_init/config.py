"""cloud-init: what an app server does at its first boot; the same template makes the launch template's user data."""

from __future__ import annotations

from watoto_infra.derived import names
from watoto_infra.derived.user_data import TEMPLATE, References, UserData, user_data
from watoto_infra.errors import RenderError
from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.servers.nginx import config as nginx
from watoto_infra.settings.app import Platform

FILE = "cloud-init/user-data.yaml"


CONTEXTS: tuple[type, ...] = (UserData,)


def context(inputs: Inputs) -> UserData[str]:
    """Build the context. Raises ``RenderError`` where no image is named."""
    settings, named = inputs.settings, inputs.references
    image = inputs.image or settings.app.image
    if image is None:
        raise RenderError(
            "app.image is not set, so a server would not know what to run",
            hint="set app.image to repository@sha256:<digest> in stacks/overlays/aws.yaml",
        )
    values.path(names.app_log_group(inputs.stack), "log group")
    return user_data(
        settings,
        stack=inputs.stack,
        image=values.token(image, "app.image"),
        gateway=nginx.context(inputs, "gateway"),
        parameters=values.path(names.endpoint_parameters(inputs.stack), "path of parameters"),
        references=References(
            app_secret=values.token(named.app_secret, "a secret's name"),
            cache_secret=values.token(named.cache_secret, "a secret's name"),
            state_secret=values.token(named.state_secret, "a secret's name"),
            queue_secret=values.token(named.queue_secret, "a secret's name"),
        ),
    )


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """One document; none where the LMS is in pods, which boot no server of ours."""
    if inputs.settings.app.platform is Platform.KUBERNETES:
        return ()
    return (FileSpec(FILE, TEMPLATE, context(inputs)),)
