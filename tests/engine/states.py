"""Small states for tests of the engine's state side."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue

from tests.engine.passphrases import CHEAP_ROUNDS
from watoto_infra.engine.embedded.state.model import OperationKind, ResourceState, Snapshot
from watoto_infra.engine.embedded.state.recorder import Recorder
from watoto_infra.engine.embedded.state.secrets import PASSPHRASE_VARIABLE, PassphraseSource
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.urns import STACK_TYPE

STACK_URN = f"urn:pulumi:local::watoto::{STACK_TYPE}::watoto-local"
PROVIDER_URN = "urn:pulumi:local::watoto::pulumi:providers:memory::default"
PROVIDER = f"{PROVIDER_URN}::p-1"
PASSPHRASE = "correct horse battery staple"

STACK = ResourceState(urn=STACK_URN, type=STACK_TYPE, custom=False)
DEFAULT_PROVIDER = ResourceState(urn=PROVIDER_URN, type="pulumi:providers:memory", custom=True, id="p-1")


def urn(name: str) -> str:
    return f"urn:pulumi:local::watoto::memory:index:Thing::{name}"


def thing(name: str, **attributes: Any) -> ResourceState:
    """A resource of the memory provider under the stack."""
    defaults: dict[str, Any] = {
        "id": f"id-{name}",
        "parent": STACK_URN,
        "provider": PROVIDER,
        "inputs": {"size": PropertyValue(3.0), "password": PropertyValue(f"secret of {name}", is_secret=True)},
        "outputs": {"size": PropertyValue(3.0)},
        "created": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "type": "memory:index:Thing",
    }
    return ResourceState(urn=urn(name), custom=True, **(defaults | attributes))


def store_in(folder: Path, passphrase: str = PASSPHRASE) -> StackStore:
    return StackStore(folder / "state", PassphraseSource({PASSPHRASE_VARIABLE: passphrase}, kdf_rounds=CHEAP_ROUNDS))


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


_texts = st.text(max_size=12).filter(lambda text: not text.startswith("04da6b54"))
_scalars = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(-(2**53), 2**53).map(float), _texts, st.just("[secret]")
)


def _containers(children):
    keys = st.text(max_size=6)
    return st.one_of(st.lists(children, max_size=4), st.dictionaries(keys, children, max_size=4)).map(PropertyValue)


values = st.recursive(
    st.one_of(_scalars.map(PropertyValue), st.just(PropertyValue.computed())),
    lambda children: st.one_of(_containers(children), children.map(lambda value: value.with_secret(True))),
    max_leaves=12,
)
"""Property values of every shape: nested, secret (secrets in secrets too), unknown, not-a-number."""
