"""Where the servers of this machine are of another version than the declared ones."""

from __future__ import annotations

from collections.abc import Callable

from watoto_infra.rendering.versions import Version, installed, parse
from watoto_infra.settings.stage import StageSettings


def differences(settings: StageSettings, look: Callable[[str], Version | None] = installed) -> tuple[str, ...]:
    """Say for each server what is declared and what it is rehearsed on, where that differs.

    A declared version says as much as it has parts: ``15`` is met by any 15.x.
    """
    declared = {
        "postgresql": ("PostgreSQL", settings.database.engine_version),
        "redis": ("Redis", settings.cache.engine_version),
        "rabbitmq": ("RabbitMQ", settings.queue.engine_version),
    }
    found = []
    for server, (title, wanted) in declared.items():
        here, parts = look(server), parse(wanted)
        if here is not None and here[: len(parts)] != parts:
            found.append(f"{title}: declared {wanted}, rehearsed on {'.'.join(map(str, here))}")
    return tuple(found)
