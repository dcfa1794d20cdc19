"""What the Kubernetes provider promises for one object at a time."""

from __future__ import annotations

import asyncio
import copy
import stat
from pathlib import Path
from typing import Any

import pytest
from pulumi.provider.experimental.property_value import PropertyValue

from tests.providers.cluster import (
    ARN,
    BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    EVERY_KIND,
    LABELS,
    NAMESPACE,
    SECRET,
    SERVICE,
    Cluster,
    binding,
    deployment,
)
from tests.providers.world import Made
from watoto_infra.errors import ProviderError, StateError
from watoto_infra.providers import base
from watoto_infra.providers.values import UNKNOWN, to_plain_map, to_property


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "kubernetes")


def detailed(response: base.DiffResponse) -> dict[str, str]:
    return {path: detail.kind.name for path, detail in response.detailed_diff.items()}


@pytest.mark.parametrize("type_", EVERY_KIND)
def test_an_object_of_every_kind_lives_its_life(type_: str, cluster: Cluster) -> None:
    made = cluster.make(type_, EVERY_KIND[type_])
    name = EVERY_KIND[type_]["metadata"]["name"]
    assert made.id == (name if type_ == NAMESPACE else f"default/{name}")
    assert made.simulated
    assert made["metadata"].keys() >= {"uid", "resourceVersion", "generation", "creationTimestamp"}
    assert not cluster.diff(made, made.inputs).changes
    found = cluster.read(made)
    assert found.inputs == made.inputs
    assert found.properties == made.outputs

    relabelled = cluster.changed(made, {"metadata": {"name": name, "labels": {"tier": "web"}}})
    assert detailed(cluster.diff(made, relabelled)) == {"metadata.labels": "ADD"}
    updated = cluster.update(made, relabelled)
    assert updated["metadata"]["labels"] == {"tier": "web"}
    assert updated["metadata"]["uid"] == made["metadata"]["uid"]
    assert updated["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    assert updated["metadata"]["generation"] == made["metadata"]["generation"]

    assert cluster.delete(updated).simulated
    assert cluster.read(updated).resource_id is None
    cluster.delete(updated)


def test_a_preview_makes_nothing_and_knows_all_but_what_the_server_writes(cluster: Cluster) -> None:
    urn = cluster.urn(DEPLOYMENT)
    checked = cluster.checked(urn, deployment())
    request = base.CreateRequest(urn, checked, preview=True)
    outputs = to_plain_map(asyncio.run(cluster.provider.create(request)).properties)
    assert not cluster.folder.exists()
    assert outputs["metadata"]["name"] == "watoto-backend"
    assert outputs["metadata"]["uid"] is UNKNOWN
    assert outputs["spec"] == deployment()["spec"]


def test_an_updates_preview_changes_nothing_and_keeps_what_cannot_change(cluster: Cluster) -> None:
    made = cluster.make(DEPLOYMENT, deployment())
    news = cluster.changed(made, deployment(replicas=4))
    request = base.UpdateRequest(made.urn, made.id, made.outputs, news, 0, [], True)
    outputs = to_plain_map(asyncio.run(cluster.provider.update(request)).properties)
    assert outputs["spec"]["replicas"] == 4
    assert outputs["metadata"]["uid"] == made["metadata"]["uid"]
    assert outputs["metadata"]["generation"] is UNKNOWN
    assert cluster.read(made).properties == made.outputs


# --- what the server sees to --------------------------------------------------------------------------------------


def test_an_object_needs_its_namespace_and_goes_with_it(cluster: Cluster) -> None:
    inside = {"metadata": {"name": "lms", "namespace": "school"}}
    with pytest.raises(ProviderError, match='namespaces "school" not found') as caught:
        cluster.make(CONFIG_MAP, inside)
    assert caught.value.hint
    namespace = cluster.make(NAMESPACE, {"metadata": {"name": "school"}})
    made = cluster.make(CONFIG_MAP, inside)
    other = cluster.make(CONFIG_MAP, {"metadata": {"name": "lms"}})
    assert made.id == "school/lms"
    cluster.delete(namespace)
    assert cluster.read(made).resource_id is None
    assert cluster.read(other).resource_id == "default/lms"


def test_the_providers_namespace_is_that_of_objects_that_name_none(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "kubernetes", namespace="school")
    cluster.make(NAMESPACE, {"metadata": {"name": "school"}})
    assert cluster.make(CONFIG_MAP, {"metadata": {"name": "lms"}}).id == "school/lms"


def test_a_name_is_given_once_in_a_namespace_for_each_kind(cluster: Cluster) -> None:
    named = {"metadata": {"name": "lms"}}
    cluster.make(CONFIG_MAP, named)
    cluster.make("kubernetes:core/v1:ServiceAccount", named)
    with pytest.raises(ProviderError, match='configmap "lms" already exists'):
        cluster.make(CONFIG_MAP, named)
    with pytest.raises(ProviderError, match='namespace "default" already exists'):
        cluster.make(NAMESPACE, {"metadata": {"name": "default"}})


def test_an_object_without_a_name_gets_one_that_stays(cluster: Cluster) -> None:
    made = cluster.make(CONFIG_MAP, {"data": {"a": "1"}})
    name = made.urn.rpartition("::")[2]
    assert made["metadata"]["name"].startswith(f"{name}-")
    assert len(made["metadata"]["name"]) == len(name) + 9
    again = cluster.checked(made.urn, {"data": {"a": "1"}}, made.inputs)
    assert again == made.inputs
    anew = cluster.checked(made.urn, {"data": {"a": "2"}})
    response = cluster.diff(made, anew)
    assert response.replaces == ["data.a", "metadata.name"]
    assert not response.delete_before_replace
    chosen = cluster.checked(made.urn, {"metadata": {"name": "mine"}, "data": {"a": "1"}}, made.inputs)
    assert detailed(cluster.diff(made, chosen)) == {
        "metadata.name": "UPDATE_REPLACE",
        "metadata.annotations": "DELETE",
    }


def test_an_updated_object_that_is_gone_is_not_made_again_in_silence(cluster: Cluster) -> None:
    made = cluster.make(CONFIG_MAP, {"metadata": {"name": "lms"}})
    cluster.delete(made)
    with pytest.raises(ProviderError, match='configmap "lms" not found') as caught:
        cluster.update(made, cluster.changed(made, {"data": {"a": "1"}}))
    assert "watoto refresh" in str(caught.value.hint)


# --- differences --------------------------------------------------------------------------------------------------


def test_differences_are_told_by_property(cluster: Cluster) -> None:
    made = cluster.make(DEPLOYMENT, deployment(paused=True))
    wanted = copy.deepcopy(deployment(replicas=4))
    wanted["metadata"]["annotations"] = {"watoto.example/note": "x"}
    container = wanted["spec"]["template"]["spec"]["containers"][0]
    container["ports"].append({"containerPort": 9000})
    container["image"] = "lms@sha256:1"
    inputs = cluster.changed(made, wanted)
    response = cluster.diff(made, inputs)
    assert detailed(response) == {
        "metadata.annotations": "ADD",
        "spec.paused": "DELETE",
        "spec.replicas": "UPDATE",
        "spec.template.spec.containers[0].image": "UPDATE",
        "spec.template.spec.containers[0].ports[1]": "ADD",
    }
    assert not response.replaces
    ignored = ["spec.replicas", "spec.paused", "spec.template", "metadata"]
    request = base.DiffRequest(made.urn, made.id, made.outputs, inputs, ignored)
    assert not asyncio.run(cluster.provider.diff(request)).changes


@pytest.mark.parametrize(
    ("type_", "changes", "replaces"),
    [
        (DEPLOYMENT, {"metadata": {"name": "other"}}, "metadata.name"),
        (
            DEPLOYMENT,
            deployment(
                selector={"matchLabels": {**LABELS, "tier": "web"}},
                template={
                    **deployment()["spec"]["template"],
                    "metadata": {"labels": {**LABELS, "tier": "web"}},
                },
            ),
            "spec.selector.matchLabels.tier",
        ),
        (SERVICE, {"spec": {**EVERY_KIND[SERVICE]["spec"], "clusterIP": "None"}}, "spec.clusterIP"),
        (SECRET, {"type": "kubernetes.io/tls"}, "type"),
        (SECRET, {"stringData": {"KEY": "other"}}, "stringData.KEY"),
        (CONFIG_MAP, {"data": {"WORKERS": "3"}}, "data.WORKERS"),
        (BINDING, binding(targetGroupARN=f"{ARN}2"), "spec.targetGroupARN"),
    ],
)
def test_what_cannot_be_changed_in_place_is_replaced_and_a_fixed_name_is_freed_first(
    type_: str, changes: dict[str, Any], replaces: str, cluster: Cluster
) -> None:
    made = cluster.make(type_, EVERY_KIND[type_])
    response = cluster.diff(made, cluster.changed(made, changes))
    assert [path for path, kind in detailed(response).items() if kind.endswith("_REPLACE")] == [replaces]
    assert response.replaces == [replaces]
    assert response.delete_before_replace == (replaces != "metadata.name")


@pytest.mark.parametrize(
    ("type_", "setting", "field"),
    [(CONFIG_MAP, "enableConfigMapMutable", "data"), (SECRET, "enableSecretMutable", "stringData")],
)
def test_contents_are_changed_in_place_where_the_provider_may_unless_the_object_is_immutable(
    type_: str, setting: str, field: str, cluster: Cluster
) -> None:
    made = cluster.make(type_, EVERY_KIND[type_])
    changed = cluster.changed(made, {field: {"KEY": "other"}})
    assert {path.partition(".")[0] for path in cluster.diff(made, changed).replaces} == {field}
    cluster.configure(**{setting: "true"})
    response = cluster.diff(made, changed)
    assert response.changes
    assert not response.replaces
    sealed = cluster.update(made, cluster.changed(made, {"immutable": True}))
    again = cluster.diff(sealed, cluster.changed(sealed, {field: {"KEY": "other"}}))
    assert {path.partition(".")[0] for path in again.replaces} == {field}
    with pytest.raises(ProviderError, match="field is immutable"):
        cluster.update(sealed, cluster.changed(sealed, {"immutable": None}))


def test_metadata_that_is_not_known_at_all_may_mean_another_name(cluster: Cluster) -> None:
    made = cluster.make(CONFIG_MAP, {"metadata": {"name": "lms"}})
    response = cluster.diff(made, {**made.inputs, "metadata": PropertyValue.computed()})
    assert detailed(response) == {"metadata": "UPDATE_REPLACE"}


# --- secrets ------------------------------------------------------------------------------------------------------


def test_no_secret_value_is_written_and_a_changed_one_is_seen(cluster: Cluster) -> None:
    plain = {"metadata": {"name": "lms"}, "stringData": {"KEY": "hunter2"}, "data": {"CERT": "aHVudGVyMg=="}}
    made = cluster.make(SECRET, plain)
    file = cluster.file_of(made)
    assert not {"hunter2", "aHVudGVyMg=="} & set(file.read_text().split('"'))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in (cluster.folder, *file.parents[:2]))
    assert made.outputs["stringData"].is_secret
    assert made.outputs["data"].is_secret
    assert cluster.read(made).inputs == made.inputs

    cluster.edit(made, lambda manifest: manifest["stringData"].update(KEY={"$secret": "0"}))
    inputs = cluster.read(made).inputs
    assert inputs is not None
    assert inputs["data"] == made.inputs["data"]
    assert inputs["stringData"] != made.inputs["stringData"]
    assert inputs["stringData"].is_secret


