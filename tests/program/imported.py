"""Importing this imports everything the program may import: whoever forks afterwards runs the program at once."""

from __future__ import annotations

import sys
from types import ModuleType

import watoto_infra.components.kubernetes.workloads
import watoto_infra.program.entry  # noqa: F401

for name, module in list(sys.modules.items()):
    if name.startswith("watoto_infra.components"):
        for used in vars(module).values():
            if isinstance(used, ModuleType):
                hasattr(
                    used, "anything"
                )  # the SDK's services are only imported when something of them is first looked at
