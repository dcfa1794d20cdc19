"""The rendered tree the local servers read: rendered, checked by those servers, and only then put in place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from watoto_infra.errors import CheckFailed
from watoto_infra.rendering import use_cases
from watoto_infra.rendering.model import RenderedFile
from watoto_infra.servers.topology import Topology
from watoto_infra.templating import Templates

FAMILIES = (
    "nginx",
    "prometheus",
    "alertmanager",
    "postgresql",
    "pgbouncer",
    "redis",
    "rabbitmq",
    "gunicorn",
    "backup",
)
"""What local processes read; the other families are for machines elsewhere."""

BEFORE_FIRST_START = frozenset({"nginx"})
"""Families checked before anything runs: their servers start although the machine's limits are too low for them."""


def place(topology: Topology) -> tuple[str, ...]:
    """Bring the tree to what the topology renders, and give the paths that changed.

    Before a live file is replaced, its family is checked by its servers; before the first start that start itself is
    the check. Raises ``CheckFailed`` with the server's own words; then every file is as it was.
    """
    files = use_cases.render(FAMILIES, topology.inputs, Templates())
    changed = tuple(file for file in files if not _is_there(topology, file))
    if not changed:
        return ()
    families = sorted({family for file in changed if _needs_check(topology, family := file.path.partition("/")[0])})
    for finding in use_cases.check(families, files, topology.inputs):
        if finding.refused:
            raise CheckFailed(
                f"{finding.checked_by} refuses {finding.subject} of stack {topology.home.stack}: {finding.detail}",
                hint="nothing was changed; mend the setting it names",
            )
    _write(topology, changed)
    return tuple(file.path for file in changed)


def _needs_check(topology: Topology, family: str) -> bool:
    return family in BEFORE_FIRST_START or (topology.config / family).exists()


def _is_there(topology: Topology, file: RenderedFile) -> bool:
    path = topology.config / file.path
    try:
        return path.read_text(encoding="utf-8") == file.text
    except (OSError, UnicodeDecodeError):
        return False


def _write(topology: Topology, files: Sequence[RenderedFile]) -> None:
    identity, top = topology.identity, identity_folder(topology)
    use_cases.write(files, top)
    for file in files:
        path = top / file.path
        for owned in (path, *(parent for parent in path.parents if parent.is_relative_to(top))):
            os.chown(owned, identity.uid, identity.gid)


def identity_folder(topology: Topology) -> Path:
    """Give the folder of the tree, made for the processes' user alone."""
    return topology.identity.own_folder(topology.config)
