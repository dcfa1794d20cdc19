"""An LMS on a cluster, small: run by the engine as a program. ``school:*`` is what a test changes."""

import json
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config("school")
LABELS = {"app": "lms"}

cluster = k8s.Provider(
    "cluster",
    kubeconfig=pulumi.Output.secret("{}"),
    enable_config_map_mutable=True,
    enable_secret_mutable=True,
)
here = pulumi.ResourceOptions(provider=cluster)

namespace = k8s.core.v1.Namespace(
    "school", metadata={"name": "school", "labels": json.loads(config.get("labels") or "{}")}, opts=here
)


def metadata(**given: str) -> Any:
    """Give the metadata of an object in that namespace."""
    return {"namespace": namespace.metadata["name"], **given}


settings = k8s.core.v1.ConfigMap(
    "settings", metadata=metadata(name="settings"), data={"WORKERS": config.get("workers") or "2"}, opts=here
)
keys = k8s.core.v1.Secret(
    "keys",
    metadata=metadata(name="keys"),
    string_data={"KEY": pulumi.Output.secret(config.get("key") or "hunter2")},
    opts=here,
)
lms = k8s.apps.v1.Deployment(
    "lms",
    metadata=metadata(name="lms"),
    spec={
        "replicas": 3,
        "selector": {"match_labels": LABELS | json.loads(config.get("selected") or "{}")},
        "template": {
            "metadata": {"labels": LABELS | json.loads(config.get("selected") or "{}")},
            "spec": {
                "containers": [
                    {
                        "name": "lms",
                        "image": config.get("image") or "lms@sha256:0",
                        "env_from": [
                            {"config_map_ref": {"name": settings.metadata["name"]}},
                            {"secret_ref": {"name": keys.metadata["name"]}},
                        ],
                    }
                ]
            },
        },
    },
    opts=here,
)
front = k8s.core.v1.Service(
    "front", metadata=metadata(), spec={"selector": LABELS, "ports": [{"port": 80, "target_port": 8000}]}, opts=here
)
k8s.autoscaling.v2.HorizontalPodAutoscaler(
    "scaling",
    metadata=metadata(name="lms"),
    spec={
        "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": lms.metadata["name"]},
        "min_replicas": 3,
        "max_replicas": 20,
    },
    opts=here,
)
k8s.policy.v1.PodDisruptionBudget(
    "budget",
    metadata=metadata(name="lms"),
    spec={"min_available": "50%", "selector": {"match_labels": LABELS}},
    opts=here,
)
if config.get_bool("bound", True):
    k8s.apiextensions.CustomResource(
        "binding",
        api_version="eks.amazonaws.com/v1",
        kind="TargetGroupBinding",
        metadata=metadata(name="lms"),
        spec={
            "serviceRef": {"name": front.metadata["name"], "port": 80},
            "targetGroupARN": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/lms/1",
            "targetType": "ip",
        },
        opts=here,
    )

if config.get_bool("second"):
    later = k8s.Provider("second", kubeconfig=namespace.metadata["uid"])
    k8s.core.v1.ConfigMap("elsewhere", metadata=metadata(), opts=pulumi.ResourceOptions(provider=later))

pulumi.export("namespace", front.metadata["namespace"])
pulumi.export("front", front.metadata["name"])
pulumi.export("key", keys.string_data["KEY"])
