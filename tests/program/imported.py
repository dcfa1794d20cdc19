"""Importing this imports everything the program may import: whoever forks afterwards runs the program at once."""

from __future__ import annotations

import watoto_infra.components.kubernetes.workloads
import watoto_infra.program.preload  # noqa: F401