def test_a_secret_anywhere_in_an_object_stays_one_and_is_not_written(cluster: Cluster) -> None:
    urn = cluster.urn(CONFIG_MAP)
    data = PropertyValue({"open": PropertyValue("1"), "hidden": PropertyValue("hunter2", is_secret=True)})
    request = base.CheckRequest(urn, {}, {"metadata": to_property({"name": "lms"}), "data": data}, b"")
    checked = asyncio.run(cluster.provider.check(request)).inputs
    assert checked is not None
    assert checked["data"] == data
    made = cluster.create(urn, checked)
    assert made.outputs["data"] == data
    found = cluster.read(made)
    assert found.properties is not None
    assert (found.inputs, found.properties["data"]) == (checked, data)
    assert "hunter2" not in cluster.file_of(made).read_text()


# --- hands and kills ----------------------------------------------------------------------------------------------


def test_a_file_that_was_edited_shows_as_drift(cluster: Cluster) -> None:
    made = cluster.make(DEPLOYMENT, deployment())
    cluster.edit(made, lambda manifest: manifest["spec"].update(replicas=9))
    found = cluster.read(made)
    assert found.inputs is not None
    assert found.properties is not None
    assert to_plain_map(found.inputs)["spec"]["replicas"] == 9
    drifted = Made(made.urn, made.id, found.inputs, found.properties)
    assert detailed(cluster.diff(drifted, made.inputs)) == {"spec.replicas": "UPDATE"}


def test_a_file_that_was_damaged_is_named_with_what_to_do(cluster: Cluster) -> None:
    made = cluster.make(CONFIG_MAP, {"metadata": {"name": "lms"}})
    for content in ("{", "[]", '{"manifest": {}, "server": {}}'):
        cluster.file_of(made).write_text(content)
        with pytest.raises(StateError, match=r"lms\.json") as caught:
            cluster.read(made)
        assert caught.value.hint


def test_a_create_that_was_killed_is_found_by_its_own_token_alone(cluster: Cluster) -> None:
    made = cluster.make(SECRET, EVERY_KIND[SECRET])
    found = cluster.adopt(made)
    assert found is not None
    assert (found.resource_id, found.properties, found.inputs) == (made.id, made.outputs, made.inputs)
    assert cluster.adopt(made, token="00") is None
    cluster.delete(made)
    assert cluster.adopt(made) is None
