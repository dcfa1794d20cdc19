"""The cases of every AWS resource type, found in the modules beside this one."""

from __future__ import annotations

import importlib
import pkgutil

import tests.providers.aws
from tests.providers.world import Case
from watoto_infra.providers.aws.registry import RESOURCES

CASES: list[Case] = [
    case
    for module in pkgutil.iter_modules(tests.providers.aws.__path__)
    if module.name.startswith("cases_")
    for case in importlib.import_module(f"tests.providers.aws.{module.name}").CASES
]

LISTINGS = frozenset((RESOURCES[case.type].service, *case.listing) for case in CASES if case.listing)
"""Service, method and where its answer holds the list, of every type that is listed without naming a parent."""
