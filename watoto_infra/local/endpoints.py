"""Where each local process of a stack answers: the stack's own outputs, and ports of the table for all the rest."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from watoto_infra.rendering.endpoints import Endpoints, Port
from watoto_infra.servers.endpoints import of_outputs, server_names, with_ports
from watoto_infra.settings.stage import StageSettings
from watoto_infra.values.addresses import UNDECLARED, Addresses, Endpoint
from watoto_infra.values.outputs import StackOutputs


def local_endpoints(
    outputs: StackOutputs, settings: StageSettings, addresses: Addresses, s3_endpoint: str
) -> Endpoints:
    """Give the address of every process. Reserving a port for each is all this does; nothing is started."""

    def app_server(name: str) -> Endpoint:
        # No URN: app servers keep their ports when the ASG becomes a Deployment.
        return addresses.reserve(UNDECLARED, name, name)

    def at(port: Port, index: int, name: str) -> Endpoint:
        if not port.local:
            return usual.listening[port.kind][index]
        return addresses.reserve(port.urn(outputs, name), (port.reserved_as or port.kind).format(name=name), name)

    usual = of_outputs(outputs, settings)
    main, *others = settings.app.groups
    door = urlsplit(f"//{outputs.load_balancer.dns_name}")
    declared = replace(
        usual,
        front_door=Endpoint(door.hostname or "", door.port or 80, "front-door"),
        app_servers=tuple(map(app_server, server_names(main))),
        services={group.service: tuple(map(app_server, server_names(group))) for group in others},
        s3_endpoint=s3_endpoint,
        media_origins=(s3_endpoint,),
    )
    return with_ports(declared, settings, at)
