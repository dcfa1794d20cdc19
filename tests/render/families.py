"""Families of rendered files by their names on the command line."""

from __future__ import annotations

from watoto_infra.rendering.model import Family
from watoto_infra.servers.registry import family


def families(*names: str) -> tuple[Family, ...]:
    return tuple(map(family, names))
