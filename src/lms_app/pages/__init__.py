"""The web interface: one HTML shell, which JavaScript modules fill from the JSON API. All users get the same files.

The files are read once, when the package is imported, and answered from memory: no path of a client ever reaches the
disk. Their address has a digest of all of them in it, so that browsers keep them for good and fetch a new version as a
whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from flask import Blueprint, Flask, Response

from lms_app.api.responses import Answer, entity_tag, unless_known
from lms_app.caching import headers
from lms_app.errors import NotFoundError

FOLDER = Path(__file__).parent
ASSETS = "/pages"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Only the LMS's own scripts, styles and answers; in browsers with trusted types no text can become markup."""
_VERSION_MARK = "{version}"


@dataclass(frozen=True)
class Page:
    """A file with its media type and entity tag."""

    body: bytes
    media_type: str
    tag: str


def _read() -> tuple[str, Page, dict[str, Page]]:
    contents = {file.name: file.read_bytes() for file in sorted((FOLDER / "assets").iterdir())}
    digest = blake2b(digest_size=6)
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    version = digest.hexdigest()
    shell = (FOLDER / "shell.html").read_text(encoding="utf-8").replace(_VERSION_MARK, version).encode()
    files = {name: _page(content, MEDIA_TYPES[Path(name).suffix]) for name, content in contents.items()}
    return version, _page(shell, "text/html; charset=utf-8"), files


def _page(body: bytes, media_type: str) -> Page:
    return Page(body, media_type, entity_tag(body))


VERSION, SHELL, FILES = _read()
blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def show_shell() -> Response:
    """All addresses of the interface show this page: they differ after the `#` only."""
    return _answer(SHELL, headers.asked_again)


@blueprint.get(f"{ASSETS}/<string(length=12):version>/<name>")
def show_file(version: str, name: str) -> Response:
    """A script, a style or a picture. Raises NotFoundError.

    While servers are updated, a shell of another version may ask here. It gets this version's file, not to be cached.
    """
    if name not in FILES:
        raise NotFoundError(f"there is no page file {name}")
    return _answer(FILES[name], headers.immutable if version == VERSION else headers.not_kept)


def _answer(page: Page, kept: Callable[[Response], Response]) -> Response:
    response = Answer(page.body, content_type=page.media_type)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Content-Security-Policy"] = POLICY
    response.set_etag(page.tag)
    return unless_known(kept(response), page.tag)


def register(app: Flask) -> None:
    """Add `/` and `/pages/…` to an app."""
    app.register_blueprint(blueprint)
