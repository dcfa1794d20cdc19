"""Throw-away servers: in a temporary folder, as an unprivileged user when root, ended by their process id."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from watoto_infra.rendering.run import inherited

LIMIT_SECONDS = 60
STOP_SECONDS = 10
ACCOUNTS = ("watoto", "nobody")


class DidNotStartError(Exception):
    """A throw-away server ended or did not answer; the message is what it last said."""


def account() -> str | None:
    """Give the unprivileged account to run servers as, or None where this process is unprivileged itself."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise DidNotStartError(f"no unprivileged account among {', '.join(ACCOUNTS)} to run a throw-away server as")


def hand_over(folder: Path) -> None:
    """Give a folder and all in it to the unprivileged account, and let it pass through the temporary folders above."""
    name = account()
    if name is None:
        return
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, name)
    temporary = Path(tempfile.gettempdir())
    for parent in folder.parents:
        if temporary in parent.parents:
            parent.chmod(parent.stat().st_mode | 0o011)


def free_port() -> int:
    """Give a loopback port that is free now."""
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for a day, signed by itself, and its key; give both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.crt", folder / "server.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].touch(mode=0o600)
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@contextmanager
def server(
    command: Sequence[str],
    *,
    folder: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server while the block runs. Raises ``DidNotStartError`` when it ends or is not ready in time."""
    said = folder / "said.log"
    with said.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env={**inherited(), "HOME": str(folder), "LC_ALL": "C.UTF-8", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=account(),
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStartError(said.read_text(errors="replace").strip() or "it ended without a word")
            time.sleep(0.05)
        yield process
    finally:
        _end(process, stop)


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
