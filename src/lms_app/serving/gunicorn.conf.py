"""gunicorn's settings, from the LMS's environment: `gunicorn -c gunicorn.conf.py` is the whole command."""

import os
import tempfile
from pathlib import Path

# Without the folder each worker would answer a scrape with its own metrics alone.
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="lms-metrics-")

from lms_app.observability import logs
from lms_app.serving import hooks
from lms_app.serving.hooks import child_exit, on_exit, post_fork, pre_fork
from lms_app.settings import settings_or_exit

__all__ = ["child_exit", "on_exit", "post_fork", "pre_fork"]

_settings = settings_or_exit()
hooks.prepare()
logs.configure(_settings.log_level)

wsgi_app = "lms_app.app:create_app()"
bind = [_settings.web_bind]
workers = _settings.web_workers or 2 * hooks.processors() + 1
threads = _settings.web_threads
worker_class = "lms_app.serving.worker.Worker"
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- a heartbeat must not wait for a disk
preload_app = True

backlog = 2048
timeout = _settings.web_timeout_s
graceful_timeout = 30
keepalive = 75  # longer than the proxy keeps an idle connection (30 s), or it sends into a closing one
max_requests = 50_000
max_requests_jitter = 5_000

forwarded_allow_ips = ""  # no forwarded header is trusted here
control_socket_disable = True
logger_class = "lms_app.serving.hooks.Logger"
loglevel = _settings.log_level.lower()
