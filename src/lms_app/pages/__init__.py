"""The pages a browser shows: one shell, which its modules fill from the JSON API. Nothing here is made for one user.

The files are read once, when the package is imported, and answered from memory: no path that a client sends ever
reaches a disk. They are served under a digest of all of them, so that browsers keep them for good and a new version is
fetched as a whole.
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
"""Own scripts, styles and answers, and nothing else; where browsers know trusted types, text cannot become markup."""
_VERSION_MARK = "{version}"


@dataclass(frozen=True)
class Page:
    """A file as it is answered."""

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
    """The same page for every address of the interface, which lies behind the `#`."""
    return _answer(SHELL, headers.asked_again)


@blueprint.get(f"{ASSETS}/<string(length=12):version>/<name>")
def show_file(version: str, name: str) -> Response:
    """A script, a style or a picture.

    While versions change, a shell of the other version may ask here: it gets what there is, which nobody keeps.
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
    """Add the pages to an app."""
    app.register_blueprint(blueprint)
