"""The families of files that can be rendered. A family's module is imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from watoto_infra.errors import UsageError

if TYPE_CHECKING:
    from watoto_infra.rendering.model import Family

ALL = "all"

FAMILIES: dict[str, str] = {
    "nginx": "nginx",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "grafana": "grafana",
    "kong": "kong",
    "postgresql": "postgresql",
    "pgbouncer": "pgbouncer",
    "redis": "redis",
    "rabbitmq": "rabbitmq",
    "gunicorn": "lms",
    "backup": "backup",
    "cloud-init": "cloud_init",
    "kubernetes": "kubernetes",
}
"""Name on the command line to module of ``families``."""


def family(name: str) -> Family:
    """Give a family. Raises ``UsageError`` for an unknown one."""
    module = FAMILIES.get(name)
    if module is None:
        raise UsageError(f"there is no family {name!r}", hint=f"families: {', '.join([*FAMILIES, ALL])}")
    return cast("Family", import_module(f"watoto_infra.servers.{module}.config"))


def chosen(name: str) -> tuple[str, ...]:
    """Give the families one name stands for."""
    if name == ALL:
        return tuple(FAMILIES)
    family(name)
    return (name,)
