"""Speaks HTTP with the LMS as a careful client does: no redirect is followed unasked, every answer is looked at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import urllib3

CONNECT_SECONDS, READ_SECONDS = 5.0, 20.0
READ_AFTER = "Lms-Read-After"


class UnexpectedAnswer(Exception):  # noqa: N818 - reads as what happened
    """The LMS did not answer, or not as it should have; the message says to what and how."""


@dataclass(frozen=True)
class Answer:
    """A response; ``headers`` are asked for by any spelling of their names."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise UnexpectedAnswer(f"the answer is no JSON: {self.body[:80]!r}") from None

    def header(self, name: str) -> str:
        found = self.headers.get(name)
        if found is None:
            raise UnexpectedAnswer(f"the answer has no header {name}")
        return found


class Client:
    """One caller of the LMS at ``url``, signed in when it has a ``token``; it reads its own writes."""

    def __init__(self, url: str, token: str | None = None, *, pool: urllib3.PoolManager | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._pool = pool or urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), retries=False
        )
        self._read_after: str | None = None

    def signed_in(self, token: str) -> Client:
        """Give a caller with a session of its own."""
        return Client(self.url, token, pool=self._pool)

    def forgetful(self) -> Client:
        """Give the same caller without the memory of what it wrote: any replica may answer it."""
        return Client(self.url, self._token, pool=self._pool)

    def ask(self, method: str, path: str, body: object = None, *, expect: tuple[int, ...] = (200,)) -> Answer:
        """Send JSON, or bytes as they are told, and give the answer. Raises ``UnexpectedAnswer``."""
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._read_after:
            headers[READ_AFTER] = self._read_after
        data: bytes | None = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        answer = self.send(method, f"{self.url}{path}", data, headers, expect=expect)
        self._read_after = answer.headers.get(READ_AFTER, self._read_after)
        return answer

    def put_content(self, path: str, content: bytes, content_type: str) -> Answer:
        """Upload bytes through the LMS. Raises ``UnexpectedAnswer``."""
        headers = {"Content-Type": content_type, "Authorization": f"Bearer {self._token}"}
        return self.send("PUT", f"{self.url}{path}", content, headers)

    def send(
        self,
        method: str,
        url: str,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        expect: tuple[int, ...] = (200,),
    ) -> Answer:
        """Send to any address, such as a presigned one. Raises ``UnexpectedAnswer``."""
        shown = f"{method} {url.partition('?')[0]}"
        try:
            answer = self._pool.request(method, url, body=data, headers=headers, redirect=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnexpectedAnswer(f"{shown}: {error}") from error
        if answer.status not in expect:
            wanted = " or ".join(map(str, expect))
            said = " ".join(answer.data[:200].decode(errors="replace").split())
            raise UnexpectedAnswer(f"{shown} was answered {answer.status}, not {wanted}: {said}")
        return Answer(answer.status, answer.headers, answer.data)
