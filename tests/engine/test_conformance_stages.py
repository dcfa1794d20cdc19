"""The real program under both engines, on the same emulator: same URNs and operations in every stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.official import PASSPHRASE, OfficialCli, operations
from tests.stack.conftest import end, new_home
from tests.stack.driver import Driver
from watoto_infra.engine.embedded.state.secrets import PASSPHRASE_VARIABLE
from watoto_infra.stack_home import OBJECTS_VARIABLE

pytestmark = pytest.mark.conformance

PROGRAM = 'import runpy; runpy.run_module("watoto_infra.program")'


@pytest.mark.parametrize("stage", ["phase1", "phase2", "phase3"])
def test_each_stage_is_the_same_to_both_engines(stage: str, tmp_path: Path, require_binary: Callable[[str], Path]):
    for program in ("pulumi", "pulumi-language-python"):
        require_binary(program)
    with new_home() as home:
        stack = Driver(home, environment={PASSPHRASE_VARIABLE: PASSPHRASE})
        try:
            planned = ours(stack, stage)
            stack.ok("up", "--stage", stage, "--yes")
            exports = dict(line.removeprefix("export ").split("=", 1) for line in stack.ok("env").splitlines())
            places = {"AWS_STAND_IN": exports["AWS_ENDPOINT_URL"], OBJECTS_VARIABLE: exports[OBJECTS_VARIABLE]}
            official = OfficialCli(tmp_path, "local", PROGRAM, places, ("aws", "kubernetes", "random"))
            official.configure(watoto__stage=stage, watoto__target="local", aws__region=exports["AWS_REGION"])
            assert official.preview() == planned, "with an empty state"
            official.import_state(stack.json("state", "export"))
            assert official.preview() == ours(stack, stage), "with the state of ours"
        finally:
            end(stack)


def ours(stack: Driver, stage: str) -> dict[str, str]:
    return operations((step["urn"], step["op"]) for step in stack.plan(stage)["steps"])
