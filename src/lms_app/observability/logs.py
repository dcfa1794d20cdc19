"""Structured logs: one JSON object a line on stderr, each with the id of the request that it belongs to."""

from __future__ import annotations

import logging
import logging.config
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

_access = logging.getLogger("lms_app.access")


def _to_json(_logger: object, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def _standard_config(level: str) -> dict[str, Any]:
    """Return a configuration of Python's logging in which the lines of all libraries become JSON too."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _to_json],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            name: {"handlers": [], "level": level, "propagate": True}
            for name in ("celery", "celery.task", "celery.redirected")
        }
        | {name: {"level": "WARNING"} for name in ("alembic", "botocore", "sqlalchemy.engine")},
    }


def configure(level: str) -> None:
    """Switch this process to JSON logs of this level. Call it where a process starts, never on import."""
    logging.config.dictConfig(_standard_config(level))


def write_request(fields: dict[str, object]) -> None:
    """Write the line of a request, if the level INFO is logged.

    It goes straight to stderr: logging and structlog would take as long as half of a request.
    """
    if not _access.isEnabledFor(logging.INFO):
        return
    said = {"event": "request", "logger": _access.name, "level": "info", "timestamp": datetime.now(UTC)}
    sys.stderr.buffer.write(orjson.dumps(said | fields, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))
    sys.stderr.buffer.flush()
