"""The Pulumi program: reads which stage this stack is, and declares it.

Configuration: ``watoto:stage`` (a stage's name), ``watoto:target`` (``aws`` unless said otherwise) and
``watoto:overrides`` (JSON of settings laid over the stage). Runs alike under the official CLI and the embedded engine.
"""

from __future__ import annotations

import sys
from pathlib import Path

# The official CLI runs this file by its path, in a checkout that need not be installed.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from watoto_infra.program.entry import main

main()
