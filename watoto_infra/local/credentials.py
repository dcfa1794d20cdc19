"""Secrets that exist on this machine alone: of what AWS does by itself, and the local processes do with a password."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from watoto_infra.errors import StateError
from watoto_infra.stack_home import StackHome
from watoto_infra.supervision.unix_user import UnixUser
from watoto_infra.whole_file import write_whole

NAMES = ("queue-erlang-cookie",)
"""What Erlang nodes and rabbitmqctl know each other by."""
BYTES = 24


def local_credentials(home: StackHome, user: UnixUser) -> Mapping[str, str]:
    """Give the secrets by name; what is missing is made and kept (0600) as long as the stack lives.

    Raises ``StateError`` when the file cannot be read.
    """
    file = user.own_folder(home.run) / "credentials.json"
    try:
        kept = json.loads(file.read_text())
    except FileNotFoundError:
        kept = {}
    except (OSError, ValueError) as problem:
        raise StateError(
            f"the local credentials {file} cannot be read: {problem}",
            hint="stop the stack and remove that file; new ones are made at the next start",
        ) from problem
    missing = {name: secrets.token_hex(BYTES) for name in NAMES if name not in kept}
    if missing:
        kept |= missing
        write_whole(file, json.dumps(kept))
    return {str(name): str(value) for name, value in kept.items()}
