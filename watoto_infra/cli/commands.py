"""Every command of ``watoto``, and the module it is written in, which is imported only when the command is called.

A command is the function of its name in that module; a group of commands is a module with a ``group`` of them, and the
function of its name is the group's callback. What the help says of a command is its function's docstring.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

COMMANDS = {
    "up": "stack",
    "preview": "stack",
    "refresh": "stack",
    "drift": "stack",
    "destroy": "stack",
    "outputs": "stack",
    "history": "stack",
    "start": "servers",
    "stop": "servers",
    "logs": "servers",
    "scale": "servers",
    "account": "account",
    "settings": "settings",
    "render": "render",
    "env": "environment",
    "status": "status",
    "stacks": "stacks",
    "smoke": "smoke",
    "load": "load",
    "doctor": "doctor",
    "state": "state",
    "drill": "drill",
}
"""Command to module of ``watoto_infra.cli``, in the order of the help page."""

NO_MARKUP = None
"""For ``rich_markup_mode``: rich's help would cost more time than the whole of ``watoto --help`` takes."""


class LazyCommand(TyperCommand):
    """Stands for a command or group of commands until it is called."""

    def __init__(self, name: str, module: str) -> None:
        super().__init__(name, rich_markup_mode=NO_MARKUP)
        self._module = module

    def get_short_help_str(self, limit: int = 45) -> str:
        """Give the line of the group's help, without importing the command."""
        self.help = _docstrings(self._module)[str(self.name)]
        return super().get_short_help_str(limit)

    def make_context(self, *given: Any, **extra: Any) -> Any:
        """Hand over to the command itself: from here on the context is that command's."""
        return self.load().make_context(*given, **extra)

    def load(self) -> Any:
        """Import the command and build it; a group of commands comes with all of its commands."""
        module, name = import_module(f"{__package__}.{self._module}"), str(self.name)
        holder = typer.Typer(rich_markup_mode=NO_MARKUP)
        if isinstance(group := getattr(module, "group", None), typer.Typer):
            holder.add_typer(group, name=name)
        else:
            holder.command(name)(getattr(module, name))
        return typer.main.get_group(holder).commands[name]


@cache
def _docstrings(module: str) -> Mapping[str, str]:
    """Read the docstring of each function of a module from its source."""
    source = ast.parse(Path(__file__).with_name(f"{module}.py").read_bytes())
    functions = (node for node in source.body if isinstance(node, ast.FunctionDef))
    return {function.name: ast.get_docstring(function) or "" for function in functions}
