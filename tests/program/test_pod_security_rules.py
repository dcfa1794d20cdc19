"""The rules that hold for a cluster and every pod of a stage that has one, with protection on: one row each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.program.declared import Declared, Resource, Rule, run

CLUSTER, DEPLOYMENT = "aws:eks/cluster:Cluster", "kubernetes:apps/v1:Deployment"


def containers(one: Resource) -> list[dict[str, Any]]:
    pod = one.get("spec.template.spec")
    return [*pod["containers"], *pod.get("initContainers", [])]


RULES: dict[str, Rule] = {
    "a cluster's API is closed to the internet unless somebody opens it": (
        CLUSTER,
        lambda one: (
            one.get("vpcConfig.endpointPublicAccess") is False and one.get("vpcConfig.endpointPrivateAccess") is True
        ),
    ),
    "a cluster keeps its secrets by our key and logs all it can": (
        CLUSTER,
        lambda one: (
            bool(one.get("encryptionConfig.provider.keyArn"))
            and one.get("encryptionConfig.resources") == ["secrets"]
            and len(one.get("enabledClusterLogTypes")) == 5
            and one.get("deletionProtection") is True
        ),
    ),
    "who may use a cluster is said by access entries": (
        CLUSTER,
        lambda one: one.get("accessConfig.authenticationMode") == "API",
    ),
    "a cluster's parts of Auto Mode are on together": (
        CLUSTER,
        lambda one: all(
            one.get(path) is True
            for path in (
                "computeConfig.enabled",
                "kubernetesNetworkConfig.elasticLoadBalancing.enabled",
                "storageConfig.blockStorage.enabled",
            )
        ),
    ),
    "no pod runs as root or with a token of the cluster": (
        DEPLOYMENT,
        lambda one: (
            one.get("spec.template.spec.securityContext.runAsNonRoot") is True
            and one.get("spec.template.spec.securityContext.seccompProfile.type") == "RuntimeDefault"
            and one.get("spec.template.spec.automountServiceAccountToken") is False
        ),
    ),
    "containers gain no privilege, write only where they are given room, and have limits of memory and disk": (
        DEPLOYMENT,
        lambda one: (
            all(
                container["securityContext"]
                == {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }
                and set(container["resources"]["limits"]) == {"memory", "ephemeral-storage"}
                and container["resources"]["limits"].items() <= container["resources"]["requests"].items()
                for container in containers(one)
            )
            and all(
                volume["emptyDir"].get("sizeLimit")
                for volume in one.get("spec.template.spec.volumes")
                if "emptyDir" in volume
            )
        ),
    ),
    "containers run an image by its digest": (
        DEPLOYMENT,
        lambda one: all("@sha256:" in container["image"] for container in containers(one)),
    ),
    "pods spread over zones and nodes, and go where there is room when a zone is lost": (
        DEPLOYMENT,
        lambda one: (
            [
                (spread["topologyKey"], spread["whenUnsatisfiable"])
                for spread in one.get("spec.template.spec.topologySpreadConstraints")
            ]
            == [("topology.kubernetes.io/zone", "ScheduleAnyway"), ("kubernetes.io/hostname", "ScheduleAnyway")]
        ),
    ),
    "nodes can always be emptied": (
        "kubernetes:policy/v1:PodDisruptionBudget",
        lambda one: one.get("spec.maxUnavailable") == 1 and one.get("spec.unhealthyPodEvictionPolicy") == "AlwaysAllow",
    ),
    "a policy of the network says which ways it closes": (
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        lambda one: bool(one.get("spec.policyTypes")),
    ),
    "service accounts hand out no token": (
        "kubernetes:core/v1:ServiceAccount",
        lambda one: one.get("automountServiceAccountToken") is False,
    ),
}


@pytest.fixture(scope="module")
def in_pods() -> Declared:
    return run("phase3", "aws")


@pytest.mark.parametrize(("type_token", "holds"), RULES.values(), ids=RULES.keys())
def test_the_rule_holds_for_the_cluster_and_every_pod(in_pods, type_token, holds):
    assert [one.urn for one in in_pods.of(type_token) if not holds(one)] == []


@pytest.mark.parametrize("stage", ["phase1", "phase2"])
def test_a_stage_on_instances_declares_nothing_of_what_the_rules_are_about(stage):
    declared = {one.type for one in run(stage, "aws").resources}
    assert not declared & {type_token for type_token, _ in RULES.values()}
