"""Kong: the API gateway of phase 3, which runs in pods. nginx stands for it on this machine."""

from __future__ import annotations

from watoto_infra.rendering.endpoints import Port
from watoto_infra.rendering.versions import Release
from watoto_infra.servers.server import Server

PROXY = Port("kong", 8100, local=False)

SERVER = Server(
    family="kong",
    summary="declarative configuration of the API gateway, checked against Kong's published schema only",
    checked_by="Kong where it is installed; else Kong 3.9's published schema: `schema only`",
    local=False,
    releases={"kong": Release((3, 4), (3, 9), (3, 9))},
    ports=(PROXY,),
)
