"""What the kernel says of a stack's processes: which there are, where they listen, who could read their secrets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

LISTENING = "0A"


def of_stack(root: Path) -> set[int]:
    """Every process that carries the mark of the stack in ``root`` or works in its folder."""
    mark = f"WATOTO_STACK={root}".encode()
    found = set()
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            marked = mark in (folder / "environ").read_bytes().split(b"\0")
            if marked or (folder / "cwd").readlink().is_relative_to(root):
                found.add(int(folder.name))
    return found


def listening(pids: Iterable[int]) -> set[tuple[str, int]]:
    """Endpoint and port of every TCP socket on which one of the processes listens."""
    sockets = set()
    for pid in pids:
        with suppress(OSError):
            sockets |= {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return {(host, port) for inode, host, port in _tcp() if f"socket:[{inode}]" in sockets}


def _tcp() -> Iterator[tuple[str, str, int]]:
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                host, _, port = fields[1].partition(":")
                yield fields[9], str(_address(host)), int(port, 16)


def _address(text: str) -> IPv4Address | IPv6Address:
    """The kernel writes each group of four bytes the other way round."""
    raw = bytes.fromhex(text)
    return ip_address(b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4)))


def listens_beyond_loopback(pids: Iterable[int]) -> set[tuple[str, int]]:
    return {(host, port) for host, port in listening(pids) if not ip_address(host).is_loopback}


def seen_by_others(pids: Iterable[int], secrets: Iterable[str]) -> list[str]:
    """Arguments and environments of the processes that hold one of the secrets."""
    found = []
    for pid in pids:
        for name in ("cmdline", "environ"):
            with suppress(OSError):
                content = Path(f"/proc/{pid}/{name}").read_bytes()
                found += [f"/proc/{pid}/{name}" for secret in secrets if secret.encode() in content]
    return found


def files_with(root: Path, secrets: Iterable[str]) -> list[Path]:
    """Files below ``root`` that hold one of the secrets as text."""
    return [path for path in _files(root) if _holds(path, secrets)]


def readable_by_others(root: Path, secrets: Iterable[str]) -> list[Path]:
    """The same, of files whose mode lets others read them, wherever they lie."""
    return [
        path for path in _files(root) if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH) and _holds(path, secrets)
    ]


def _files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def _holds(path: Path, secrets: Iterable[str]) -> bool:
    content = path.read_bytes()
    return any(secret.encode() in content for secret in secrets)
