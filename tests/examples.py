"""How many examples hypothesis tries, by rung: few in everyday runs, more where ``make test-long`` asks for them."""

from __future__ import annotations

import os

ASKED = os.environ.get("WATOTO_EXAMPLES")
"""Set by ``make test-long``: the number of examples of every test that names no number of its own for that rung."""


def examples(*, quick: int, long: int | None = None) -> int:
    """Give ``max_examples``; the long rung tries ``long`` examples, or as many as it asks for, at least ``quick``."""
    if ASKED is None:
        return quick
    return long if long is not None else max(quick, int(ASKED))
