"""Every resource type that the provider serves, found in ``tables/``: a new table file is in it by being there."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from watoto_infra.providers.aws import tables
from watoto_infra.providers.aws.table import Resource


def discover(package: ModuleType) -> dict[str, Resource]:
    """Give the entries of every module of a package, by Pulumi's type token.

    Raises ``ValueError`` for a type that is given twice, ``AttributeError`` for a module without ``RESOURCES``.
    """
    found: dict[str, Resource] = {}
    where: dict[str, str] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for entry in importlib.import_module(f"{package.__name__}.{module.name}").RESOURCES:
            if entry.type in found:
                raise ValueError(f"{entry.type} is in two tables: {where[entry.type]} and {module.name}")
            found[entry.type] = entry
            where[entry.type] = module.name
    return found


RESOURCES: dict[str, Resource] = discover(tables)
