"""The state of a stack on the disk: durable, private, recoverable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pulumi.provider.experimental.property_value import PropertyValue

from tests.engine.passphrases import CHEAP_ROUNDS
from tests.engine.states import DEFAULT_PROVIDER, PASSPHRASE, STACK, applied, create, names, store_in, thing, urn
from watoto_infra.engine.embedded.state.model import OperationKind, ResourceState, Snapshot
from watoto_infra.engine.embedded.state.secrets import PassphraseSource
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.state.values import plain_properties
from watoto_infra.errors import NoSuchStack, StateError, WrongPassphrase
from watoto_infra.values.contracts import SECRET_MARK

PLANTED = "xyzzy-planted-secret"


@pytest.fixture
def store(tmp_path) -> StackStore:
    return store_in(tmp_path)


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
    assert [(resource.id, resource.delete) for resource in store.load().resources if resource.name == "a"] == [
        ("new", False),
        ("old", True),
    ]
    with store.begin("up") as recorder:
        recorder.finish(recorder.start(OperationKind.DELETING, old), drop=[old])
    assert [(resource.id, resource.delete) for resource in store.load().resources if resource.name == "a"] == [
        ("new", False)
    ]


def test_a_run_without_changes_leaves_the_state_byte_for_byte(store):
    applied(store, thing("a"))
    before = store.state_path.read_bytes()
    with store.begin("up", "phase2"):
        pass
    assert store.state_path.read_bytes() == before
    assert [run["result"] for run in store.history()] == ["done", "done"]


def test_everything_is_for_its_owner_alone(tmp_path):
    store = StackStore(tmp_path / "state", PassphraseSource({}, tmp_path / "state" / "passphrase", CHEAP_ROUNDS))
    with store.begin("up") as recorder:
        recorder.record(put=[STACK])
        assert store.journal_path.stat().st_mode & 0o777 == 0o600
    assert store.folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in store.folder.iterdir()}
    assert modes.keys() == {"state.json", "state.backup.json", "journal.previous.jsonl", "history.jsonl", "passphrase"}
    assert set(modes.values()) == {0o600}


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
            assert [(operation.token, operation.kind, operation.resource.urn) for operation in snapshot.pending] == [
                (token, OperationKind.CREATING, urn("c"))
            ]
        assert store.stage == "phase3"

    def test_its_outputs_are_read_without_passphrase_as_the_whole_state_gives_them(self, store):
        def exporting(url: str) -> ResourceState:
            return replace(STACK, outputs={"url": PropertyValue(url), "key": PropertyValue(PLANTED, is_secret=True)})

        applied(store, exporting("http://first"))
        assert store.outputs() == {"url": "http://first", "key": SECRET_MARK}
        recorder = store.begin("up")
        for url in ("http://second", "http://third"):
            recorder.record(put=[exporting(url)])
            assert store.outputs() == plain_properties(store.peek().stack_outputs())
        assert store.outputs()["url"] == "http://third"
        recorder.record(drop=[exporting("http://third")])
        assert store.outputs() == plain_properties(store.peek().stack_outputs()) == {}

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
