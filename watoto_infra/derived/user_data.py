"""What an app server does at its first boot: the context of its user data, for the program and for rendering.

The program knows addresses and secrets as outputs that are still to come (``Text`` is ``pulumi.Input[str]``), rendering
knows them as text. User data names where secrets are kept and holds none: who may read instance metadata may read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from watoto_infra.derived import names
from watoto_infra.derived.background import jobs
from watoto_infra.derived.lms_environment import (
    JOB_STOP_SECONDS,
    WEB_STOP_SECONDS,
    LmsEnvironment,
    container_bind,
    lms_environment,
)
from watoto_infra.derived.machines import of_app_server
from watoto_infra.derived.nginx import NginxContext
from watoto_infra.settings.stage import StageSettings

TEMPLATE = "cloud-init/user-data.yaml.j2"
ECR = ".amazonaws.com"

Text = TypeVar("Text")


@dataclass(frozen=True, kw_only=True)
class References(Generic[Text]):
    """What an app server reads when it boots: secrets by name or ARN. Nothing in here is secret."""

    app_secret: Text
    cache_secret: Text
    state_secret: Text
    queue_secret: Text


@dataclass(frozen=True)
class Container:
    """A container of an app server; without a ``command`` it runs its image's own.

    ``published`` is whether it answers requests; ``stop_seconds`` is how long it gets to end.
    """

    name: str
    published: bool
    stop_seconds: int
    command: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UserData(Generic[Text]):
    """The context of the template. ``gateway`` is nginx's, in front of the LMS on the same server.

    ``parameters`` is the path below which Parameter Store has the addresses. ``jobs`` work beside the LMS's app server,
    by name with what ``flask`` is told; ``mail_secret`` is empty where nobody says how mail is sent.
    """

    image: str
    region: str
    gateway: NginxContext
    environment: LmsEnvironment
    port: int
    bind: str
    log_group: str
    parameters: Text
    references: References[Text]
    mail_secret: str
    jobs: Mapping[str, tuple[str, ...]]

    @property
    def sign_in(self) -> str:
        """The command that lets docker pull from a registry on ECR; nothing for any other registry."""
        registry = self.image.partition("/")[0]
        if not registry.endswith(ECR):
            return "true"
        password = f"aws ecr get-login-password --region {self.region}"
        return f"{password} | docker login --username AWS --password-stdin {registry}"

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers of a server, the LMS's app server first."""
        beside = (
            Container(f"lms-{name}", published=False, stop_seconds=JOB_STOP_SECONDS, command=("flask", *arguments))
            for name, arguments in self.jobs.items()
        )
        return (Container("lms", published=True, stop_seconds=WEB_STOP_SECONDS), *beside)


def user_data(
    settings: StageSettings,
    *,
    stack: str,
    image: str,
    gateway: NginxContext,
    parameters: Text,
    references: References[Text],
) -> UserData[Text]:
    """Build the context from a stage and from what its app servers are pointed at."""
    app = settings.app
    return UserData(
        image=image,
        region=settings.region,
        gateway=gateway,
        environment=lms_environment(settings, of_app_server(app)),
        port=app.port,
        bind=container_bind(app),
        log_group=names.app_log_group(stack),
        parameters=parameters,
        references=references,
        mail_secret=app.mail_secret_arn or "",
        jobs=jobs(app),
    )
