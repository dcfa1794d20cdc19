"""From configuration to program: what is wrong with it is one clear line, and the official CLI's way in works."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.program.declared import ROOT
from watoto_infra.errors import SettingsError
from watoto_infra.program.stack import make_context
from watoto_infra.settings import load_stage
from watoto_infra.settings.overrides import parse


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "watoto:overrides is not JSON"),
        ("[1]", r"watoto:overrides is \[1\]; allowed: an object"),
        ("3", "watoto:overrides is 3; allowed: an object"),
    ],
)
def test_overrides_that_are_no_json_object_are_refused(text, message):
    with pytest.raises(SettingsError, match=message) as caught:
        parse(text)
    assert caught.value.hint


def test_no_overrides_are_none():
    assert parse(None) == {}
    assert parse("") == {}
    assert parse('{"app": {"desired": 4}}') == {"app": {"desired": 4}}


def test_a_stack_whose_name_would_not_fit_into_names_on_aws_is_refused():
    loaded = load_stage("phase2", target="aws", overrides={"app": {"image": "lms@sha256:" + "0" * 64}})

    with pytest.raises(SettingsError, match="the stack's name a-very-long-name is too long; allowed: 15 characters"):
        make_context(loaded, "a-very-long-name")
    assert (
        make_context(loaded, "fifteen-letters").named("watoto-cache-sharded") == "watoto-cache-sharded-fifteen-letters"
    )
    assert make_context(loaded, "aws").suffix == ""


CHILD = """
import asyncio, runpy, sys
import pulumi
from pulumi.runtime import config, mocks, settings, stack

class Service(mocks.Mocks):
    def new_resource(self, args):
        return args.name + "-id", args.inputs
    def call(self, args):
        raise AssertionError(args.token)

mocks.set_mocks(Service(), project="watoto", stack="local", preview=True)
settings.ROOT.set(None)
config.set_all_config({CONFIG})
pulumi.runtime.test(lambda: stack.Stack(lambda: runpy.run_path(PROGRAM, run_name="__main__")) and None)()
print("declared")
"""


def start(tmp_path, values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the program as the official CLI does: by its folder's path, from elsewhere, not knowing the checkout."""
    code = CHILD.replace("{CONFIG}", json.dumps(values)).replace(
        "PROGRAM", repr(str(ROOT / "watoto_infra" / "program"))
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**environment, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_program_runs_from_its_folder_with_nothing_known_yet_as_the_official_cli_runs_it(tmp_path):
    run = start(tmp_path, {"watoto:stage": "phase1", "watoto:target": "local", "aws:region": "us-east-1"})

    assert run.stdout == "declared\n", run.stderr


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"watoto:stage": "phase9", "watoto:target": "local"}, "there is no stage 'phase9'"),
        ({"watoto:stage": "phase1"}, "app.image is not set; allowed on the aws target"),
        (
            {"watoto:stage": "phase1", "watoto:target": "local", "aws:region": "eu-west-1"},
            "the configuration's aws:region is eu-west-1, the stage's region us-east-1",
        ),
    ],
)
def test_a_configuration_that_does_not_fit_stops_the_program_before_anything_is_declared(tmp_path, values, message):
    run = start(tmp_path, values)

    assert run.returncode != 0
    assert message in run.stderr
