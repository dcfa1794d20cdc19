"""Structured logs: one JSON object a line on stderr, each with the id of the request that it belongs to."""

from __future__ import annotations

import logging.config
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor


def _to_json(_logger: object, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def standard_config(level: str) -> dict[str, Any]:
    """Return the configuration of Python's own logging: every library's lines come out as ours do."""
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
            for name in ("gunicorn", "gunicorn.error", "celery", "celery.task", "celery.redirected")
        }
        | {"sqlalchemy.engine": {"level": "WARNING"}, "botocore": {"level": "WARNING"}},
    }


def configure(level: str) -> None:
    """Make the logs of this process what they should be. Called by what starts a process, never on import."""
    logging.config.dictConfig(standard_config(level))
    structlog.configure(
        processors=[*_SHARED, _to_json],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
