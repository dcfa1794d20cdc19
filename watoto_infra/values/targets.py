"""Where a stack can live."""

from __future__ import annotations

from enum import StrEnum


class TargetName(StrEnum):
    """``local``: on this machine, where real servers on loopback stand for what is declared. ``aws``: on AWS."""

    LOCAL = "local"
    AWS = "aws"
