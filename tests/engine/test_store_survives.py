"""The state of a stack on the disk, whatever becomes of the runs that write it: full disks, kills, torn lines."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pulumi.provider.experimental.property_value import PropertyValue

from tests.engine.states import DEFAULT_PROVIDER, STACK, applied, names, store_in, thing
from tests.examples import examples
from watoto_infra.engine.embedded.state.model import OperationKind, ResourceState

FULL = """
import resource, sys
from pathlib import Path
from tests.engine.states import DEFAULT_PROVIDER, STACK, store_in, thing
from watoto_infra.engine.embedded.state.model import OperationKind
from watoto_infra.errors import StateError
store = store_in(Path(sys.argv[1]))
recorder = store.begin("up")
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
done = []
try:
    with recorder:
        for n in range(200):
            name = f"new{n}"
            token = recorder.start(OperationKind.CREATING, thing(name, id=None))
            done.append(name)
            recorder.finish(token, put=[thing(name)])
except StateError as error:
    print(error.message, "|", error.hint, file=sys.stderr)
print(*done)
"""


@pytest.mark.parametrize("limit", [0, 3000, 9000, 20_000])
def test_a_full_disk_is_one_clear_error_and_loses_nothing_that_was_made(tmp_path, limit):
    store = applied(store_in(tmp_path), thing("a"))
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(limit)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "no space left" in ran.stderr
    assert "Traceback" not in ran.stderr
    made = set(ran.stdout.split())
    with store.begin("up") as following:
        known = following.snapshot()
        accounted = names(known) | {pending.resource.name for pending in known.pending}
        assert made | {"a"} <= accounted
        for pending in known.pending:
            following.abandon(pending.token)
    assert store.load().pending == ()


RUN_FOR_EVER = """
import sys
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from tests.engine.states import DEFAULT_PROVIDER, STACK, store_in, thing
from watoto_infra.engine.embedded.state.model import OperationKind
real = Path(sys.argv[2])
store = store_in(Path(sys.argv[1]))

def create(name):
    token = recorder.start(OperationKind.CREATING, thing(name, id=None))
    (real / f"{name}.{token}").touch()
    recorder.finish(token, put=[thing(name)])

turn = 0
while True:
    turn += 1
    with store.begin("up", f"phase{turn}") as recorder:
        recorder.record(put=[STACK, DEFAULT_PROVIDER])
        for pending in recorder.snapshot().pending:
            made = (real / f"{pending.resource.name}.{pending.token}").exists()
            recorder.finish(pending.token, put=[thing(pending.resource.name)] if made else [])
        print("running", flush=True)
        known = {resource.name for resource in recorder.snapshot().resources}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(create, [f"r{n}" for n in range(25 * turn) if f"r{n}" not in known]))
"""


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 20))])
def test_killed_at_random_moments_again_and_again_state_and_reality_stay_one(tmp_path, seed):
    real = tmp_path / "real"
    real.mkdir()
    chance = random.Random(seed)
    for _ in range(5):
        worker = subprocess.Popen(
            [sys.executable, "-c", RUN_FOR_EVER, str(tmp_path), str(real)], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        assert worker.stdout.readline() == "running\n"
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(chance.uniform(0, 0.5))
        worker.send_signal(signal.SIGKILL)
        worker.wait(30)
        worker.stdout.close()
        snapshot = store_in(tmp_path).load()
        known = [resource.name for resource in snapshot.resources if resource.type == "memory:index:Thing"]
        pending = {f"{operation.resource.name}.{operation.token}" for operation in snapshot.pending}
        made = {path.name for path in real.iterdir()}
        assert len(known) == len(set(known))
        assert {name.partition(".")[0] for name in made - pending} == set(known)
        assert len(made) == len({name.partition(".")[0] for name in made})


class RunsOnAStack(RuleBasedStateMachine):
    """Runs that finish, fail and are killed, against a plain dictionary of what they acknowledged."""

    resources = st.builds(
        thing,
        st.sampled_from("abcdef"),
        id=st.sampled_from(["1", "2", "3"]),
        simulated=st.booleans(),
        inputs=st.dictionaries(st.sampled_from("xy"), st.integers(0, 3).map(float).map(PropertyValue), max_size=2),
    )

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = store_in(Path(self.folder.name))
        self.live: dict[str, ResourceState] = {}
        self.open: dict[str, ResourceState] = {}
        self.recorder = self.store.begin("up")
        self.recorder.record(put=[STACK, DEFAULT_PROVIDER], wait=True)

    @rule(resource=resources)
    def begin(self, resource):
        self.open[self.recorder.start(OperationKind.CREATING, resource)] = resource

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def finish(self, data):
        token = data.draw(st.sampled_from(list(self.open)))  # in order of their start: tokens are random
        resource = self.open.pop(token)
        self.recorder.finish(token, put=[resource])
        self.live[resource.urn] = resource

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def abandon(self, data):
        token = data.draw(st.sampled_from(list(self.open)))  # in order of their start: tokens are random
        del self.open[token]
        self.recorder.abandon(token)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def drop(self, data):
        resource = self.live.pop(data.draw(st.sampled_from(sorted(self.live))))
        self.recorder.record(drop=[resource], wait=True)

    @rule(result=st.sampled_from(["done", "failed", "killed", "torn"]))
    def end(self, result):
        if result in ("done", "failed"):
            self.recorder.close(result)
        elif result == "torn" and self.store.journal_path.exists():
            with self.store.journal_path.open("ab") as file:
                file.write(b'01234567 {"end": "x')
        self.recorder = self.store.begin("up")

    @invariant()
    def the_disk_holds_what_was_acknowledged(self):
        for snapshot in (self.store.load(), self.recorder.snapshot()):
            things = {
                urn: resource for urn, resource in snapshot.by_urn().items() if resource.type == "memory:index:Thing"
            }
            assert things == self.live
            assert {operation.token: operation.resource for operation in snapshot.pending} == self.open

    def teardown(self):
        self.folder.cleanup()


def test_runs_finished_failed_and_killed_in_any_order_keep_what_was_acknowledged():
    run_state_machine_as_test(
        RunsOnAStack, settings=settings(max_examples=examples(quick=30, long=100), stateful_step_count=20)
    )
