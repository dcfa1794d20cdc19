"""``watoto env``: how to reach a stack."""

from __future__ import annotations

import shlex

from watoto_infra import console
from watoto_infra.cli.options import OnThisMachine, Stack
from watoto_infra.cli.sessions import open_local
from watoto_infra.values.targets import TargetName


def env(stack: Stack = None, target: OnThisMachine = TargetName.LOCAL) -> None:
    """Print exports that point boto3, the aws CLI and psql at the stack: eval "$(watoto env)"."""
    session = open_local(stack)
    for name, value in session.environment().items():
        console.data(f"export {name}={shlex.quote(value)}")
