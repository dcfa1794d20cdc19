"""What gunicorn.conf.py hands to gunicorn: the logger, and the functions that gunicorn calls around a fork."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from lms_app.observability import metrics, slots

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
_prepared = False


class Logger(GunicornLogger):  # type: ignore[misc]
    """gunicorn's logger without handlers of its own: its lines become JSON as all others of the process."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True

    def access(self, *_: Any) -> None:
        """Log nothing: `lms_app.observability.requests` logs the requests."""


def processors() -> int:
    """Return the number of processors that this container may use (cgroup v2), at least 1."""
    available = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):
        quota, period = CPU_LIMIT.read_text().split()
        available = min(available, max(1, round(int(quota) / int(period))))
    return available


def prepare() -> None:
    """Empty the metrics folder when the server starts, but not when it reloads its configuration."""
    global _prepared  # noqa: PLW0603 -- gunicorn runs its configuration file anew at a reload
    if not _prepared:
        metrics.prepare_folder()
        _prepared = True


def pre_fork(server: Any, worker: Any) -> None:
    """Give a new worker the lowest slot that no other worker has, and share the app's memory with it."""
    gc.freeze()  # workers neither collect the objects made before the fork nor copy their pages by looking
    worker.slot = slots.lowest_free({other.slot for other in server.WORKERS.values()})


def post_fork(_server: Any, worker: Any) -> None:
    """Let the new worker count its metrics under its slot."""
    metrics.enter(f"web{worker.slot}")


def child_exit(_server: Any, worker: Any) -> None:
    """Drop the gauges of a worker that has ended; its counters stay."""
    metrics.forget_process(f"web{worker.slot}")


def on_exit(_server: Any) -> None:
    """Remove the metrics folder, if gunicorn.conf.py made it because none was given."""
    folder = Path(os.environ[metrics.FOLDER_VARIABLE])
    if folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith("lms-metrics-"):
        shutil.rmtree(folder, ignore_errors=True)
