"""Prometheus as an agent on an app server of AWS: it keeps nothing and sends what it scrapes to a managed workspace."""

from __future__ import annotations

from watoto_infra.servers.server import Server

SERVER = Server(
    family="collector",
    summary="Prometheus's agent mode for an app server on AWS: what is scraped there, and the workspace it is sent to",
    checked_by="promtool: config of an agent",
    local=False,
)
