"""The program under both engines, each with an emulator: from stage to stage the same operations on the same URNs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.official import OfficialCli, operations
from tests.program.declared import IMAGE, ROOT
from watoto_infra.engine.embedded.engine import EmbeddedEngine
from watoto_infra.engine.embedded.state.secrets import PassphraseSource
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.providers.aws.provider import AwsProvider
from watoto_infra.providers.kubernetes.provider import KubernetesProvider
from watoto_infra.providers.kubernetes.store import ObjectStore
from watoto_infra.providers.random import RandomProvider
from watoto_infra.providers.resource_types import is_data_bearing
from watoto_infra.stack_home import OBJECTS_VARIABLE
from watoto_infra.values.contracts import Plan, Program, Step, StepOutcome

pytestmark = [pytest.mark.conformance, pytest.mark.local, pytest.mark.timeout(1800)]

STARTS_WITHIN = 60
MAIN = "from watoto_infra.program.entry import main\n\nmain()\n"
OVERRIDES = f'{{"app": {{"image": "{IMAGE}"}}}}'


@contextmanager
def emulator() -> Iterator[str]:
    """An AWS of its own on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "emulator", "-H", "127.0.0.1", "-p", str(port)]
    environment = {**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    rooms, quiet = ROOT / "watoto_infra" / "local", subprocess.DEVNULL
    with (
        tempfile.TemporaryDirectory() as objects,
        subprocess.Popen(
            [*command, "--objects", objects], cwd=rooms, env=environment, stdout=quiet, stderr=quiet
        ) as process,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(url: str) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/moto-api/config", timeout=1)
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the emulator at {url} did not start within {STARTS_WITHIN} s")


class Silent:
    """Progress that nobody watches, but for failures."""

    def planned(self, step: Step) -> None: ...

    def started(self, step: Step) -> None: ...

    def finished(self, outcome: StepOutcome) -> None:
        assert outcome.error is None, outcome.error

    def message(self, severity: str, text: str, urn: str | None) -> None:
        assert severity != "error", text


class Ours:
    """The same stack under the embedded engine."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        store = StackStore(folder, PassphraseSource(os.environ, folder / "passphrase"))
        objects = ObjectStore(folder / "kubernetes")
        providers = {
            "aws": lambda: AwsProvider(endpoint),
            "kubernetes": lambda: KubernetesProvider(objects),
            "random": RandomProvider,
        }
        self._engine = EmbeddedEngine(store, providers, stack="local", data_bearing=is_data_bearing)

    def preview(self, stage: str) -> Plan:
        return self._engine.preview(self._program(stage), Silent())

    def up(self, stage: str, plan: Plan) -> None:
        assert not self._engine.up(self._program(stage), Silent(), expect=plan).failures

    @staticmethod
    def _program(stage: str) -> Program:
        config = {"watoto:stage": stage, "watoto:target": "local", "watoto:overrides": OVERRIDES}
        return Program("watoto_infra.program", "watoto", "local", stage, config)


def test_both_engines_do_the_same_to_the_same_urns_from_stage_to_stage_and_back(tmp_path, require_binary):
    for program in ("pulumi", "pulumi-language-python"):
        require_binary(program)
    with emulator() as their_aws, emulator() as our_aws:
        objects = str(tmp_path / "kubernetes")
        environment = {"AWS_STAND_IN": their_aws, "AWS_REGION": "us-east-1", OBJECTS_VARIABLE: objects}
        official = OfficialCli(tmp_path / "official", "local", MAIN, environment, ("aws", "kubernetes", "random"))
        official.configure(watoto__target="local", watoto__overrides=OVERRIDES)
        ours = Ours(tmp_path / "ours", our_aws)
        for stage in ("phase1", "phase2", "phase1"):
            official.configure(watoto__stage=stage)
            plan = ours.preview(stage)

            assert official.preview() == operations((step.urn, step.op.value) for step in plan.steps)

            official.up()
            ours.up(stage, plan)
            assert official.preview() == {}
            assert not ours.preview(stage).has_changes
