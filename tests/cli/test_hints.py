"""What a hint tells one to run exists, with the options it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from watoto_infra.cli import reference

PACKAGE = Path(reference.__file__).parents[1]
QUOTED = re.compile(r"`watoto ((?:[a-z]|--)[^`{]*)[`{]")
COMMANDS = dict(reference.walk_commands())


def named() -> Iterator[tuple[str, str]]:
    """Every command line that the code quotes, and the file that does."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for line in QUOTED.findall(file.read_text()):
            yield str(file.relative_to(PACKAGE)), line


@pytest.mark.parametrize(("file", "line"), list(named()))
def test_a_command_that_the_code_names_exists_with_its_options(file: str, line: str):
    words = line.split()
    command = next((COMMANDS[name] for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), None)
    if command is None:  # a group of commands, or several at once: `state export|import`
        alternatives = [name for name in COMMANDS if name.split()[0] == words[0].split("|")[0]]
        assert alternatives or words[0] in {"--debug", "--help"}, f"{file}: there is no `watoto {words[0]}`"
        return
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    options = {word.partition("=")[0].rstrip(",;.)") for word in words if word.startswith("--")}
    assert options <= known | {"--debug"}, f"{file}: `watoto {line}`"
