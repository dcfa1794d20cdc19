"""Level 3: what browsers, the gateway and the CDN may keep, said by response headers (RFC 9111)."""

from __future__ import annotations

from flask import Response

SHARED_S = 5
"""Life of a response in shared caches. They cannot be told of a change, so it is short."""


def shared(response: Response, *, seconds: int = SHARED_S) -> Response:
    """Let shared caches keep a response that is the same for everyone; browsers ask again each time, with its ETag."""
    response.headers["Cache-Control"] = f"public, max-age=0, s-maxage={seconds}, must-revalidate"
    return response


def private(response: Response) -> Response:
    """Let only the user's own browser keep a response, and ask with its ETag before it shows it."""
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.add("Cookie")
    response.vary.add("Authorization")
    return response


def asked_again(response: Response) -> Response:
    """Let all caches keep a response, and ask with its ETag before each use."""
    response.headers["Cache-Control"] = "no-cache"
    return response


def immutable(response: Response) -> Response:
    """Let all caches keep a response for a year: its address has a hash of its content in it."""
    if response.status_code == 200:  # noqa: PLR2004 -- a missing asset must not be missing for a year
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def not_kept(response: Response) -> Response:
    """Let no cache keep a response: it holds a token, is an error or answers a change."""
    response.headers["Cache-Control"] = "no-store"
    return response
