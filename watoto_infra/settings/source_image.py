"""The local target's images are source trees: their digests name what runs, as images' would."""

from __future__ import annotations

import hashlib
from pathlib import Path

LMS, GATEWAY = "watoto-lms", "watoto-gateway"
NOT_SOURCE = frozenset(
    {"__pycache__", "node_modules", "dist", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
)


def source_image(tree: Path, repository: str = LMS) -> str:
    """``watoto-lms@sha256:...`` over the paths and contents of a source tree; caches and builds do not count."""
    digest = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        relative = path.relative_to(tree)
        if NOT_SOURCE.intersection(relative.parts) or not path.is_file():
            continue
        content = path.read_bytes()
        digest.update(f"{relative.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return f"{repository}@sha256:{digest.hexdigest()}"
