"""What Redis is told beyond its defaults, for ElastiCache and for a server of one's own alike."""

from __future__ import annotations

SHARE = 0.04
LEAST_MIB, MOST_MIB = 4, 256
"""Two and a half seconds of writes at 100 MB/s are the most that a replica is worth waiting for."""


def backlog_mib(memory_mib: int) -> int:
    """Give the size of what is kept for a replica that was cut off; beyond it the replica copies everything.

    It is part of the quarter of a node's memory that is not for data. Redis's own 1 MB is less than a second of writes.
    """
    return min(MOST_MIB, max(LEAST_MIB, int(memory_mib * SHARE)))
