"""What the Kubernetes provider refuses, and how it says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.providers.cluster import (
    ARN,
    AUTOSCALER,
    BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    EVERY_KIND,
    NAMESPACE,
    SECRET,
    SERVICE,
    Cluster,
    autoscaler,
    binding,
    deployment,
)
from tests.providers.world import Made
from watoto_infra.errors import InvalidInputs, ProviderError, UnsupportedFeature
from watoto_infra.providers import base
from watoto_infra.providers.kubernetes.provider import KubernetesProvider
from watoto_infra.providers.kubernetes.store import ObjectStore
from watoto_infra.providers.values import UNKNOWN, to_plain_map, to_property_map


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "kubernetes")


def test_every_property_that_the_api_has_not_is_named_with_its_path(cluster: Cluster) -> None:
    wrong = deployment(replicas="3")
    wrong["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPorts": 8000}]
    wrong["colour"] = "blue"
    failures = cluster.failures(DEPLOYMENT, wrong)
    port = "spec.template.spec.containers[0].ports[0]"
    assert failures == {
        "colour": "is no property of apps/v1 Deployment there",
        "spec.replicas": "must be integer, not str",
        f"{port}.containerPort": "required, but missing",
        f"{port}.containerPorts": "is no property of apps/v1 Deployment there; is containerPort meant?",
    }


def test_a_value_that_is_not_known_yet_may_be_anything_but_hides_no_wrong_name(cluster: Cluster) -> None:
    wanted = deployment(replicas=UNKNOWN, minReadySeconds=UNKNOWN)
    pod = wanted["spec"]["template"]["spec"]
    pod["containers"][0] |= {"image": UNKNOWN, "ports": [{"containerPort": UNKNOWN}], "env": UNKNOWN}
    assert cluster.failures(DEPLOYMENT, wanted) == {}
    pod["containers"][0] |= {"imageName": UNKNOWN, "ports": [{"port": UNKNOWN, "containerPort": 1}]}
    assert cluster.failures(DEPLOYMENT, wanted).keys() == {
        "spec.template.spec.containers[0].imageName",
        "spec.template.spec.containers[0].ports[0].port",
    }
    assert cluster.failures(BINDING, binding(targetGroupARN=UNKNOWN, targetType=UNKNOWN)) == {}
    assert cluster.failures(AUTOSCALER, autoscaler(UNKNOWN, 1)) == {}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("type_", "inputs", "path"),
    [
        (DEPLOYMENT, deployment(selector={"matchLabels": {"app": "other"}}), "spec.selector.matchLabels.app"),
        (AUTOSCALER, autoscaler(4, 3), "spec.maxReplicas"),
        (AUTOSCALER, autoscaler(1, 0), "spec.maxReplicas"),
        (AUTOSCALER, autoscaler(0, 3), "spec.minReplicas"),
        (CONFIG_MAP, {"metadata": {"name": "x", "labels": {"image": "lms@sha256:0"}}}, "metadata.labels.image"),
        (CONFIG_MAP, {"metadata": {"name": "x", "labels": {"-": "1"}}}, 'metadata.labels["-"]'),
        (CONFIG_MAP, {"metadata": {"name": "x"}, "data": {"a b": "1"}}, 'data["a b"]'),
        (SECRET, {"metadata": {"name": "x"}, "data": {"key": "hunter2!"}}, "data.key"),
        (NAMESPACE, {"metadata": {"name": "x", "namespace": "y"}}, "metadata.namespace"),
        (CONFIG_MAP, {"metadata": {"name": "x", "uid": "1"}}, "metadata.uid"),
        (CONFIG_MAP, {"metadata": {"generateName": "x-"}}, "metadata.generateName"),
        (CONFIG_MAP, {"apiVersion": "v2", "metadata": {"name": "x"}}, "apiVersion"),
        (BINDING, binding(serviceRef={"name": "lms"}), "spec.serviceRef.port"),
        (BINDING, binding(targetType="lambda"), "spec.targetType"),
        (BINDING, binding(targetGroupArn=ARN), "spec.targetGroupArn"),
        (BINDING, {"metadata": {"name": "x"}}, "spec"),
        *((CONFIG_MAP, {"metadata": {"name": name}}, "metadata.name") for name in ("../x", "a/b", "", "X", "x" * 250)),
        *((CONFIG_MAP, {"metadata": {"name": "x", "namespace": n}}, "metadata.namespace") for n in ("..", "_cluster")),
        (SERVICE, {**EVERY_KIND[SERVICE], "metadata": {"name": "a.b"}}, "metadata.name"),
    ],
)
def test_what_a_server_would_refuse_is_refused_before_anything_is_done(
    type_: str, inputs: dict[str, Any], path: str, cluster: Cluster
) -> None:
    failures = cluster.failures(type_, inputs)
    assert list(failures) == [path]
    assert "hunter2" not in failures[path]


@pytest.mark.parametrize(
    ("type_", "named"),
    [
        ("kubernetes:example.org/v1:School", "example.org/v1 School"),
        ("kubernetes:apps.example.org/v1:Deployment", "apps.example.org/v1 Deployment"),
        ("kubernetes:apps/v1:DeploymentSpec", "apps/v1 DeploymentSpec"),
        ("kubernetes:apps/v1:DeploymentList", "apps/v1 DeploymentList"),
        ("kubernetes:yaml/v2:ConfigGroup", "yaml/v2 ConfigGroup"),
        ("kubernetes:yaml:ConfigFile", "kubernetes:yaml:ConfigFile"),
    ],
)
def test_a_kind_that_is_none_of_the_api_is_refused_by_name(type_: str, named: str, cluster: Cluster) -> None:
    with pytest.raises(UnsupportedFeature, match=named):
        cluster.failures(type_, {"metadata": {"name": "x"}})


def test_a_version_without_schemas_is_refused_and_says_which_there_are(cluster: Cluster) -> None:
    cluster.provider = KubernetesProvider(ObjectStore(cluster.folder), "1.2")  # type: ignore[assignment]
    with pytest.raises(UnsupportedFeature, match=r"Kubernetes 1\.2") as caught:
        cluster.failures(CONFIG_MAP, {"metadata": {"name": "x"}})
    assert "1.36" in str(caught.value.hint)


@pytest.mark.parametrize("resource_id", ["../../x", "default/..", "_cluster/x", "../x/y", "default/a\nb", ""])
def test_an_id_that_leads_out_of_the_store_is_refused(resource_id: str, cluster: Cluster) -> None:
    victim = cluster.folder.parent / "x.json"
    victim.write_text("{}")
    made = Made(cluster.urn(CONFIG_MAP), resource_id, {}, {})
    with pytest.raises(ProviderError, match="name"):
        cluster.read(made)
    with pytest.raises(ProviderError, match="name"):
        cluster.delete(made)
    assert victim.exists()


def test_a_provider_setting_is_taken_or_refused_by_name(cluster: Cluster) -> None:
    def checked(**settings: str) -> base.CheckResponse:
        request = base.CheckRequest(
            "urn:pulumi:t::w::pulumi:providers:kubernetes::k", {}, to_property_map(settings), b""
        )
        return asyncio.run(cluster.provider.check_config(request))

    known = {"kubeconfig": "{}", "namespace": "school", "enableConfigMapMutable": "true", "clusterIdentifier": "a"}
    assert to_plain_map(checked(**known).inputs or {}) == known
    for name in ("renderYamlToDirectory", "colour"):
        with pytest.raises(UnsupportedFeature, match=name):
            checked(**{name: "x"})
    with pytest.raises(InvalidInputs, match="enableSecretMutable"):
        cluster.configure(enableSecretMutable="perhaps")
