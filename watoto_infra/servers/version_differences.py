"""Where the servers of this machine are of another version than the declared ones."""

from __future__ import annotations

from collections.abc import Callable

from watoto_infra.rendering.versions import Release, Version, installed, parse
from watoto_infra.servers.registry import servers
from watoto_infra.settings.stage import StageSettings


def version_differences(
    settings: StageSettings, look: Callable[[Release], Version | None] = installed
) -> tuple[str, ...]:
    """Say for each server which version is declared and which it is rehearsed on, where the two differ.

    A declared version says as much as it has parts: ``15`` is met by any 15.x.
    """
    differences = []
    for name, server in servers().items():
        if server.declared_version is None:
            continue
        declared, here = server.declared_version(settings), look(server.releases[name])
        parts = parse(declared)
        if here is not None and here[: len(parts)] != parts:
            differences.append(f"{server.title}: declared {declared}, rehearsed on {'.'.join(map(str, here))}")
    return tuple(differences)
