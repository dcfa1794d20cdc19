"""`watoto render` as a person meets it."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watoto_infra.cli.app import app
from watoto_infra.rendering.inputs import Secrets
from watoto_infra.servers.nginx import check as nginx_checks
from watoto_infra.servers.registry import family_names

ROOT = Path(__file__).parents[2]


@pytest.fixture
def watoto(monkeypatch, tmp_path):
    """Run a command line with no stack on the machine."""
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path / "home"))
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def one_clear_error(result, *words: str) -> None:
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, result.stderr
    for word in words:
        assert word in result.stderr


def test_without_a_stack_phase2_is_rendered_and_that_is_said_on_stderr(watoto):
    result = watoto("render", "nginx")
    assert result.exit_code == 0
    assert "phase2" in result.stderr
    assert "phase2" not in result.stdout
    assert "==> nginx/load-balancer/nginx.conf <==" in result.stdout
    assert "upstream backend_servers" in result.stdout


def test_an_unknown_family_is_a_usage_error_that_names_those_there_are(watoto):
    result = watoto("render", "apache")
    assert result.exit_code == 2
    one_clear_error(result, "apache", *family_names())


def test_an_unknown_stage_is_a_usage_error(watoto):
    result = watoto("render", "nginx", "--stage", "phase9")
    assert result.exit_code == 2
    one_clear_error(result, "phase9", "phase1")


def test_the_tree_is_written_with_secrets_for_the_owner_alone(watoto, tmp_path):
    out = tmp_path / "out"
    assert watoto("render", "all", "--out", str(out)).exit_code == 0
    assert (out / "alertmanager/alertmanager.yml").stat().st_mode & 0o777 == 0o600
    assert (out / "redis/cache/redis.conf").stat().st_mode & 0o777 == 0o600
    assert (out / "nginx/load-balancer/nginx.conf").stat().st_mode & 0o777 == 0o644
    assert (out / "backup/logical-dump.sh").stat().st_mode & 0o777 == 0o755
    assert not list(out.glob(".watoto-staging-*"))


def test_a_folder_that_cannot_be_written_is_one_error_and_nothing_is_half_written(watoto, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "nginx").write_text("a file where a folder must be")
    result = watoto("render", "nginx", "--out", str(out))
    assert result.exit_code == 1
    one_clear_error(result, "cannot write", "--out")
    assert [path.name for path in out.iterdir()] == ["nginx"]


def test_a_template_of_ones_own_replaces_a_block_and_a_fault_in_it_is_named_with_its_line(watoto, tmp_path):
    own = tmp_path / "own/nginx/load-balancer"
    own.mkdir(parents=True)
    template = own / "nginx.conf.j2"
    extends = '{% extends "builtin/nginx/load-balancer/nginx.conf.j2" %}\n'
    template.write_text(extends + "{% block status %}\n    # mine: {{ ctx.listen }}\n{% endblock %}\n")
    result = watoto("render", "nginx", "--templates", str(tmp_path / "own"))
    assert "# mine: 127.0.0.1:8080" in result.stdout
    load_balancer = result.stdout.partition("==> nginx/gateway")[0]
    assert "stub_status" not in load_balancer
    for fault, words in (
        ("{{ ctx.nothing }}", "nothing"),
        ("{% if %}", "nginx.conf.j2:3"),
        ("{{ 1 / 0 }}", "division"),
    ):
        template.write_text(f"{extends}{{% block status %}}\n{fault}\n{{% endblock %}}\n")
        result = watoto("render", "nginx", "--templates", str(tmp_path / "own"), "--out", str(tmp_path / "out"))
        assert result.exit_code == 1
        one_clear_error(result, words, ":3: ")
        assert not (tmp_path / "out").exists()


def test_a_folder_of_templates_that_is_not_there_is_a_usage_error(watoto):
    result = watoto("render", "nginx", "--templates", "/nowhere")
    assert result.exit_code == 2
    one_clear_error(result, "/nowhere")


def test_the_difference_to_an_earlier_tree_is_shown_with_secrets_masked(watoto, tmp_path):
    out = tmp_path / "out"
    watoto("render", "all", "--out", str(out))
    assert "nothing differs" in watoto("render", "all", "--diff", str(out)).stdout
    (out / "nginx/load-balancer/nginx.conf").write_text("old\n")
    (out / "redis/cache/redis.conf").write_text("requirepass hunter2\n")
    shown = watoto("render", "all", "--diff", str(out)).stdout
    assert "-old" in shown
    assert "+worker_processes 2;" in shown
    assert "hunter2" not in shown


def test_list_shows_families_files_blocks_and_fields(watoto):
    shown = watoto("render", "--list").stdout
    for family in family_names():
        assert re.search(rf"^{family}: ", shown, re.MULTILINE), family
    assert "blocks: main, events, http" in shown
    assert "worker_connections: int" in shown


def test_a_limit_of_open_files_that_is_too_low_is_refused_with_the_number(watoto, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    result = watoto("render", "nginx", "--check")
    assert result.exit_code == 1
    one_clear_error(result, "10,000 client connections", "14,012", "1,024")


def test_an_absent_tool_leaves_files_unvalidated_and_strict_makes_that_a_failure(watoto, monkeypatch):
    monkeypatch.setattr(nginx_checks, "find", lambda name: None)
    result = watoto("render", "nginx", "--check")
    assert result.exit_code == 0
    assert "not validated: nginx -t absent" in result.stdout
    strict = watoto("render", "nginx", "--check", "--strict")
    assert strict.exit_code == 1
    one_clear_error(strict, "not validated", "watoto doctor")


def test_a_refused_file_is_not_written(watoto, tmp_path):
    own = tmp_path / "own/alertmanager"
    own.mkdir(parents=True)
    (own / "alertmanager.yml.j2").write_text("route: 7\n")
    out = tmp_path / "out"
    result = watoto("render", "alertmanager", "--templates", str(tmp_path / "own"), "--check", "--out", str(out))
    assert result.exit_code == 1
    one_clear_error(result, "amtool check-config")
    assert not out.exists()


def test_no_family_is_a_usage_error(watoto):
    result = watoto("render")
    assert result.exit_code == 2
    one_clear_error(result, "nginx")


def test_what_secrets_gave_away_is_masked():
    secrets = Secrets({"a": "hunter2"})
    assert secrets.get("a") == "hunter2"
    assert secrets.get("b") is None
    assert secrets.mask(f"password hunter2, hash {secrets.note('abc')}") == "password [secret], hash [secret]"


def run(*command: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WATOTO_HOME": str(home)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)


def test_rendering_imports_no_pulumi(tmp_path):
    done = run(sys.executable, "-X", "importtime", "cli.py", "render", "nginx", home=tmp_path)
    assert not re.search(r"\| +pulumi", done.stderr)
