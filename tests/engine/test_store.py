"""The state of a stack on the disk: durable, private, recoverable."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
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

from tests.engine.states import DEFAULT_PROVIDER, PASSPHRASE, STACK, store_in, thing, urn
from watoto_infra.contracts import SECRET_MARK
from watoto_infra.engine.embedded.state.model import OperationKind, ResourceState, Snapshot
from watoto_infra.engine.embedded.state.recorder import Recorder
from watoto_infra.engine.embedded.state.secrets import PassphraseSource
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.errors import NoSuchStack, StateError, WrongPassphrase

PLANTED = "xyzzy-planted-secret"


@pytest.fixture
def cheap_keys(monkeypatch) -> None:
    """Where one process opens a stack many times, the key's derivation is made cheap."""
    monkeypatch.setattr("watoto_infra.engine.embedded.state.secrets.ROUNDS", 10)


@pytest.fixture
def store(tmp_path, cheap_keys) -> StackStore:
    return store_in(tmp_path)


def create(recorder: Recorder, *resources: ResourceState) -> None:
    for resource in resources:
        token = recorder.start(OperationKind.CREATING, replace(resource, id=None))
        recorder.finish(token, put=[resource])


def applied(store: StackStore, *resources: ResourceState, stage: str = "phase2") -> StackStore:
    with store.begin("up", stage) as recorder:
        recorder.record(put=[STACK, DEFAULT_PROVIDER])
        create(recorder, *resources)
    return store


def names(snapshot: Snapshot) -> set[str]:
    return {resource.name for resource in snapshot.resources if resource.type == "memory:index:Thing"}


def test_a_stack_without_state_reads_as_empty(store):
    assert not store.exists
    assert store.load() == replace(Snapshot(), time=store.load().time) or not store.load().resources
    assert store.stage is None
    assert store.history() == []
    with pytest.raises(NoSuchStack):
        store.load_with_crypter()


def test_what_a_run_recorded_is_there_afterwards(store):
    applied(store, thing("a"), thing("b", dependencies=(urn("a"),), simulated=True))
    snapshot = store.load()
    assert snapshot.by_urn()[urn("a")] == thing("a")
    assert snapshot.by_urn()[urn("b")].simulated
    assert snapshot.pending == ()
    assert store.stage == "phase2"


def test_resources_are_kept_in_the_order_of_their_dependencies(store):
    with store.begin("up") as recorder:
        create(recorder, thing("child", dependencies=(urn("late"),)), thing("late"))
        recorder.record(put=[DEFAULT_PROVIDER, STACK])
    order = [resource.name for resource in store.load().resources]
    assert order.index("late") < order.index("child")


def test_both_halves_of_a_replacement_are_kept_until_the_old_one_is_gone(store):
    applied(store, thing("a", id="old"))
    with store.begin("up") as recorder:
        token = recorder.start(OperationKind.CREATING, thing("a", id=None))
        old = replace(recorder.snapshot().by_urn()[urn("a")], delete=True)
        recorder.finish(token, put=[thing("a", id="new"), old])
    assert [(one.id, one.delete) for one in store.load().resources if one.name == "a"] == [
        ("new", False),
        ("old", True),
    ]
    with store.begin("up") as recorder:
        recorder.finish(recorder.start(OperationKind.DELETING, old), drop=[old])
    assert [(one.id, one.delete) for one in store.load().resources if one.name == "a"] == [("new", False)]


def test_a_run_without_changes_leaves_the_state_byte_for_byte(store):
    applied(store, thing("a"))
    before = store.state_path.read_bytes()
    with store.begin("up", "phase2"):
        pass
    assert store.state_path.read_bytes() == before
    assert [run["result"] for run in store.history()] == ["done", "done"]


def test_everything_is_for_its_owner_alone(tmp_path):
    store = StackStore(tmp_path / "state", PassphraseSource({}, tmp_path / "state" / "passphrase"))
    with store.begin("up") as recorder:
        recorder.record(put=[STACK])
        assert store.journal_path.stat().st_mode & 0o777 == 0o600
    assert store.folder.stat().st_mode & 0o777 == 0o700
    found = {path.name: path.stat().st_mode & 0o777 for path in store.folder.iterdir()}
    assert found.keys() == {"state.json", "state.backup.json", "journal.previous.jsonl", "history.jsonl", "passphrase"}
    assert set(found.values()) == {0o600}


