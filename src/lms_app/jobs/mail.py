"""Sends mail by SMTP, or writes it as files into a folder."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

Send = Callable[[EmailMessage, UUID], None]
"""Sends a message with the job's id in its Message-ID, which tells a second copy. May raise OSError."""

TIMEOUT_S = 10


def mailer(url: str) -> Send:
    """Return a function that sends mail to `smtp://[user:password@]host[:port][?starttls=1]`, `smtps://…` or `file:///folder`."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        return lambda message, job_id: _to_file(folder, message, job_id)
    secure = parts.scheme == "smtps"
    host, port = parts.hostname or "localhost", parts.port or (465 if secure else 25)
    starttls = parse_qs(parts.query).get("starttls") == ["1"]

    def send(message: EmailMessage, job_id: UUID) -> None:
        _identify(message, job_id)
        context = ssl.create_default_context()
        server = (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
            if secure
            else smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        )
        with server:
            if starttls:
                server.starttls(context=context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)

    return send


def _to_file(folder: Path, message: EmailMessage, job_id: UUID) -> None:
    """Write `<folder>/<job id>.eml`: the same job writes the same file."""
    _identify(message, job_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = folder / f".{job_id}.{os.getpid()}"
    partial.touch(mode=0o600)
    partial.write_bytes(bytes(message))
    partial.rename(folder / f"{job_id}.eml")


def _identify(message: EmailMessage, job_id: UUID) -> None:
    if "Message-ID" not in message:
        message["Message-ID"] = f"<{job_id}@watoto.invalid>"
        message["Date"] = formatdate()
