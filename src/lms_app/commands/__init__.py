"""The `flask …` commands of the LMS. Each reads the environment as the server does, does one thing and ends."""

from __future__ import annotations

from flask import Flask

from lms_app.commands import accounts, databases, processes, shards


def register(app: Flask) -> None:
    """Add every command to an app."""
    for command in (*accounts.COMMANDS, *databases.COMMANDS, *processes.COMMANDS, shards.shards):
        app.cli.add_command(command)