def test_a_secret_is_in_clear_in_no_file(store):
    secret = thing("a", inputs={"nested": PropertyValue([PropertyValue(PLANTED, is_secret=True)])})
    recorder = store.begin("up")
    recorder.record(put=[STACK, DEFAULT_PROVIDER])
    token = recorder.start(OperationKind.CREATING, secret)
    assert not _files_with(store.folder, PLANTED)
    recorder.finish(token, put=[secret])
    recorder.start(OperationKind.UPDATING, secret)
    assert not _files_with(store.folder, PLANTED)
    recorder.close("failed")
    assert not _files_with(store.folder, PLANTED)
    assert store.load().by_urn()[urn("a")] == secret


def _files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_without_the_passphrase_a_state_can_be_looked_at_but_its_secrets_not(store, tmp_path):
    applied(store, thing("a"))
    seen = StackStore(store.folder, PassphraseSource({})).peek().by_urn()[urn("a")]
    assert seen.inputs["size"] == PropertyValue(3.0)
    assert seen.inputs["password"].value == SECRET_MARK


@pytest.mark.parametrize("with_journal", [False, True])
def test_a_wrong_passphrase_changes_no_byte(store, tmp_path, with_journal):
    applied(store, thing("a"))
    if with_journal:
        create(store.begin("up"), thing("b"))
    before = {path: path.read_bytes() for path in store.folder.iterdir()}
    wrong = store_in(tmp_path, "wrong")
    for attempt in (wrong.load, lambda: wrong.begin("up"), wrong.load_with_crypter):
        with pytest.raises(WrongPassphrase) as caught:
            attempt()
        assert caught.value.exit_code == 12
    assert {path: path.read_bytes() for path in store.folder.iterdir()} == before


class TestAKilledRun:
    def test_its_finished_steps_are_there_and_its_open_one_is_pending(self, store):
        applied(store, thing("a"))
        recorder = store.begin("up", "phase3")
        create(recorder, thing("b"))
        token = recorder.start(OperationKind.CREATING, thing("c", id=None))
        for snapshot in (store.load(), store.peek(), store.begin("up").snapshot(), store.load()):
            assert names(snapshot) == {"a", "b"}
            assert [(one.token, one.kind, one.resource.urn) for one in snapshot.pending] == [
                (token, OperationKind.CREATING, urn("c"))
            ]
        assert store.stage == "phase3"

    def test_the_next_run_settles_what_was_open(self, store):
        recorder = applied(store).begin("up")
        recorder.start(OperationKind.CREATING, thing("adopted", id=None))
        recorder.start(OperationKind.CREATING, thing("never made", id=None))
        with store.begin("up") as following:
            adopted, never = following.snapshot().pending
            following.finish(adopted.token, put=[thing("adopted")])
            following.abandon(never.token)
        assert store.load().pending == ()
        assert names(store.load()) == {"adopted"}

    def test_it_is_told_in_the_history(self, store):
        create(applied(store).begin("up", "phase3"), thing("b"))
        store.begin("destroy").close("done")
        assert [(run["kind"], run["stage"], run["result"]) for run in store.history()] == [
            ("up", "phase2", "done"),
            ("up", "phase3", "killed"),
            ("destroy", "phase3", "done"),
        ]

    def test_killed_between_writing_the_state_and_retiring_the_journal_nothing_is_done_twice(self, store):
        applied(store, thing("a"))
        recorder = store.begin("up")
        recorder.finish(recorder.start(OperationKind.DELETING, thing("a")), drop=[thing("a")])
        create(recorder, thing("b"))
        journal = store.journal_path.read_bytes()
        recorder.close("done")
        store.journal_path.write_bytes(journal)
        after = store.state_path.read_bytes()
        with store.begin("up") as following:
            assert names(following.snapshot()) == {"b"}
        assert not store.journal_path.exists()
        assert store.state_path.read_bytes() == after
        assert store.previous_journal_path.read_bytes() == journal

    def test_killed_before_its_journal_had_a_whole_header_nothing_happened(self, store):
        applied(store, thing("a"))
        store.journal_path.write_bytes(b"0123")
        previous = store.previous_journal_path.read_bytes()
        with store.begin("up") as following:
            assert names(following.snapshot()) == {"a"}
        assert not store.journal_path.exists()
        assert store.previous_journal_path.read_bytes() == previous


