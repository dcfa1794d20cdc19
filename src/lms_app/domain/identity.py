"""Who is asking: the role model, and sessions that are verified without a query.

A session is a signed text ``user_id.role.version`` with its time of issue. It ends by age, or when the account's
session version has moved on: sign-out, a new password, another role, deactivation. Every process reads the accounts
whose version moved within the last lifetime, at most every few seconds, so a session that was ended anywhere is refused
everywhere within `REVOCATION_SECONDS`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256

from itsdangerous import BadData, TimestampSigner
from sqlalchemy import Connection, bindparam, select

from lms_app.db.database import Database
from lms_app.db.tables import accounts
from lms_app.db.unavailable import DatabaseUnavailableError

REVOCATION_SECONDS = 5.0
KNOWN_TOKENS = 10_000
"""Most verified tokens that a process remembers; the least recently used is dropped first."""
_OVERLAP = timedelta(seconds=60)
"""Each read begins so much before the last one, to find rows that became visible late: it is longer than any
transaction and than the lag of any replica that is read."""


class Role(StrEnum):
    """What a user is in the school."""

    STUDENT = "student"
    TEACHER = "teacher"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Identity:
    """A signed-in user. `version` is the account's session version when the session began."""

    user_id: int
    role: Role
    version: int

    @property
    def is_admin(self) -> bool:
        """Whether the user may see and change what belongs to others."""
        return self.role is Role.ADMIN


_REVOKED = select(accounts.c.user_id, accounts.c.session_version).where(accounts.c.revoked_at > bindparam("since"))


class Revocations:
    """The accounts whose older sessions have ended, read from the catalogue at most every `every` seconds."""

    def __init__(self, catalogue: Database, *, lifetime: timedelta, every: float = REVOCATION_SECONDS) -> None:
        self._catalogue = catalogue
        self._lifetime = lifetime
        self._every = every
        self._least: dict[int, int] = {}
        self._read_up_to: datetime | None = None
        self._next_read = 0.0
        self._reading = threading.Lock()

    def allow(self, identity: Identity) -> bool:
        """Whether the session has not been ended since it was issued. May read from the catalogue."""
        if time.monotonic() >= self._next_read:
            self._refresh()
        return identity.version >= self._least.get(identity.user_id, 0)

    def note(self, user_id: int, least_version: int) -> None:
        """Refuse older sessions in this process at once."""
        self._least[user_id] = max(least_version, self._least.get(user_id, 0))

    def _refresh(self) -> None:
        if not self._reading.acquire(blocking=False):
            return  # another thread of this process is reading
        try:
            started = datetime.now(UTC)
            since = started - self._lifetime if self._read_up_to is None else self._read_up_to - _OVERLAP
            self._next_read = time.monotonic() + self._every

            def read(connection: Connection) -> list[tuple[int, int]]:
                return [(row.user_id, row.session_version) for row in connection.execute(_REVOKED, {"since": since})]

            for user_id, version in self._catalogue.read(read):
                self.note(user_id, version)
            self._read_up_to = started
        except DatabaseUnavailableError:
            pass  # what is known stays in force; sessions end by age all the same
        finally:
            self._reading.release()


class Sessions:
    """Issues session tokens and verifies them, without a query of its own for each."""

    def __init__(
        self, secret_key: str, revocations: Revocations, *, lifetime: timedelta, previous_key: str | None = None
    ) -> None:
        """Sessions are signed with `secret_key`; sessions signed with `previous_key` are accepted too."""
        keys = [previous_key, secret_key] if previous_key else [secret_key]
        self._signer = TimestampSigner(keys, salt="lms.session", key_derivation="hmac", digest_method=sha256)
        self.lifetime = lifetime
        self.revocations = revocations
        # Checking a signature takes as long as answering from the cache, and its result never changes.
        self._unsign = lru_cache(maxsize=KNOWN_TOKENS)(self._unsign_once)

    def issue(self, identity: Identity) -> tuple[str, datetime]:
        """Return a token and when it ends."""
        token = self._signer.sign(f"{identity.user_id}.{identity.role.value}.{identity.version}").decode()
        return token, datetime.now(UTC) + self.lifetime

    def verify(self, token: str) -> Identity | None:
        """Return whose token this is; None when it is forged, too old or ended."""
        try:
            identity, issued_at = self._unsign(token)
        except (BadData, ValueError):
            return None
        if not 0 <= time.time() - issued_at <= self.lifetime.total_seconds():
            return None
        return identity if self.revocations.allow(identity) else None

    def _unsign_once(self, token: str) -> tuple[Identity, float]:
        """Return whose token it is and when it was issued, in Unix seconds. Raises BadData, ValueError."""
        payload, issued_at = self._signer.unsign(token, return_timestamp=True)
        user_id, role, version = payload.decode().split(".")
        return Identity(int(user_id), Role(role), int(version)), issued_at.timestamp()
