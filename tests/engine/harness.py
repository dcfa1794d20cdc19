"""One stack of things in a temporary folder: what the engine's tests drive."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engine.direct import DirectHost
from tests.engine.memory_provider import Cloud, Faults, MemoryProvider
from tests.engine.passphrases import CHEAP_ROUNDS
from watoto_infra.engine.embedded.engine import EmbeddedEngine
from watoto_infra.engine.embedded.host import HostFactory, ProgramHost
from watoto_infra.engine.embedded.state.secrets import PassphraseSource
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.warm_host import WarmHosts
from watoto_infra.values.contracts import Allowances, DataBearing, Plan, Program, Result, Step, StepOutcome

THINGS = "tests.engine.programs.things"
THING = "mem:index:Thing"


class Watcher:
    """A ``Progress`` that remembers."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, str | None]] = []
        self.started_steps: list[Step] = []
        self.ended: list[StepOutcome] = []
        self.on_start: Any = None

    def planned(self, step: Step) -> None:
        pass

    def started(self, step: Step) -> None:
        self.started_steps.append(step)
        if self.on_start is not None:
            self.on_start(step)

    def finished(self, outcome: StepOutcome) -> None:
        self.ended.append(outcome)

    def message(self, severity: str, text: str, urn: str | None) -> None:
        self.messages.append((severity, text, urn))


@dataclass
class ThingStack:
    """A stack whose program declares the things of a graph (see ``programs/things.py``)."""

    folder: Path
    faults: Faults = field(default_factory=Faults)
    data_bearing: DataBearing = lambda type_, inputs: inputs.get("data") is True
    parallel: int = 8
    in_memory: bool = False
    direct: bool = False
    kdf_rounds: int = CHEAP_ROUNDS
    preload: str | None = None
    """What the process imports whose forks run the program; None: each run has a process of its own."""
    hosts: HostFactory | None = None
    watcher: Watcher = field(default_factory=Watcher)

    def __post_init__(self) -> None:
        self.cloud = Cloud(None if self.in_memory else self.folder / "cloud.json")
        passphrase = PassphraseSource({}, self.folder / "passphrase", self.kdf_rounds)
        self.store = StackStore(self.folder / "state", passphrase)
        self.engine = self.new_engine()

    def new_engine(self) -> EmbeddedEngine:
        return EmbeddedEngine(
            self.store,
            dict.fromkeys(("mem", "aws"), lambda: MemoryProvider(self.cloud, self.faults)),
            stack="test",
            data_bearing=self.data_bearing,
            parallel=self.parallel,
            host=self.hosts or (DirectHost if self.direct else WarmHosts() if self.preload else ProgramHost),
        )

    def program(self, graph: list[dict[str, Any]], **config: str) -> Program:
        settings = {"things:graph": json.dumps(graph), **config}
        return Program(THINGS, "watoto", "test", "phase1", settings, preload=self.preload)

    def preview(self, graph: list[dict[str, Any]], **options: Any) -> Plan:
        return self.engine.preview(self.program(graph), self.watcher, **options)

    def up(
        self, graph: list[dict[str, Any]], *, allow: Allowances = Allowances(), refresh: bool = False, **options: Any
    ) -> Result:
        plan = self.preview(graph, refresh=refresh, **options)
        return self.engine.up(self.program(graph), self.watcher, expect=plan, allow=allow, **options)

    def kill_at(self, operation: str, resource: str, moment: str) -> Callable[[], ThingStack]:
        """Arrange for what a kill at that point would leave: the run goes on, but state and cloud are kept aside.

        Gives a function that goes back to that point (to the end of the run, if it was never met) with a new engine.
        """
        backup: dict[str, Any] = {}

        def keep() -> None:
            with self.cloud.changing() as content:
                backup["cloud"] = json.loads(json.dumps(content))
                shutil.copytree(self.folder / "state", self.folder / "kept", dirs_exist_ok=True)

        self.faults.on_point = ((operation, resource, moment), keep)

        def back() -> ThingStack:
            self.faults.on_point = None
            if "cloud" in backup:
                with self.cloud.changing() as content:
                    content.clear()
                    content.update(backup["cloud"])
                shutil.rmtree(self.folder / "state")
                (self.folder / "kept").rename(self.folder / "state")
            self.engine = self.new_engine()
            return self

        return back

    def interrupt(self) -> None:
        """Do what Ctrl-C does, from any thread."""
        os.kill(os.getpid(), signal.SIGINT)
        deadline = time.monotonic() + 10
        while not any("stopping" in text for _, text, _ in self.watcher.messages):
            assert time.monotonic() < deadline, "the interrupt was not noticed"
            time.sleep(0.01)

    def lose(self, names: set[str]) -> None:
        """Make things vanish behind the engine's back."""
        with self.cloud.changing() as content:
            content["things"] = {i: t for i, t in content["things"].items() if t["resource"] not in names}

    def change(self, name: str, **inputs: Any) -> None:
        """Change a thing behind the engine's back."""
        with self.cloud.changing() as content:
            next(entry for entry in content["things"].values() if entry["resource"] == name)["inputs"].update(inputs)

    def destroy(self, *, allow: Allowances = Allowances()) -> Result:
        return self.engine.destroy(self.watcher, expect=self.engine.preview_destroy(), allow=allow)


def thing(name: str, **entry: Any) -> dict[str, Any]:
    """Give a graph's entry: ``props`` and the rest as in ``programs/things.py``."""
    return {"name": name, **entry}


def urn_of(name: str, type_: str = THING) -> str:
    return f"urn:pulumi:test::watoto::{type_}::{name}"


def shown(plan: Plan) -> dict[str, str]:
    """Give a plan's operations by resource name, the stack resource left out."""
    return {step.name: step.op.value for step in plan.steps if step.type != "pulumi:pulumi:Stack"}


def done(result: Result) -> list[tuple[str, str]]:
    """Give what a run did: (operation, name), in order, without what stayed the same and the stack resource."""
    return [
        (outcome.step.op.value, outcome.step.name)
        for outcome in result.outcomes
        if outcome.step.op.value != "same" and outcome.step.type != "pulumi:pulumi:Stack" and outcome.error is None
    ]
