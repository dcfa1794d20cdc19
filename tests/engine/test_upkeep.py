"""Export, import and repair of a stack's state."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue

from tests.engine.passphrases import CHEAP_ROUNDS
from tests.engine.states import DEFAULT_PROVIDER, PASSPHRASE, STACK, store_in, thing, urn
from tests.examples import examples
from watoto_infra.engine.embedded.state.model import OperationKind, PendingOperation, Snapshot
from watoto_infra.engine.embedded.state.pulumi_json import to_deployment
from watoto_infra.engine.embedded.state.secrets import PassphraseCrypter
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.state.upkeep import apply_repair, export_state, import_state, plan_repair
from watoto_infra.errors import NoSuchStack, StateError, WrongPassphrase


@pytest.fixture
def store(tmp_path) -> StackStore:
    return store_in(tmp_path)


def run(store: StackStore, *names: str, stage: str = "phase2", close: bool = True) -> None:
    """Create things; without ``close`` the run is left as kill -9 leaves it."""
    recorder = store.begin("up", stage)
    recorder.record(put=[STACK, DEFAULT_PROVIDER], wait=True)
    for name in names:
        token = recorder.start(OperationKind.CREATING, thing(name, id=None))
        recorder.finish(token, put=[thing(name)])
    if close:
        recorder.close("done")


def names(snapshot: Snapshot) -> list[str]:
    return sorted(resource.name for resource in snapshot.resources if resource.type == "memory:index:Thing")


class TestImport:
    def test_an_export_imports_into_a_stack_with_another_salt_and_secrets_stay_secret(self, store, tmp_path):
        run(store, "a", "b")
        document = json.loads(json.dumps(export_state(store)))
        other = store_in(tmp_path / "other")
        imported = import_state(other, document, stack="local")
        assert imported.resources == other.load().resources == store.load().resources
        assert b"secret of a" not in other.state_path.read_bytes()
        assert export_state(other)["deployment"]["secrets_providers"] != document["deployment"]["secrets_providers"]
        assert [line["kind"] for line in other.history()] == ["state import"]

    def test_secrets_exported_in_clear_are_encrypted_on_import(self, store):
        run(store, "a")
        document = export_state(store)
        del document["deployment"]["secrets_providers"]
        for resource in document["deployment"]["resources"]:
            if "inputs" in resource:
                secret = resource["inputs"]["password"]
                del secret["ciphertext"]
                secret["plaintext"] = '"shown"'
        import_state(store, document, stack="local")
        assert store.load().by_urn()[urn("a")].inputs["password"] == PropertyValue("shown", is_secret=True)
        assert b"shown" not in store.state_path.read_bytes()

    def test_what_was_there_before_is_kept_as_the_backup(self, store):
        run(store, "a")
        before = store.state_path.read_bytes()
        import_state(store, to_document(thing("b")), stack="local")
        assert names(store.load()) == ["b"]
        assert store.backup_path.read_bytes() == before

    @pytest.mark.parametrize("existing", [False, True])
    @pytest.mark.parametrize(
        ("change", "error", "says"),
        [
            ({"stack": "production"}, StateError, "belongs to the stack local"),
            ({"version": 5}, StateError, "version 5"),
            ({"passphrase": "another"}, WrongPassphrase, "passphrase"),
            ({"provider": "awskms"}, StateError, "awskms"),
            ({"order": True}, StateError, "comes later"),
        ],
    )
    def test_what_cannot_be_imported_changes_nothing(self, store, existing, change, error, says):
        if existing:
            run(store, "a")
        before = {path: path.read_bytes() for path in store.folder.glob("*")}
        document = to_document(thing("b"), passphrase=change.get("passphrase", PASSPHRASE))
        document["version"] = change.get("version", 3)
        document["deployment"]["secrets_providers"]["type"] = change.get("provider", "passphrase")
        if "order" in change:
            document["deployment"]["resources"].reverse()
        with pytest.raises(error, match=says):
            import_state(store, document, stack=change.get("stack", "local"))
        assert {path: path.read_bytes() for path in store.folder.glob("*")} == before

    def test_there_is_nothing_to_export_without_a_state(self, store):
        with pytest.raises(NoSuchStack) as caught:
            export_state(store)
        assert caught.value.exit_code == 10

    def test_an_export_shows_what_a_killed_run_left(self, store):
        run(store, "a")
        recorder = store.begin("up")
        recorder.start(OperationKind.CREATING, thing("open", id=None))
        exported = export_state(store)["deployment"]
        assert [operation["type"] for operation in exported["pending_operations"]] == ["creating"]


def to_document(*resources, passphrase: str = PASSPHRASE):
    crypter = PassphraseCrypter.new(passphrase, CHEAP_ROUNDS)
    snapshot = Snapshot((STACK, DEFAULT_PROVIDER, *resources))
    return json.loads(json.dumps(to_deployment(snapshot, crypter, crypter.salt)))


class TestRepair:
    def test_a_sound_state_needs_none(self, store):
        run(store, "a")
        assert plan_repair(store).findings == ()

    def test_planning_writes_nothing(self, store):
        run(store, "a")
        run(store, "b", close=False)
        store.state_path.write_bytes(b"{")
        before = {path: path.read_bytes() for path in store.folder.glob("*")}
        assert plan_repair(store).findings
        assert {path: path.read_bytes() for path in store.folder.glob("*")} == before

    @pytest.mark.parametrize("damage", [b"", b"{", None])
    @pytest.mark.parametrize("killed", [False, True])
    def test_a_lost_state_file_is_made_again_whole(self, store, damage, killed):
        run(store, "a", "b")
        run(store, "c", stage="phase3")
        if killed:
            run(store, "d", close=False)
            store.begin("up", "phase3").start(OperationKind.CREATING, thing("e", id=None))
        expected = store.load()
        store.state_path.unlink()
        if damage is not None:
            store.state_path.write_bytes(damage)
        repair = plan_repair(store)
        assert len(repair.findings) == 1
        copies = apply_repair(store, repair)
        assert len(copies) >= 2 - (damage is None)
        again = store.load()
        assert again.by_urn() == expected.by_urn()
        assert again.pending == expected.pending
        assert store.stage == "phase3"
        run(store, "f")
        assert "f" in names(store.load())

    def test_after_the_repair_the_sound_backup_is_still_there(self, store):
        run(store, "a")
        run(store, "b")
        backup = store.backup_path.read_bytes()
        store.state_path.write_bytes(b"{")
        apply_repair(store, plan_repair(store))
        assert store.backup_path.read_bytes() == backup

    def test_a_damaged_line_of_the_journal_is_left_out_and_its_operation_stays_pending(self, store):
        run(store, "a")
        run(store, "b", "c", close=False)
        data = store.journal_path.read_bytes()
        lines = data.splitlines(keepends=True)
        lines[3] = lines[3].replace(b"id-b", b"id-x")
        store.journal_path.write_bytes(b"".join(lines))
        with pytest.raises(StateError, match="line 4"):
            store.load()
        repair = plan_repair(store)
        assert repair.findings == ("left out line 4 of journal.jsonl, which is damaged",)
        apply_repair(store, repair)
        assert names(store.load()) == ["a", "c"]
        assert [operation.resource.name for operation in store.load().pending] == ["b"]

    def test_without_backup_a_lost_state_says_what_is_left_to_do(self, store):
        run(store, "a")
        store.state_path.write_bytes(b"{")
        store.backup_path.unlink()
        with pytest.raises(StateError, match="no backup") as caught:
            plan_repair(store)
        assert "import" in (caught.value.hint or "")

    def test_a_stack_that_never_was_has_nothing_to_repair(self, store):
        with pytest.raises(NoSuchStack):
            plan_repair(store)

    def test_an_old_state_file_takes_up_its_newer_journal(self, store):
        run(store, "a")
        old = store.state_path.read_bytes()
        run(store, "b")
        run(store, "c", close=False)
        store.state_path.write_bytes(old)
        repair = plan_repair(store)
        assert "is lost" in repair.findings[0]
        apply_repair(store, repair)
        assert names(store.load()) == ["a", "c"]

    def test_references_to_nothing_are_dropped(self, store):
        with store.begin("up") as recorder:
            recorder.record(put=[STACK, DEFAULT_PROVIDER, thing("a", dependencies=(urn("gone"),))])
        with pytest.raises(StateError) as caught:
            store.load()
        assert "repair" in (caught.value.hint or "")
        repair = plan_repair(store)
        assert len(repair.findings) == 1
        apply_repair(store, repair)
        assert store.load().by_urn()[urn("a")].dependencies == ()

    def test_a_wrong_passphrase_repairs_nothing(self, store, tmp_path):
        run(store, "a")
        with pytest.raises(WrongPassphrase):
            plan_repair(store_in(tmp_path, "wrong"))

    @settings(max_examples=examples(quick=20, long=60), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_whatever_byte_is_damaged_the_state_is_refused_or_whole_and_repair_brings_it_back(
        self, tmp_path_factory, data
    ):
        store = store_in(tmp_path_factory.mktemp("stack"))
        run(store, "a")
        run(store, "b")
        run(store, "c", close=False)
        expected = store.load()
        file = data.draw(st.sampled_from([store.state_path, store.journal_path]))
        content = bytearray(file.read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        torn = file == store.journal_path and position == len(content) - 1  # reads like a line cut short by a kill
        try:
            after = store.load()
            assert after.resources == expected.resources or torn
        except StateError:
            apply_repair(store, plan_repair(store))
            after = store.load()
        accounted = set(names(after)) | {operation.resource.name for operation in after.pending}
        assert accounted >= {"a", "b"} | ({"c"} if file == store.state_path or torn else set())


def test_pending_operations_of_an_imported_deployment_can_be_settled(store):
    pending = PendingOperation(thing("open", id=None), OperationKind.CREATING)
    crypter = PassphraseCrypter.new(PASSPHRASE, CHEAP_ROUNDS)
    document = to_deployment(replace(Snapshot((STACK, DEFAULT_PROVIDER)), pending=(pending,)), crypter, crypter.salt)
    import_state(store, document, stack="local")
    with store.begin("up") as recorder:
        (operation,) = recorder.snapshot().pending
        recorder.finish(operation.token, put=[thing("open")])
    assert names(store.load()) == ["open"]
    assert store.load().pending == ()
