"""Where app servers find what they use: addresses in Parameter Store, read by each server when it boots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import ssm

from watoto_infra.components.context import Context
from watoto_infra.derived.names import endpoint_parameters


@dataclass(frozen=True, kw_only=True)
class EndpointParametersArgs:
    """``values`` by the rest of the parameter's name, such as ``cache`` or ``databases/main``; none is secret."""

    context: Context
    values: Mapping[str, pulumi.Input[str]]


class EndpointParameters(pulumi.ComponentResource):
    """One parameter for each address. An address that changes makes no new server: running ones read it at a boot."""

    path: pulumi.Output[str]

    def __init__(self, name: str, args: EndpointParametersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:app:EndpointParameters", name, {}, opts)
        path = endpoint_parameters(args.context.stack)
        parameters = [
            ssm.Parameter(
                f"watoto-{key.replace('/', '-')}",
                name=f"{path}/{key}",
                type="String",
                insecure_value=value,
                description=f"Where app servers find {key}",
                tags=args.context.tags(f"watoto-{key.replace('/', '-')}"),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for key, value in args.values.items()
        ]
        # Whoever gets the path can read what is below it.
        self.path = pulumi.Output.all(*(parameter.id for parameter in parameters)).apply(lambda _: path)
        self.register_outputs({"path": self.path})
