"""The object store against a model: any sequence of operations comes to the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.examples import examples
from watoto_infra.providers.kubernetes.store import ALWAYS_THERE, NAMESPACE, Key, ObjectStore, RefusedError

NAMES = ("a", "b")
NAMESPACES = ("default", "a", "b")

keys = st.one_of(
    st.builds(Key, st.just(NAMESPACE), st.none(), st.sampled_from((*NAMES, "default"))),
    st.builds(
        Key, st.sampled_from(["configmap", "deployment.apps"]), st.sampled_from(NAMESPACES), st.sampled_from(NAMES)
    ),
    st.builds(Key, st.just("clusterrole.rbac.authorization.k8s.io"), st.none(), st.sampled_from([*NAMES, "system:x"])),
)
EVERY_KEY = [
    *(Key(NAMESPACE, None, name) for name in (*NAMES, "default")),
    *(Key(kind, space, name) for kind in ("configmap", "deployment.apps") for space in NAMESPACES for name in NAMES),
    *(Key("clusterrole.rbac.authorization.k8s.io", None, name) for name in (*NAMES, "system:x")),
]
manifests = st.fixed_dictionaries({"metadata": st.integers(0, 1), "spec": st.integers(0, 2)})


class Objects(RuleBasedStateMachine):
    """``model``: manifest, generation and resource version of each object that should be there."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.model: dict[Key, tuple[dict[str, Any], int, int]] = {}
        self.reopen()

    @rule()
    def reopen(self) -> None:
        self.store = ObjectStore(Path(self._folder.name) / "kubernetes")

    @rule(key=keys, manifest=manifests)
    def create(self, key: Key, manifest: dict[str, Any]) -> None:
        spaces = ALWAYS_THERE | {one.name for one in self.model if one.resource == NAMESPACE}
        taken = key in self.model or (key.resource == NAMESPACE and key.name in ALWAYS_THERE)
        missing = key.namespace is not None and key.namespace not in spaces
        if taken or missing:
            with pytest.raises(RefusedError, match="already exists$" if taken else r"not found$"):
                self.store.create(key, manifest, "token")
            return
        kept = self.store.create(key, manifest, "token")
        assert (kept.server.generation, kept.server.resource_version, kept.server.token) == (1, 1, "token")
        self.model[key] = (manifest, 1, 1)

    @rule(key=keys, manifest=manifests)
    def update(self, key: Key, manifest: dict[str, Any]) -> None:
        before = self.store.read(key)
        if before is None:
            with pytest.raises(RefusedError, match=r"not found$"):
                self.store.update(key, manifest)
            return
        kept = self.store.update(key, manifest)
        assert (kept.server.uid, kept.server.created) == (before.server.uid, before.server.created)
        old, generation, version = self.model[key]
        respecified = old["spec"] != manifest["spec"]
        self.model[key] = (manifest, generation + respecified, version + (old != manifest))

    @rule(key=keys)
    def delete(self, key: Key) -> None:
        self.store.delete(key)
        self.model.pop(key, None)
        if key.resource == NAMESPACE:
            self.model = {one: held for one, held in self.model.items() if one.namespace != key.name}

    @invariant()
    def holds_exactly_the_model(self) -> None:
        found = {key: kept for key in EVERY_KEY if (kept := self.store.read(key)) is not None}
        assert {
            key: (kept.manifest, kept.server.generation, kept.server.resource_version) for key, kept in found.items()
        } == self.model
        assert len({kept.server.uid for kept in found.values()}) == len(found)

    def teardown(self) -> None:
        self._folder.cleanup()


Objects.TestCase.settings = settings(max_examples=examples(quick=25))
TestTheStoreDoesWhatItsModelDoes = Objects.TestCase
