"""The state of a stack on this machine as a document that Pulumi reads and writes."""

from __future__ import annotations

from watoto_infra.engine.embedded.state.lock import hold_lock
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.state.upkeep import export_state, import_state
from watoto_infra.values.contracts import Json


class LocalState:
    """Implements ``sessions.StateAccess``."""

    def __init__(self, stack: str, store: StackStore) -> None:
        self._stack = stack
        self._store = store

    def exported(self) -> Json:
        return export_state(self._store)

    def replaced_by_import(self) -> str | None:
        if not self._store.exists:
            return None
        held = len(self._store.peek().resources)
        return f"stack {self._stack} has a state with {held} resources; the file takes its place"

    def import_(self, document: Json) -> str:
        with hold_lock(self._store.folder, "watoto state import"):
            snapshot = import_state(self._store, document, stack=self._stack)
        return (
            f"stack {self._stack} now has {len(snapshot.resources)} resources in its state\n"
            "`watoto preview --refresh` says how they differ from what is really there"
        )
