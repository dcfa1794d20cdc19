"""cloud-init: what an app server on AWS does at its first boot."""

from __future__ import annotations

from watoto_infra.servers.server import Server

SERVER = Server(
    family="cloud-init",
    summary="user data of the launch template: nginx gateway and the LMS's container by digest",
    checked_by="cloud-init's schema, shellcheck, nginx, EC2's limit of 16 KiB",
    local=False,
)
