"""An app server's user data, rendered once every address that it refers to is known."""

from __future__ import annotations

from dataclasses import fields, replace

import pulumi

from watoto_infra.derived.user_data import TEMPLATE, References, UserData
from watoto_infra.templating import Templates


def render(data: UserData[pulumi.Input[str]]) -> pulumi.Output[str]:
    """Render the cloud-init document."""
    awaited = {field.name: getattr(data.references, field.name) for field in fields(data.references)}

    def document(known: dict[str, str]) -> str:
        ready = replace(data, parameters=known.pop("parameters"), references=References(**known))
        return Templates().render(TEMPLATE, ready)

    return pulumi.Output.all(parameters=data.parameters, **awaited).apply(document)
