"""What an app server does at its first boot: cloud-init, rendered from the stack's addresses.

It names where secrets are kept and holds none: who may read instance metadata may read user data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pulumi

from watoto_infra.derived.nginx import NginxContext
from watoto_infra.derived.user_data import FirstBoot
from watoto_infra.templating import Templates

TEMPLATE = "cloud-init/user-data.yaml.j2"


@dataclass(frozen=True, kw_only=True)
class UserData(FirstBoot):
    """The template's context. ``gateway`` is nginx's, in front of the LMS.

    ``jobs`` work beside the LMS's app server; ``mail_secret`` is empty where nobody says how mail is sent.
    ``parameters`` is the path below which Parameter Store has the addresses, ``*_secret`` are ARNs. Every field may be
    an output before it is rendered.
    """

    image: str
    region: str
    gateway: NginxContext
    log_group: str
    port: int
    gateway_port: int
    pool_size: int
    l1_seconds: int
    l2_seconds: int
    cache_is_cluster: bool
    parameters: pulumi.Input[str]
    app_secret: pulumi.Input[str]
    cache_secret: pulumi.Input[str]
    state_secret: pulumi.Input[str]
    queue_secret: pulumi.Input[str]
    mail_secret: str
    jobs: Mapping[str, tuple[str, ...]]


def render(data: UserData) -> pulumi.Output[str]:
    """Render the cloud-init document once every address is known."""
    values: dict[str, Any] = {field.name: getattr(data, field.name) for field in fields(data)}
    return pulumi.Output.all(**values).apply(lambda known: Templates().render(TEMPLATE, UserData(**known)))
