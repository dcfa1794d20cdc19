"""The local target's image is the LMS's source tree: its digest names what runs, as an image's would."""

from __future__ import annotations

import hashlib
from pathlib import Path

REPOSITORY = "watoto-lms"
NOT_SOURCE = frozenset(
    {"__pycache__", "node_modules", "dist", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
)


def source_image(tree: Path) -> str:
    """``watoto-lms@sha256:...`` over the paths and contents of a source tree; caches and builds do not count."""
    digest = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        relative = path.relative_to(tree)
        if NOT_SOURCE.intersection(relative.parts) or not path.is_file():
            continue
        content = path.read_bytes()
        digest.update(f"{relative.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return f"{REPOSITORY}@sha256:{digest.hexdigest()}"
