"""What is loaded: that it may be, who its users are, and which courses they look at."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from watoto_infra.errors import ServiceFailed, UsageError

CONNECT_SECONDS, READ_SECONDS = 5.0, 20.0
PAGE = 100
MOST_COURSES = 10_000


def ensure_may_be_loaded(url: str, named_again: str | None) -> None:
    """Let this machine be loaded, and any other only when its host is named a second time.

    Load on somebody's LMS keeps its users from working, and a mistyped or pasted URL is enough for it. Raises
    ``UsageError``.
    """
    host = urlsplit(url).hostname
    if not url.startswith(("http://", "https://")) or not host:
        raise UsageError(f"{url} is no URL of an LMS", hint="it begins with http:// or https://")
    if _is_here(host) or named_again == host:
        return
    if named_again is not None:
        raise UsageError(f"--yes-load-this-host names {named_again}, the URL names {host}")
    raise UsageError(
        f"{host} is another machine: load keeps its users from working",
        hint=f"if it is meant to be loaded, add --yes-load-this-host {host}",
    )


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def count_courses(url: str) -> int:
    """Give how many courses with ids from 1 on are published without a gap.

    Raises ``ServiceFailed`` when the LMS does not answer, or there is none.
    """
    ids: set[int] = set()
    path: str | None = f"/api/courses?limit={PAGE}"
    while path is not None and len(ids) < MOST_COURSES:
        page = _ask("GET", f"{url}{path}")
        ids |= {course["id"] for course in page["items"]}
        path = f"/api/courses?limit={PAGE}&cursor={page['next']}" if page["next"] else None
    number = next((number for number in range(1, len(ids) + 2) if number not in ids), 1) - 1
    if number < 1:
        raise ServiceFailed(
            f"the LMS at {url} has no course 1 to look at", hint="`flask seed` fills an LMS that is still empty"
        )
    return number


def sign_in(url: str, file: Path) -> tuple[str, ...]:
    """Sign in the accounts of a file, ``EMAIL PASSWORD`` a line, and give their tokens.

    Raises ``UsageError`` for a line that is none, ``ServiceFailed`` for an account that the LMS does not let in.
    """
    tokens = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        email, _, password = line.strip().partition(" ")
        if not password:
            raise UsageError(f"{file}, line {number}: an account is EMAIL PASSWORD, with a space between them")
        tokens.append(_ask("POST", f"{url}/api/auth/sign-in", {"email": email, "password": password})["token"])
    return tuple(tokens)


def _ask(method: str, url: str, body: dict[str, str] | None = None) -> Any:
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), retries=False)
    try:
        answer = pool.request(method, url, json=body)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ServiceFailed(f"{url} does not answer: {error}") from error
    if answer.status != 200:  # noqa: PLR2004 - the one good answer here
        who = f" for {body['email']}" if body else ""
        raise ServiceFailed(f"{method} {url}{who} was answered {answer.status}, not 200")
    try:
        return json.loads(answer.data)
    except ValueError:
        raise ServiceFailed(f"{url} does not answer as an LMS does") from None
