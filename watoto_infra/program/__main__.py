"""The Pulumi program: reads which stage this stack is, and declares it.

Configuration: ``watoto:stage`` (a stage's name), ``watoto:target`` (``aws`` unless said otherwise) and
``watoto:overrides`` (JSON of settings laid over the stage). Runs alike under the official CLI and the embedded engine.
"""

from __future__ import annotations

from watoto_infra.program.entry import main

main()