class TestDamage:
    def test_a_state_file_that_was_changed_is_refused_with_a_hint(self, store):
        applied(store, thing("a"))
        store.state_path.write_bytes(store.state_path.read_bytes().replace(b'"id-a"', b'"id-x"'))
        for attempt in (store.load, store.peek, lambda: store.begin("up")):
            with pytest.raises(StateError, match=r"state\.json is damaged: its checksum") as caught:
                attempt()
            assert "watoto state repair" in (caught.value.hint or "")

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[]", b"null", b'{"version":3,"deployment":{}}', b"\xff\xfe", b"0" * 99]
    )
    def test_a_state_file_that_is_none_is_refused(self, store, content):
        applied(store, thing("a"))
        store.state_path.write_bytes(content)
        with pytest.raises(StateError, match="is damaged"):
            store.load()

    def test_a_state_file_that_vanished_is_not_taken_for_a_new_stack(self, store):
        applied(store, thing("a"))
        store.state_path.unlink()
        with pytest.raises(StateError, match="missing"):
            store.begin("up")

    def test_an_old_state_file_under_a_newer_journal_is_refused(self, store):
        applied(store, thing("a"))
        old = store.state_path.read_bytes()
        applied(store, thing("b"))
        create(store.begin("up"), thing("c"))
        store.state_path.write_bytes(old)
        with pytest.raises(StateError, match="older than its journal"):
            store.load()

    def test_a_damaged_journal_is_refused_by_file_and_line(self, store):
        applied(store, thing("a"))
        create(store.begin("up"), thing("b"))
        data = store.journal_path.read_bytes()
        store.journal_path.write_bytes(data.replace(b"creating", b"creation"))
        with pytest.raises(StateError, match=r"journal\.jsonl line 2 is damaged"):
            store.load()

    def test_a_state_that_does_not_fit_together_is_refused(self, store):
        with store.begin("up") as recorder:
            recorder.record(put=[thing("orphan")])
        with pytest.raises(StateError, match="missing or comes later"):
            store.load()

    def test_a_state_that_cannot_be_read_is_an_error_with_a_hint(self, store):
        applied(store)
        store.state_path.unlink()
        store.state_path.mkdir()
        with pytest.raises(StateError, match="cannot read"):
            store.load()

    def test_a_torn_line_of_the_history_hides_no_other(self, store):
        applied(store)
        with store.history_path.open("ab") as file:
            file.write(b'{"when": "2026')
        applied(store)
        assert len(store.history()) == 2


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

def one(name):
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
            list(pool.map(one, [f"r{n}" for n in range(25 * turn) if f"r{n}" not in known]))
"""


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 20))])
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
        known = [one.name for one in snapshot.resources if one.type == "memory:index:Thing"]
        pending = {f"{one.resource.name}.{one.token}" for one in snapshot.pending}
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
            found = {urn: one for urn, one in snapshot.by_urn().items() if one.type == "memory:index:Thing"}
            assert found == self.live
            assert {one.token: one.resource for one in snapshot.pending} == self.open

    def teardown(self):
        self.folder.cleanup()


@pytest.mark.usefixtures("cheap_keys")
def test_runs_finished_failed_and_killed_in_any_order_keep_what_was_acknowledged():
    run_state_machine_as_test(RunsOnAStack, settings=settings(deadline=None, max_examples=100, stateful_step_count=20))


def test_the_state_file_is_itself_a_deployment(store):
    applied(store, thing("a"))
    document = json.loads(store.state_path.read_bytes())
    assert document["version"] == 3
    assert "salt" in document["deployment"]["secrets_providers"]["state"]


def test_recording_costs_the_same_for_each_resource(store):
    """Linear, not quadratic: the journal of twice as many resources is twice as long (bytes, so no clock is needed)."""
    sizes = []
    for count in (50, 100):
        recorder = store.begin("up")
        create(recorder, *(thing(f"{count}-{n:03}") for n in range(count)))
        sizes.append(store.journal_path.stat().st_size)
        recorder.record(put=[STACK, DEFAULT_PROVIDER])
        recorder.close("done")
    assert 1.8 < sizes[1] / sizes[0] < 2.2


def test_the_passphrase_is_kept_out_of_every_file(store):
    applied(store, thing("a"))
    assert not _files_with(store.folder, PASSPHRASE)
