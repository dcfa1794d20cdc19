"""The command line, killed with -9 right after a service has answered for a resource type and before the journal knows.

``python -m tests.stack.killer TYPE[,PID] -- up --stage …``: TYPE is a resource type; PID, if given, dies with us.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from typing import Any

from watoto_infra.cli.app import main
from watoto_infra.engine.embedded.state.model import ResourceState
from watoto_infra.engine.embedded.state.recorder import Recorder


def die_at(resource_type: str, companion: int | None) -> None:
    """Let the first operation on a resource of the type end without a record of it."""
    finish = Recorder.finish

    def dying(
        self: Recorder, token: str, *, put: Iterable[ResourceState] = (), drop: Iterable[ResourceState] = ()
    ) -> None:
        put, drop = tuple(put), tuple(drop)
        if any(state.type == resource_type for state in (*put, *drop)):
            if companion:
                os.kill(companion, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        finish(self, token, put=put, drop=drop)

    Recorder.finish = dying  # type: ignore[method-assign]


def run(arguments: list[str]) -> Any:
    where, _, rest = arguments[0], arguments[1], arguments[2:]
    resource_type, _, companion = where.partition(",")
    die_at(resource_type, int(companion) if companion else None)
    sys.argv = ["watoto", *rest]
    main()


if __name__ == "__main__":
    run(sys.argv[1:])
