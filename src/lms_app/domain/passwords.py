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
"""The hash of an account that cannot sign in with a password: none fits it."""


def hashed(password: str) -> str:
    """Return the hash to store: argon2's text form, with salt and parameters in it."""
    return _hasher.hash(password)


def fits(password: str, kept: str | None) -> bool:
    """Whether this is the password. Without a hash it takes as long, so that time does not tell who has an account."""
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
