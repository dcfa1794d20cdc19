"""``watoto account``: where the password comes from and goes to, what is refused, and what is printed."""

from __future__ import annotations

import json
import os
import pty
import select
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from watoto_infra.cli import account
from watoto_infra.cli.app import app
from watoto_infra.errors import ServiceFailed
from watoto_infra.servers.lms import accounts

EMAIL = "head@school.example"
REFUSED = "the LMS's create-user failed: Error: head@school.example: this address has an account already"


@dataclass
class Stack:
    """A stack that runs, as far as the command sees: its LMS notes what it was given."""

    folder: Path
    outputs: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(url="http://127.0.0.1:1"))
    commands: list[tuple[str, ...]] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    refuse: str | None = None

    def private_file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def flask(self, _: object, *arguments: str) -> str:
        self.commands.append(arguments)
        self.passwords.append(Path(arguments[arguments.index("--password-file") + 1]).read_text())
        if self.refuse:
            raise ServiceFailed(self.refuse)
        return "401\n"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = Stack(tmp_path)
    monkeypatch.setattr(account, "running_topology", lambda _: stack)
    monkeypatch.setattr(accounts, "flask", stack.flask)
    return stack


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["account", EMAIL, *arguments])


def test_the_password_of_a_file_reaches_the_lms_in_a_private_file_that_is_gone_afterwards(stack, tmp_path):
    (tmp_path / "given").write_text("correct horse battery\nanother line\n")
    done = run("--role", "admin", "--name", "Grace", "--password-file", str(tmp_path / "given"))
    assert (done.exit_code, done.stdout) == (0, f"account 401: {EMAIL}, admin\n")
    assert stack.passwords == ["correct horse battery\n"]
    ((*options, email),) = stack.commands
    assert email == EMAIL
    assert options[:3] == ["create-user", "--role", "admin"]
    assert options[-3:] == ["--name", "Grace", "--"]
    assert not any("horse" in word for word in options)
    assert [path.name for path in tmp_path.iterdir()] == ["given"]


def test_where_nobody_can_be_asked_a_password_is_made_up_and_printed_once(stack):
    done = run("--role", "teacher")
    password = stack.passwords[0].strip()
    assert len(password) == 24
    assert done.stdout == f"account 401: {EMAIL}, teacher\npassword: {password}\n"
    assert password not in done.stderr
    run("--role", "teacher")
    assert stack.passwords[1] != stack.passwords[0]


def test_the_document_holds_a_password_only_when_it_was_made_up(stack, tmp_path):
    made = json.loads(run("--role", "student", "--json").stdout)
    password = stack.passwords[0].strip()
    assert made == {
        "schema_version": 1,
        "id": 401,
        "email": EMAIL,
        "role": "student",
        "url": "http://127.0.0.1:1",
        "password": password,
    }
    (tmp_path / "given").write_text("correct horse battery")
    given = run("--role", "student", "--json", "--password-file", str(tmp_path / "given"))
    assert json.loads(given.stdout)["password"] is None
    assert "horse" not in given.output


@pytest.mark.parametrize(
    ("refusal", "problem", "hint"),
    [
        (REFUSED, f"no account was made: {EMAIL}: this address has an account already", "sign in with it"),
        (
            "the LMS's create-user failed: Error: password: too short",
            "no account was made: password: too short",
            "mend",
        ),
        ("the LMS's create-user did not end within 60 s", "did not end within 60 s", ""),
    ],
)
def test_what_the_lms_refuses_is_said_in_its_words_with_what_to_do(stack, tmp_path, refusal, problem, hint):
    stack.refuse = refusal
    done = run("--role", "admin")
    assert done.exit_code == 1
    assert problem in done.stderr
    assert hint in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == [], "no password is left behind"


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "has no password"), (b"\nx", "has no password"), (b"\xff", "no text")]
)
def test_a_file_without_a_password_is_wrong_use(stack, tmp_path, content, told):
    (tmp_path / "given").write_bytes(content)
    done = run("--role", "admin", "--password-file", str(tmp_path / "given"))
    assert done.exit_code == 2
    assert told in done.stderr
    assert stack.commands == []


def test_without_a_stack_nobody_is_asked_for_anything(tmp_path, monkeypatch):
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path))
    done = run("--role", "admin")
    assert done.exit_code == 10
    assert "there is no stack local" in done.stderr


def test_on_aws_one_line_says_where_accounts_are_made():
    done = run("--role", "admin", "--target", "aws")
    assert done.exit_code == 2
    problem, hint = done.stderr.splitlines()
    assert "not from this machine" in problem
    assert "flask create-user" in hint


def test_an_unknown_role_is_wrong_use(stack):
    assert run("--role", "head").exit_code == 2
    assert run().exit_code == 2
    assert stack.commands == []


def test_a_school_is_made_first_only_when_it_is_asked_for(stack, monkeypatch):
    filled: list[object] = []
    monkeypatch.setattr(account, "fill_if_empty", lambda stack, _: filled.append(stack))
    run("--role", "admin")
    assert filled == []
    run("--role", "admin", "--with-school")
    assert filled == [stack]


ASK = """
from watoto_infra.cli import account
password, is_generated = account._password(None)
print("length", len(password), is_generated)
"""
SECONDS = 60


def read_until(terminal: int, mark: bytes) -> bytes:
    """Read what is shown up to this mark."""
    shown = b""
    deadline = time.monotonic() + SECONDS
    while mark not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 1000)
    return shown


def test_at_a_terminal_the_password_is_asked_twice_and_never_shown():
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, [sys.executable, "-c", ASK])
    try:
        shown = b""
        for prompt, answer in (
            (b"Password: ", b"correct horse battery"),
            (b"The same again: ", b"another horse"),
            (b"Password: ", b"correct horse battery"),
            (b"The same again: ", b"correct horse battery"),
        ):
            shown += read_until(terminal, prompt)
            os.write(terminal, answer + b"\n")
        shown += read_until(terminal, b"length 21 False")
        assert b"do not match" in shown
        assert b"horse" not in shown
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
