"""The reference is made from the code, and what the documents say of the code is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from watoto_infra.cli import reference
from watoto_infra.errors import ExitCode
from watoto_infra.servers.registry import servers

ROOT = Path(__file__).parents[2]
MOST_WORDS = 25
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", sorted(reference.pages()))
def test_a_reference_page_is_what_the_code_gives_now(name: str):
    assert (reference.FOLDER / name).read_text() == reference.pages()[name], "run `make reference`"


@pytest.mark.parametrize(("name", "command"), list(reference.walk_commands()))
def test_every_command_says_what_it_does_and_explains_each_option(name: str, command):
    assert command.help
    unexplained = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert unexplained == []


def test_every_exit_code_is_explained():
    page = reference.pages()["exit_codes.md"]
    assert all(f"| {int(code)} | {code.name} |" in page for code in ExitCode)


def test_every_family_of_files_says_what_it_is_and_who_checks_it():
    families = [server for server in servers().values() if server.family]
    assert [server.family for server in families if not (server.summary and server.checked_by)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_a_document_names_exists(document: Path):
    known = {name.split()[0] for name, _ in reference.walk_commands()}
    named = set(re.findall(r"`(?:\.venv/bin/)?watoto ([a-z]+)", document.read_text()))
    assert named <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(document: Path):
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


NAMED = re.compile(r"`([\w./-]+/[\w./-]+)`")
PLACES = (ROOT, ROOT / "watoto_infra", ROOT / "src" / "lms_app", ROOT / "docs")
"""Where a path that a document names may begin."""
HOW_TOS = sorted((ROOT / "docs" / "how-to").glob("*.md"))
TELLING_HOW = [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "ARCHITECTURE.md", *HOW_TOS]


@pytest.mark.parametrize("document", TELLING_HOW, ids=lambda path: path.name)
def test_every_file_that_a_how_to_names_exists(document: Path):
    named = NAMED.findall(document.read_text())
    assert named
    assert [path for path in named if not any((place / path).exists() for place in PLACES)] == []


def test_our_own_words_are_few():
    rows = re.findall(r"^\| (?!word|---)", (ROOT / "docs" / "vocabulary.md").read_text(), re.MULTILINE)
    assert 0 < len(rows) <= MOST_WORDS


def test_make_help_lists_every_target_that_is_declared():
    listed = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared
    for target in declared[1].split():
        assert target.startswith("setup") or f"make {target} " in listed


def test_help_and_rendering_import_no_pulumi():
    code = "import sys, watoto_infra.cli.app; sys.exit(any(name.split('.')[0] == 'pulumi' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
