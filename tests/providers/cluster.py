"""Kubernetes objects of every kind, and a provider that keeps them in a folder of a test's own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.providers.world import Made, World
from watoto_infra.providers import base
from watoto_infra.providers.kubernetes.provider import KubernetesProvider
from watoto_infra.providers.kubernetes.store import ObjectStore
from watoto_infra.providers.values import to_property, to_property_map

NAMESPACE = "kubernetes:core/v1:Namespace"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"
SERVICE = "kubernetes:core/v1:Service"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
AUTOSCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
BINDING = "kubernetes:eks.amazonaws.com/v1:TargetGroupBinding"
LABELS = {"app": "watoto-backend"}
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/watoto/1"


def deployment(**spec: Any) -> dict[str, Any]:
    container = {"name": "lms", "image": "lms@sha256:0", "ports": [{"containerPort": 8000}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "watoto-backend"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}},
            **spec,
        },
    }


def autoscaler(least: int, most: int) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "watoto-backend"}
    return {"metadata": {"name": "hpa"}, "spec": {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most}}


def binding(**spec: Any) -> dict[str, Any]:
    wanted = {"serviceRef": {"name": "lms", "port": 80}, "targetGroupARN": ARN, "targetType": "ip", **spec}
    return {"metadata": {"name": "lms"}, "spec": wanted}


EVERY_KIND: dict[str, dict[str, Any]] = {
    NAMESPACE: {"metadata": {"name": "school"}},
    "kubernetes:core/v1:ServiceAccount": {"metadata": {"name": "lms"}},
    CONFIG_MAP: {"metadata": {"name": "lms"}, "data": {"WORKERS": "2"}},
    SECRET: {"metadata": {"name": "lms"}, "stringData": {"KEY": "hunter2"}},
    SERVICE: {"metadata": {"name": "lms"}, "spec": {"selector": LABELS, "ports": [{"port": 80, "targetPort": 8000}]}},
    DEPLOYMENT: deployment(),
    AUTOSCALER: autoscaler(3, 20),
    BUDGET: {"metadata": {"name": "lms"}, "spec": {"minAvailable": "50%", "selector": {"matchLabels": LABELS}}},
    BINDING: binding(networking={"ingress": [{"from": [{"securityGroup": {"groupID": "sg-1"}}], "ports": []}]}),
}


class Cluster(World):
    """The provider on a folder of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__("http://127.0.0.1:1")
        self.folder = folder
        self.provider = KubernetesProvider(ObjectStore(folder))  # type: ignore[assignment]
        self.configure(**settings)

    def configure(self, **settings: str) -> None:
        request = base.ConfigureRequest({}, to_property_map(settings), accept_secrets=True, accept_resources=False)
        asyncio.run(self.provider.configure(request))

    def failures(self, type_: str, inputs: dict[str, Any], old: base.Properties | None = None) -> dict[str, str]:
        properties = {key: to_property(value) for key, value in inputs.items()}
        request = base.CheckRequest(self.urn(type_), old or {}, properties, b"")
        return {one.property: one.reason for one in asyncio.run(self.provider.check(request)).failures or ()}

    def file_of(self, made: Made) -> Path:
        (file,) = (path for path in self.folder.rglob("*.json") if path.stem == made.id.rpartition("/")[2])
        return file

    def edit(self, made: Made, change: Any) -> None:
        file = self.file_of(made)
        content = json.loads(file.read_text())
        change(content["manifest"])
        file.write_text(json.dumps(content))
