"""Passwords: argon2id with OWASP's minimum of memory and time, so that signing in costs about 20 ms of one core.

(OWASP Password Storage Cheat Sheet: m = 19 MiB, t = 2, p = 1.)
"""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
UNUSABLE = "!"
"""No password fits it."""


def hashed(password: str) -> str:
    """Return the text to keep."""
    return _hasher.hash(password)


def fits(password: str, kept: str | None) -> bool:
    """Whether this is the password; takes as long without a user, so that nobody learns who has an account."""
    try:
        return _hasher.verify(kept or _nobodys(), password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(kept: str) -> bool:
    """Whether the password should be hashed again with today's parameters."""
    return _hasher.check_needs_rehash(kept)


@cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_urlsafe(16))
