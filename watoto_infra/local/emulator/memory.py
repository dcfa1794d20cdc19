"""What the control plane was told outlives its process: a snapshot is on disk before a change is answered.

All that changes something is done one at a time. Whoever is done waits until a snapshot covers it: the first to come
takes it for all that are done meanwhile (group commit). Looking waits for nobody's disk; so a look may see what a kill
then undoes, of a change that was not answered. A change that cannot be kept is refused, though memory holds it: the
next snapshot covers it.

Not kept until the next change: what a look changes (a status that goes on, when a secret was last read).
"""

from __future__ import annotations

import errno
import io
import platform
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import moto
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from . import as_pickled
from .snapshot import Snapshots

SCHEMA = 1
"""Goes up when what ``as_pickled`` writes cannot be read by what it was before, or the other way round."""

STAMP = f"moto {moto.__version__}, Python {'.'.join(platform.python_version_tuple()[:2])}, schema {SCHEMA}"
"""Which snapshots this process can read: objects of another moto may lack what this one's code expects."""

LOOKS = (
    "Assume",
    "BatchGet",
    "Check",
    "Describe",
    "Filter",
    "Generate",
    "Get",
    "Head",
    "List",
    "Lookup",
    "Search",
    "Simulate",
    "Test",
    "Validate",
)
"""How the names of AWS's operations begin that change nothing; any other may."""

LOOKING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORM = "application/x-www-form-urlencoded"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Memory:
    """The state of every service but S3, which ``DurableS3`` keeps."""

    def __init__(self, folder: Path) -> None:
        self._snapshots = Snapshots(folder)
        self._state = threading.RLock()
        """Held by whoever handles a request or takes a snapshot: a dict must not change while it is pickled."""
        self._disk = threading.Lock()
        self._changes = 0
        self._kept = 0

    def restore(self) -> None:
        """Go on from the last snapshot; start empty where there is none that can be read, and set that aside.

        Raises ``sqlite3.OperationalError`` where another process has it open, and nothing else: the process would be
        started again and again, and fail each time.
        """
        try:
            found = self._snapshots.read()
            if found is None:
                return
            stamp, state = found
            if stamp == STAMP:
                as_pickled.load_state(state)
                return
            why = f"it is of {stamp}, and this is {STAMP}"
        except Exception as problem:
            if getattr(problem, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise
            as_pickled.forget_all()
            why = f"{type(problem).__name__}: {problem}"
        self._set_aside(why)

    def _set_aside(self, why: str) -> None:
        try:
            then = f"it is set aside in {self._snapshots.set_aside()}"
        except OSError as problem:
            then = f"nothing can be kept until it is removed: {problem}"
        _say(f"the control plane starts empty, for its memory cannot be used ({why}); {then}")

    def around(self, application: Wsgi) -> Wsgi:
        """Give the application that answers a change only when it is kept."""

        def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            if _is_of_no_service(environ):
                return application(environ, start_response)
            changing = may_change(environ)
            with self._state:
                body, status, headers = run_wsgi_app(application, environ)
                self._changes += changing
                number = self._changes
            if changing:
                try:
                    self._keep(number)
                except Exception as problem:  # whatever pickling raises of what it meets
                    return _refusal(problem)(environ, start_response)
            start_response(status, list(headers))
            return body

        return answer

    def _keep(self, number: int) -> None:
        """Have a snapshot on disk that covers the first ``number`` changes."""
        with self._disk:
            if self._kept >= number:
                return
            with self._state:
                covered, state = self._changes, as_pickled.dump_state()
            self._snapshots.write(STAMP, state)
            self._kept = covered


def _is_of_no_service(environ: dict[str, Any]) -> bool:
    """Tell requests that are moto's own, S3's or unsigned, as those of browsers with a presigned URL are.

    S3 Control is signed like S3, but names an account.
    """
    signature = environ.get("HTTP_AUTHORIZATION", "")
    of_s3 = "/s3/aws4_request" in signature and "HTTP_X_AMZ_ACCOUNT_ID" not in environ
    return not signature or of_s3 or environ.get("PATH_INFO", "").startswith("/moto-api")


def may_change(environ: dict[str, Any]) -> bool:
    """Tell whether a request may change something: by its operation's name where it has one, else by its method."""
    operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2] or _action(environ)
    if operation:
        return not operation.startswith(LOOKS)
    return environ["REQUEST_METHOD"] not in LOOKING_METHODS


def _action(environ: dict[str, Any]) -> str:
    """Give the operation that the query string or the form names."""
    texts = [environ.get("QUERY_STRING", "")]
    if environ.get("CONTENT_TYPE", "").startswith(FORM):
        form = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(form)
        texts.append(form.decode("latin-1"))
    return next((value for text in texts for name, value in parse_qsl(text) if name == "Action"), "")


def _refusal(problem: Exception) -> Response:
    """Answer in a form that clients of XML and of JSON read a status and some words from."""
    _say(f"a change is refused, for it cannot be kept ({type(problem).__name__}: {problem})")
    if isinstance(problem, OSError) and problem.errno in FULL:
        status, code, words = HTTPStatus.INSUFFICIENT_STORAGE, "InsufficientStorage", "The disk is full."
    else:
        status, code, words = HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", "The change cannot be kept."
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{words}</Message></Error>"
    return Response(text, status=status, content_type="application/xml")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
