"""A program of Kubernetes objects under the embedded engine, as a stack meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import Watcher
from tests.engine.passphrases import CHEAP_ROUNDS
from watoto_infra.engine.embedded.engine import EmbeddedEngine
from watoto_infra.engine.embedded.state.secrets import PassphraseSource
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.errors import InvalidInputs
from watoto_infra.providers.kubernetes.provider import KubernetesProvider
from watoto_infra.providers.kubernetes.store import Kept, Key, ObjectStore
from watoto_infra.values.contracts import Allowances, Plan, Program, Result

ROOT = Path(__file__).parents[2]
PROGRAM = "tests.providers.kubernetes_program"
OBJECTS = 8


@dataclass
class Stack:
    """One stack of the program in a folder; ``fatal`` names an object whose creation kills this process."""

    folder: Path
    fatal: str = ""
    watcher: Watcher = field(default_factory=Watcher)

    def __post_init__(self) -> None:
        passphrase = PassphraseSource({}, self.folder / "passphrase", CHEAP_ROUNDS)
        self.store = StackStore(self.folder / "state", passphrase)
        self.objects = _Killing(self.folder / "kubernetes", self.fatal)
        registry = {"kubernetes": lambda: KubernetesProvider(self.objects)}
        self.engine = EmbeddedEngine(self.store, registry, stack="test", data_bearing=lambda *_: False)

    def preview(self, **config: str) -> Plan:
        return self.engine.preview(program(config), self.watcher)

    def up(self, **config: str) -> Result:
        plan = self.preview(**config)
        result = self.engine.up(program(config), self.watcher, expect=plan, allow=Allowances(delete_data=True))
        assert not result.failures, [outcome.error for outcome in result.failures]
        return result

    def file(self, name: str) -> Path:
        return self.folder / "kubernetes" / "school" / f"{name}.json"


class _Killing(ObjectStore):
    """Ends the process right after an object is there, before anybody hears of it."""

    def __init__(self, folder: Path, fatal: str) -> None:
        super().__init__(folder)
        self._fatal = fatal

    def create(self, key: Key, manifest: dict[str, Any], token: str | None) -> Kept:
        kept = super().create(key, manifest, token)
        if key.path == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return kept


def up_to_its_death(folder: str, fatal: str) -> None:
    """Bring a stack up in a process of its own, which the creation of one object kills."""
    Stack(Path(folder), fatal).up()


def program(config: dict[str, str]) -> Program:
    return Program(PROGRAM, "watoto", "test", "phase3", {f"school:{key}": value for key, value in config.items()})


def changed(plan: Plan) -> dict[str, str]:
    """Give operation and name of what is not the same, with the paths that differ."""
    return {
        f"{step.op.value} {step.name}": ", ".join(change.path for change in step.changes)
        for step in plan.steps
        if step.op.value != "same"
    }


def files(stack: Stack) -> int:
    return len(list((stack.folder / "kubernetes").rglob("*.json")))


def test_a_program_of_objects_comes_up_changes_is_put_right_and_goes(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack")
    made = stack.up()
    assert Counter(outcome.step.op.value for outcome in made.outcomes)["create"] == OBJECTS + 2
    assert files(stack) == OBJECTS
    assert made.outputs["namespace"] == "school"
    assert str(made.outputs["front"]).startswith("front-")
    assert len(made.simulated) == OBJECTS
    assert not any("hunter2" in path.read_text() for path in stack.folder.rglob("*") if path.is_file())
    assert not stack.preview().has_changes

    plan = stack.preview(labels='{"tier": "web"}', workers="3", key="hunter3", image="lms@sha256:1")
    assert changed(plan) == {
        "update school": "metadata.labels.tier",
        "update settings": "data.WORKERS",
        "update keys": "stringData.KEY",
        "update lms": "spec.template.spec.containers[lms].image",
    }
    assert "hunter" not in repr(plan)
    stack.up(labels='{"tier": "web"}', workers="3", key="hunter3", image="lms@sha256:1")

    same = {"labels": '{"tier": "web"}', "workers": "3", "key": "hunter3", "image": "lms@sha256:1"}
    plan = stack.preview(**same, selected='{"tier": "web"}')
    assert {operation.partition(" ")[0] for operation in changed(plan) if operation.endswith(" lms")} == {"replace"}
    uid = json.loads(stack.file("deployment.apps/lms").read_text())["server"]["uid"]
    stack.up(**same, selected='{"tier": "web"}')
    assert json.loads(stack.file("deployment.apps/lms").read_text())["server"]["uid"] != uid
    assert files(stack) == OBJECTS

    deployment = stack.file("deployment.apps/lms")
    deployment.write_text(deployment.read_text().replace('"replicas": 3', '"replicas": 9'))
    stack.file("configmap/settings").unlink()
    drift = stack.engine.refresh(stack.watcher, dry_run=True)
    assert changed(drift.plan) == {"update lms": "spec.replicas", "delete settings": ""}
    stack.engine.refresh(stack.watcher, dry_run=False)
    plan = stack.preview(**same, selected='{"tier": "web"}')
    assert changed(plan) == {"update lms": "spec.replicas", "create settings": ""}
    stack.up(**same, selected='{"tier": "web"}', bound="false")
    assert files(stack) == OBJECTS - 1

    stack.engine.destroy(stack.watcher, expect=stack.engine.preview_destroy(), allow=Allowances(delete_data=True))
    assert files(stack) == 0


def test_an_object_whose_creation_was_killed_before_it_was_recorded_is_taken_over(tmp_path: Path) -> None:
    begin = (
        "import sys; from tests.providers import test_kubernetes_engine as test; test.up_to_its_death(*sys.argv[1:])"
    )
    command = [sys.executable, "-c", begin, str(tmp_path), "school/secret/keys"]
    assert subprocess.run(command, cwd=ROOT, timeout=120, check=False).returncode == -signal.SIGKILL
    stack = Stack(tmp_path)
    (pending,) = [one for one in stack.store.load().pending if one.resource.name == "keys"]
    before = json.loads(stack.file("secret/keys").read_text())
    assert before["server"]["token"] == pending.token
    stack.up()
    assert json.loads(stack.file("secret/keys").read_text()) == before
    assert files(stack) == OBJECTS
    assert not stack.preview().has_changes


def test_a_cluster_that_is_only_declared_yet_can_be_previewed(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack")
    assert changed(stack.preview(second="true")).keys() >= {"create second", "create elsewhere"}
    stack.up(second="true")
    assert not stack.preview(second="true").has_changes


def test_what_is_wrong_with_an_object_ends_the_preview_with_its_path(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack")
    where = r"Deployment::lms is not valid .*: spec\.selector\.matchLabels\.tier: must be string, not int"
    with pytest.raises(InvalidInputs, match=where) as caught:
        stack.preview(selected='{"tier": 5}')
    assert "kubernetes_program.py" in caught.value.message
