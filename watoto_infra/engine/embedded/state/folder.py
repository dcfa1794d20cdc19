"""The folder of a stack's state, as far as it can be read without passphrase and without importing pulumi.

The state file is itself a deployment that ``pulumi stack import`` reads. What Pulumi has no place for stands beside the
deployment, under ``watoto``: a serial number, the stage, tokens of pending operations, which resources were simulated,
what was read of those that somebody changed, and a checksum over the document. Resources are told by their places in
the list of resources, continued by that of pending operations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.engine.embedded.state.files import read_file
from watoto_infra.engine.embedded.state.journal import JournalContent, read_journal
from watoto_infra.engine.embedded.state.signatures import SECRETS_PROVIDER, plain_json
from watoto_infra.engine.embedded.urns import STACK_TYPE
from watoto_infra.errors import StateError
from watoto_infra.values.contracts import Json

FORMAT = 1
DAMAGED_HINT = "`watoto state repair` puts it together again from the backup and the journals beside it"


@dataclass(frozen=True)
class StateFile:
    """A state file that was read and whose checksum fits; its secrets are still encrypted."""

    document: Mapping[str, Json]
    serial: int
    stage: str | None
    salt: str


class StateFolder:
    """One stack's state: a state file, the journal of the run under way, one backup of both, and a history."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_path = folder / "state.json"
        self.backup_path = folder / "state.backup.json"
        self.journal_path = folder / "journal.jsonl"
        self.previous_journal_path = folder / "journal.previous.jsonl"
        self.history_path = folder / "history.jsonl"

    @property
    def exists(self) -> bool:
        """Whether the stack has a state (which may hold no resources after a destroy)."""
        return self.state_path.exists()

    @property
    def stage(self) -> str | None:
        """The stage last applied, None before the first run. Raises ``StateError`` for damage."""
        journal, state = self.read()
        if journal is not None and journal.header["stage"]:
            return str(journal.header["stage"])
        return state.stage if state else None

    def outputs(self) -> dict[str, Json]:
        """Give what the program exported, secrets marked; empty before its first finished run.

        Raises ``StateError`` for damage.
        """
        journal, state = self.read()
        stack = _stack(state, journal) if state else None
        return {name: plain_json(value) for name, value in (stack or {}).get("outputs", {}).items()}

    def history(self) -> list[Json]:
        """Give the runs so far, oldest first; a line that a crash cut short is left out."""
        runs = []
        for line in (read_file(self.history_path) or b"").splitlines():
            try:
                runs.append(json.loads(line))
            except ValueError:
                continue
        return runs

    def read(self) -> tuple[JournalContent | None, StateFile | None]:
        """Read journal and state, in this order: a run that ends in between leaves a journal that is out of date.

        Raises ``StateError`` where one of them is damaged or missing, or they do not belong together.
        """
        journal = read_journal(self.journal_path)
        state = read_state(self.state_path)
        if state is None and (journal is not None or self.backup_path.exists()):
            raise StateError(
                f"the state file {self.state_path} is missing, but its journal or backup is there",
                hint="`watoto state repair` puts it together again from them",
            )
        if journal is None or state is None or journal.header["base"] == state.serial:
            return journal, state
        if journal.header["base"] > state.serial:
            raise StateError(
                f"the state file {self.state_path} is older than its journal: an old file was put in its place",
                hint="put the right file back, or let `watoto state repair` apply what the journal holds",
            )
        return None, state


def read_state(path: Path) -> StateFile | None:
    """Read a state file, None if there is none. Raises ``StateError`` when it is damaged."""
    data = read_file(path)
    if data is None:
        return None
    try:
        document = json.loads(data)
        own = document["watoto"]
        checksum = own.pop("checksum")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(f"the state file {path} is damaged: it cannot be parsed", hint=DAMAGED_HINT) from error
    if checksum != checksum_of(document):
        raise StateError(
            f"the state file {path} is damaged: its checksum does not fit",
            hint=f"{DAMAGED_HINT}; to edit a state use `watoto state export` and `watoto state import`",
        )
    if own["format"] != FORMAT:
        raise StateError(f"the state file {path} has format {own['format']}; this watoto reads format {FORMAT}")
    provider = document["deployment"]["secrets_providers"]
    if provider["type"] != SECRETS_PROVIDER:
        raise StateError(f"the state file {path} uses the secrets provider {provider['type']}, which is not supported")
    return StateFile(document, own["serial"], own["stage"], provider["state"]["salt"])


def checksum_of(document: Mapping[str, Json]) -> str:
    """Give the checksum of a state file's document, which does not hold it yet."""
    return hashlib.sha256(json.dumps(document, separators=(",", ":"), sort_keys=True).encode()).hexdigest()


def _stack(state: StateFile, journal: JournalContent | None) -> Mapping[str, Json] | None:
    """Find the stack's own resource as the journal has left it."""
    stack = next(filter(_is_stack, state.document["deployment"].get("resources", ())), None)
    for entry in journal.entries if journal else ():
        if stack is not None and [stack["urn"], None] in entry.get("drop", ()):
            stack = None
        stack = next((put["resource"] for put in entry.get("put", ()) if _is_stack(put["resource"])), stack)
    return stack


def _is_stack(resource: Mapping[str, Json]) -> bool:
    return resource["type"] == STACK_TYPE and not resource.get("delete")
