"""Importing this imports what the program will import, and declares nothing: forks run the program at once."""

from __future__ import annotations

import sys
from types import ModuleType

import watoto_infra.program.entry  # noqa: F401

for name, module in list(sys.modules.items()):
    if name.startswith("watoto_infra.components"):
        for used in vars(module).values():
            if isinstance(used, ModuleType):
                # The SDK imports a service when something of it is first looked at.
                hasattr(used, "anything")
