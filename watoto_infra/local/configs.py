"""The rendered tree the local servers read: rendered, checked by those servers, and only then put in place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from watoto_infra.errors import CheckFailed
from watoto_infra.rendering import use_cases
from watoto_infra.rendering.model import Family, RenderedFile
from watoto_infra.servers.registry import local_families, server_of
from watoto_infra.servers.topology import Topology
from watoto_infra.templating import Templates


def place(topology: Topology) -> tuple[str, ...]:
    """Bring the tree to what the topology renders, and give the paths that changed.

    Before a live file is replaced, its family is checked by its servers; before the first start that start itself is
    the check. Raises ``CheckFailed`` with the server's own words; then every file is as it was.
    """
    families = local_families()
    files = use_cases.render(families, topology.inputs, Templates())
    changed = tuple(file for file in files if not _is_there(topology, file))
    if not changed:
        return ()
    folders = {file.path.partition("/")[0] for file in changed}
    checked = [family for family in families if family.name in folders and _needs_check(topology, family)]
    for finding in use_cases.check(checked, files, topology.inputs):
        if finding.refused:
            raise CheckFailed(
                f"{finding.checked_by} refuses {finding.subject} of stack {topology.home.stack}: {finding.detail}",
                hint="nothing was changed; mend the setting it names",
            )
    _write(topology, changed)
    return tuple(file.path for file in changed)


def _needs_check(topology: Topology, family: Family) -> bool:
    return server_of(family.name).starts_unchecked or (topology.config / family.name).exists()


def _is_there(topology: Topology, file: RenderedFile) -> bool:
    path = topology.config / file.path
    try:
        return path.read_text(encoding="utf-8") == file.text
    except (OSError, UnicodeDecodeError):
        return False


def _write(topology: Topology, files: Sequence[RenderedFile]) -> None:
    user, top = topology.user, config_folder(topology)
    use_cases.write(files, top)
    for file in files:
        path = top / file.path
        for owned in (path, *(parent for parent in path.parents if parent.is_relative_to(top))):
            os.chown(owned, user.uid, user.gid)


def config_folder(topology: Topology) -> Path:
    """Give the folder of the tree, made for the processes' user alone."""
    return topology.user.own_folder(topology.config)
