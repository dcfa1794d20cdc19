"""Values on their way into a configuration file: refused where the file's own syntax could read them as more.

Each function gives the value back or raises ``RenderError`` naming what it was for. Settings are checked when they are
loaded; these also guard what comes from a stack's outputs and from this machine.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from watoto_infra.errors import RenderError

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?")
_SERVER_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_PATH = re.compile(r"(?=.{1,1024}\Z)/[A-Za-z0-9._@+/-]*")
_ORIGIN = re.compile(rf"https?://(?:\*\.)?{_LABEL}(?:\.{_LABEL})*(?::\d{{1,5}})?")
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,255}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_SHOWN = 60


def _refused(value: str, what: str, allowed: str) -> RenderError:
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    return RenderError(f"{what} is {shown!r}, which cannot be rendered", hint=f"allowed: {allowed}")


def host(value: str, what: str) -> str:
    """Give a host name or an IP address (IPv6 in brackets)."""
    try:
        address = ip_address(value)
    except ValueError:
        if _HOST.fullmatch(value) is None:
            raise _refused(value, what, "a host name or an IP address") from None
        return value
    return f"[{value}]" if address.version == 6 else value  # noqa: PLR2004 - the number of the protocol


def server_name(value: str) -> str:
    """Give a host name that may start with ``*.``."""
    if _SERVER_NAME.fullmatch(value) is None:
        raise _refused(value, "a server name", "a host name, also with *. before it")
    return value


def path(value: str, what: str) -> str:
    """Give an absolute path of plain characters without ``..``."""
    if _PATH.fullmatch(value) is None or ".." in value.split("/"):
        raise _refused(value, what, "an absolute path of letters, digits and ._@+-/ without ..")
    return value


def relative_path(value: str, what: str) -> str:
    """Give a path as ``path`` does, or one of the same signs that is relative to the server's own folder."""
    path(value if value.startswith("/") else f"/{value}", what)
    return value


def origin(value: str) -> str:
    """Give a web origin: scheme, host and port."""
    if _ORIGIN.fullmatch(value) is None:
        raise _refused(value, "a web origin", "http(s)://host[:port]")
    return value


def name(value: str, what: str) -> str:
    """Give a plain name, which may also become the name of a file."""
    if _NAME.fullmatch(value) is None:
        raise _refused(value, what, "letters, digits, _ and -, starting with a letter, at most 63")
    return value


def token(value: str, what: str) -> str:
    """Give a name as AWS and the servers use them: buckets, regions, stanzas, roles, image digests."""
    if _TOKEN.fullmatch(value) is None:
        raise _refused(value, what, "letters, digits and ._/:@-, starting with a letter or digit, at most 256")
    return value
