"""Kubernetes: the API server that takes the objects a stack declares."""

from __future__ import annotations

from watoto_infra.servers.server import Server

SERVER = Server(
    family="kubernetes",
    summary="manifests of the Kubernetes objects that a stack declares, numbered in the order to apply them in",
    checked_by="kubernetes-validate: the API's schema of each kind; a custom resource without one: `not validated`",
    local=False,
)
