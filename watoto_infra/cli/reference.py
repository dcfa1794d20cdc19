"""Writes docs/reference/ from the code (``python -m watoto_infra.cli.reference``): settings, commands, codes, JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter
from typing_extensions import is_typeddict

from watoto_infra import errors
from watoto_infra.cli.app import app
from watoto_infra.cli.commands import LazyCommand
from watoto_infra.errors import ExitCode, WatotoError
from watoto_infra.servers.registry import releases, servers
from watoto_infra.servers.requirements import debian_packages
from watoto_infra.settings.schema import render_reference
from watoto_infra.values import documents

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


def pages() -> dict[str, str]:
    """Give every generated page by its path from ``FOLDER``; set-up reads the list of packages before any Python."""
    return {
        "settings.md": f"{render_reference()}\nServers whose `versions` can be set: {', '.join(sorted(releases()))}.\n",
        "commands.md": _commands_page(),
        "exit_codes.md": _exit_codes_page(),
        "json.md": _json_page(),
        "servers.md": _servers_page(),
        "../../requirements/debian.txt": debian_packages(),
    }


def walk_commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Give every command with its full name, in the order of the help page."""
    group = group if group is not None else typer.main.get_command(app)
    for name, held in group.commands.items():
        command = held.load() if isinstance(held, LazyCommand) else held
        if hasattr(command, "commands"):
            yield from walk_commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def _commands_page() -> str:
    lines = [
        "# Commands",
        "",
        "Generated from the command line itself. Data goes to stdout, everything else to stderr. A command that needs",
        "a stack and gets no `--stack` uses the target's own (`local`); one that needs a stage and gets none uses the",
        "one last applied or, with no stack yet, phase2. `python cli.py …` in a checkout is `watoto …`.",
    ]
    for name, command in walk_commands():
        lines += ["", f"## `watoto {name}`", "", _first_paragraph(command.help or "")]
        rows = list(_parameter_rows(command))
        if rows:
            lines += ["", "| option | meaning |", "| --- | --- |", *rows]
    return "\n".join(lines) + "\n"


def _parameter_rows(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.name == "help":
            continue
        if parameter.param_type_name == "argument":
            names = f"`{parameter.metavar or parameter.name.upper()}`"
        else:
            shown = [*parameter.opts, *parameter.secondary_opts]
            metavar = "" if parameter.is_flag else f" {parameter.metavar or parameter.display_type(None)}"
            names = ", ".join(f"`{name}{metavar}`" for name in shown)
        yield f"| {names.replace('|', chr(92) + '|')} | {_one_line(getattr(parameter, 'help', '') or '')} |"


def _exit_codes_page() -> str:
    lines = [
        "# Exit codes",
        "",
        "Generated from `watoto_infra/errors.py`. Scripts may rely on these; any other code is a failure.",
        "",
        "| code | name | meaning |",
        "| --- | --- | --- |",
    ]
    meanings = dict(_meanings())
    lines.extend(f"| {int(code)} | {code.name} | {meanings[code]} |" for code in ExitCode)
    return "\n".join(lines) + "\n"


def _meanings() -> Iterator[tuple[ExitCode, str]]:
    yield ExitCode.DONE, "The command did what it was asked to do."
    yield ExitCode.FAILED, "It failed; the message says what is wrong and the hint what to do."
    for _, member in inspect.getmembers(errors, inspect.isclass):
        if issubclass(member, WatotoError) and "exit_code" in vars(member) and member is not WatotoError:
            yield member.exit_code, _first_paragraph(inspect.getdoc(member) or "")


def _json_page() -> str:
    lines = [
        "# JSON documents",
        "",
        "Generated from `watoto_infra/values/documents.py`. Every document has `schema_version`; readers ignore fields",
        "they do not know. `watoto outputs --json` is a plain object of the stack's outputs by name.",
    ]
    for document in _documents():
        schema = TypeAdapter(document).json_schema()
        lines += ["", f"## {document.__name__}", "", _one_line(inspect.getdoc(document) or ""), ""]
        lines += ["```json", json.dumps(schema, indent=1, sort_keys=True), "```"]
    return "\n".join(lines) + "\n"


def _documents() -> Iterator[type]:
    """Give every document that a command prints, in the order of their module."""
    for member in vars(documents).values():
        if is_typeddict(member) and "schema_version" in member.__annotations__:
            yield member


def _servers_page() -> str:
    lines = [
        "# Servers",
        "",
        "Generated from `watoto_infra/servers/*/server.py`.",
        "",
        "## Families of files: `watoto render FAMILY`",
        "",
        "| family | files | checked by |",
        "| --- | --- | --- |",
    ]
    families = (server for server in servers().values() if server.family)
    lines += [f"| {server.family} | {server.summary} | {server.checked_by} |" for server in families]
    lines += [
        "",
        "## Programs and ports",
        "",
        "The first port of each kind where there is no stack; the next ones count up from it. A stack on this machine",
        "has ports of its own. [Rendering](../guides/rendering.md) has those of databases, caches, broker, app servers",
        "and front door.",
        "",
        "| server | Debian packages | ports |",
        "| --- | --- | --- |",
    ]
    for name, server in servers().items():
        packages = sorted({requirement.package for requirement in server.requirements})
        ports = [f"{port.kind} {port.usual}" for port in server.ports]
        if packages or ports:
            lines.append(f"| {name} | {', '.join(packages)} | {', '.join(ports)} |")
    return "\n".join(lines) + "\n"


def _first_paragraph(text: str) -> str:
    return _one_line(text.strip().split("\n\n")[0])


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file_name, text in pages().items():
        (FOLDER / file_name).write_text(text)
