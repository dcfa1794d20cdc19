"""Finds the servers: a folder of this package with a ``server.py`` is one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING, cast

from watoto_infra.errors import SettingsError, UsageError
from watoto_infra.rendering.versions import Release
from watoto_infra.servers import __path__ as FOLDERS  # noqa: N812 - a constant of Python's own naming
from watoto_infra.servers.server import Server

if TYPE_CHECKING:
    from types import ModuleType

    from watoto_infra.rendering.model import Family
    from watoto_infra.servers.topology import Topology
    from watoto_infra.settings import LoadedStage
    from watoto_infra.supervision.service import Unit

ALL = "all"
"""Stands for every family on the command line."""


@cache
def servers() -> Mapping[str, Server]:
    """Give every server by the name of its package, in the order of their names."""
    packages = sorted(module.name for module in iter_modules(FOLDERS) if module.ispkg)
    return {name: cast("Server", _module(name, "server").SERVER) for name in packages}


def family_names() -> tuple[str, ...]:
    """Give the families of files, in the order of their servers' packages."""
    return tuple(server.family for server in servers().values() if server.family)


def local_families() -> tuple[Family, ...]:
    """Give the families whose files are read on this machine."""
    return tuple(family(server.family) for server in servers().values() if server.family and server.local)


def chosen(name: str) -> tuple[Family, ...]:
    """Give the families that a name or ``ALL`` stands for. Raises ``UsageError`` for an unknown one."""
    return tuple(map(family, family_names())) if name == ALL else (family(name),)


def server_of(family_name: str) -> Server:
    """Give the server whose files a family is. Raises ``UsageError`` for an unknown one."""
    return servers()[_package_of(family_name)]


@cache
def family(name: str) -> Family:
    """Give a family; only its own server's modules are imported. Raises ``UsageError`` for an unknown one."""
    from watoto_infra.rendering.model import Family  # noqa: PLC0415 - the names alone cost less

    package = _package_of(name)
    config = _module(package, "config")
    return Family(
        name=name,
        summary=servers()[package].summary,
        contexts=config.CONTEXTS,
        files=config.files,
        # Checkers are imported when they are needed: rendering alone needs none.
        check=lambda tree, files, inputs: _module(package, "check").check(tree, files, inputs),
    )


def releases() -> Mapping[str, Release]:
    """Give the releases of everything that has versions, by name."""
    return {name: release for server in servers().values() for name, release in server.releases.items()}


def refuse_unknown_versions(loaded: LoadedStage) -> None:
    """Raise ``SettingsError`` where a stage sets the version of a server that has none."""
    known = releases()
    for name in loaded.settings.versions:
        if name not in known:
            raise SettingsError(
                f"{loaded.origins['versions']}: versions.{name}: there is no server of that name",
                hint=f"servers: {', '.join(sorted(known))}",
            )


def units(topology: Topology) -> tuple[Unit, ...]:
    """Describe everything that the servers' packages run on this machine."""
    processes = (_module(name, "process") for name in servers() if find_spec(_path(name, "process")))
    return tuple(unit for process in processes for unit in process.units(topology))


def _package_of(family_name: str) -> str:
    if family_name not in family_names():
        raise UsageError(f"there is no family {family_name!r}", hint=f"families: {', '.join([*family_names(), ALL])}")
    return next(package for package, server in servers().items() if server.family == family_name)


def _module(package: str, name: str) -> ModuleType:
    return import_module(_path(package, name))


def _path(package: str, name: str) -> str:
    return f"watoto_infra.servers.{package}.{name}"
