"""Where the processor time of GET /api/courses goes, by layer. Run in the environment of a running LMS; prints JSON."""

from __future__ import annotations

import cProfile
import io
import json
import pstats
import sys
import time
from collections import Counter
from typing import Any

from werkzeug.test import EnvironBuilder

from lms_app.app import create_app

REQUESTS = 3000
LAYERS = (
    ("our API", "/lms_app/api/"),
    ("our cache", "/lms_app/caching/"),
    ("our metrics and logs", "/lms_app/observability/"),
    ("Redis client", "/redis/"),
    ("dogpile.cache, cachetools", "/dogpile/"),
    ("dogpile.cache, cachetools", "/cachetools/"),
    ("Flask and Werkzeug", "/flask/"),
    ("Flask and Werkzeug", "/werkzeug/"),
    ("metrics library", "/prometheus_client/"),
    ("structlog", "/structlog/"),
    ("pydantic", "/pydantic/"),
)


def main(token: str) -> None:
    """Profile requests of one signed-in user, straight into the application: no server, no socket but Redis'."""
    app = create_app()

    def ask() -> None:
        environ: dict[str, Any] = EnvironBuilder(
            path="/api/courses", headers=[("Authorization", f"Bearer {token}")]
        ).get_environ()
        profile.enable()
        b"".join(app.wsgi_app(environ, lambda *_: io.BytesIO().write))
        profile.disable()

    profile = cProfile.Profile(time.process_time)
    for _ in range(100):
        ask()
    profile = cProfile.Profile(time.process_time)
    for _ in range(REQUESTS):
        ask()
    spent: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent[next((layer for layer, part in LAYERS if part in file), "Python itself")] += own
    total = sum(spent.values())
    json.dump({layer: own / total for layer, own in spent.most_common()}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
