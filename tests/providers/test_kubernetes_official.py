"""The Kubernetes provider as a plugin of the official engine: the same objects, the same operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2
from pulumi.runtime.rpc import UNKNOWN

from tests.engine.official import OfficialCli, operations
from tests.providers.plugin_client import plain, plugin_client, struct
from tests.providers.test_kubernetes_engine import PROGRAM, Stack
from watoto_infra.errors import UsageError
from watoto_infra.providers import plugin
from watoto_infra.stack_home import OBJECTS_VARIABLE

URN = "urn:pulumi:test::watoto::kubernetes:core/v1:Secret::keys"
INPUTS = {"metadata": {"name": "keys"}, "stringData": {"KEY": "hunter2"}}
MAIN = f'import runpy; runpy.run_module("{PROGRAM}")'


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[Any]:
    """Give a client of the plugin, started as the official engine starts it."""
    with plugin_client("kubernetes", {OBJECTS_VARIABLE: str(tmp_path / "kubernetes")}) as client:
        yield client


def test_a_secret_lives_its_life_over_the_official_protocol(stub: Any) -> None:
    assert stub.GetPluginInfo(empty_pb2.Empty()).version == version("pulumi_kubernetes")
    stub.Configure(provider_pb2.ConfigureRequest(args=struct({"enableSecretMutable": "true"}), acceptSecrets=True))
    checked = stub.Check(provider_pb2.CheckRequest(urn=URN, news=struct(INPUTS))).inputs
    previewed = stub.Create(provider_pb2.CreateRequest(urn=URN, properties=checked, preview=True))
    assert plain(previewed.properties)["metadata"]["uid"] == UNKNOWN
    made = stub.Create(provider_pb2.CreateRequest(urn=URN, properties=checked))
    assert made.id == "default/keys"
    hidden = plain(made.properties)["stringData"]
    assert hidden["value"] == {"KEY": "hunter2"}, "wrapped as a secret"
    same = stub.Diff(provider_pb2.DiffRequest(urn=URN, id=made.id, olds=made.properties, news=checked))
    assert same.changes == provider_pb2.DiffResponse.DIFF_NONE
    news = stub.Check(
        provider_pb2.CheckRequest(urn=URN, news=struct({**INPUTS, "stringData": {"KEY": UNKNOWN}}))
    ).inputs
    other = stub.Diff(provider_pb2.DiffRequest(urn=URN, id=made.id, olds=made.properties, news=news))
    assert list(other.detailedDiff) == ["stringData.KEY"]
    assert not other.replaces
    stub.Delete(provider_pb2.DeleteRequest(urn=URN, id=made.id, properties=made.properties))
    assert stub.Read(provider_pb2.ReadRequest(urn=URN, id=made.id, properties=made.properties)).id == ""


def test_the_plugin_asks_for_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OBJECTS_VARIABLE, raising=False)
    with pytest.raises(UsageError, match=OBJECTS_VARIABLE):
        plugin.provider("kubernetes")


@pytest.mark.conformance
@pytest.mark.timeout(600)
def test_both_engines_do_the_same_to_the_same_objects(
    tmp_path: Path, require_binary: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pulumi", "pulumi-language-python"):
        require_binary(name)
    folder = {OBJECTS_VARIABLE: str(tmp_path / "objects")}
    official = OfficialCli(tmp_path / "official", "test", MAIN, folder, ("kubernetes",))
    ours = Stack(tmp_path / "ours")
    changes: list[dict[str, str]] = [
        {},
        {"labels": '{"tier": "web"}', "workers": "3", "key": "hunter3"},
        {"labels": '{"tier": "web"}', "workers": "3", "key": "hunter3", "selected": '{"tier": "web"}'},
        {"bound": "false"},
    ]
    for config in changes:
        for key in ("labels", "workers", "key", "selected", "bound"):
            if key in config:
                official.configure(**{f"school__{key}": config[key]})
            else:
                official.run("config", "rm", "--stack", "test", f"school:{key}")
        plan = ours.preview(**config)
        assert official.preview() == operations((step.urn, step.op.value) for step in plan.steps)
        official.up()
        ours.up(**config)
        assert official.preview() == {}
        assert not ours.preview(**config).has_changes
    objects = {path.relative_to(tmp_path / "objects").parent for path in (tmp_path / "objects").rglob("*.json")}
    kept = ours.folder / "kubernetes"
    assert objects == {path.relative_to(kept).parent for path in kept.rglob("*.json")}
    assert "hunter" not in "".join(path.read_text() for path in (tmp_path / "objects").rglob("*.json"))
