"""What the API does with a kind beyond its schema: where its objects live, and which changes need a new object."""

from __future__ import annotations

import re
from dataclasses import dataclass

from watoto_infra.errors import UnsupportedFeature

TYPE = re.compile(r"kubernetes:(?P<group>[a-z0-9.-]+)/(?P<version>v[0-9][a-z0-9]*):(?P<name>[A-Z][A-Za-z0-9]*)")

WITHOUT_NAMESPACE = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("certificates.k8s.io", "ClusterTrustBundle"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("networking.k8s.io", "IPAddress"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "ServiceCIDR"),
        ("node.k8s.io", "RuntimeClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("resource.k8s.io", "DeviceClass"),
        ("resource.k8s.io", "DeviceTaintRule"),
        ("resource.k8s.io", "ResourceSlice"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
    }
)
"""Groups and kinds whose objects belong to the whole cluster; the API's schemas do not tell."""

REPLACING = {
    ("", "PersistentVolumeClaim"): (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeName",
    ),
    ("", "Pod"): ("spec",),
    ("", "ResourceQuota"): ("spec.scopes",),
    ("", "Secret"): ("type",),
    ("", "Service"): ("spec.clusterIP",),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "StatefulSet"): (
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    ("batch", "Job"): ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    ("eks.amazonaws.com", "TargetGroupBinding"): (
        "spec.ipAddressType",
        "spec.targetGroupARN",
        "spec.targetType",
        "spec.vpcID",
    ),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
}
"""Properties whose change makes the official provider replace the object, in any version of the group."""

ACTING_BY_THEMSELVES = frozenset({("autoscaling", "HorizontalPodAutoscaler")})
"""Kinds by which a cluster changes things by itself: without an API server nobody does."""

NAMES = ("metadata.name", "metadata.namespace")

CONTENTS = {
    ("", "ConfigMap"): ("data", "binaryData"),
    ("", "Secret"): ("data", "stringData"),
}
"""The properties that hold the values of ConfigMaps and Secrets; a provider setting says whether they are immutable."""


@dataclass(frozen=True)
class Kind:
    """One kind of one version of an API group; the core group is ''."""

    group: str
    version: str
    name: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_namespaced(self) -> bool:
        return (self.group, self.name) not in WITHOUT_NAMESPACE

    @property
    def resource(self) -> str:
        """The kind whatever its version, as kubectl takes it: ``deployment.apps``, ``service``."""
        return ".".join(filter(None, (self.name.lower(), self.group)))

    @property
    def contents(self) -> tuple[str, ...]:
        """The properties that hold a ConfigMap's or Secret's values."""
        return CONTENTS.get((self.group, self.name), ())

    @property
    def is_secret(self) -> bool:
        return (self.group, self.name) == ("", "Secret")

    @property
    def acts_by_itself(self) -> bool:
        return (self.group, self.name) in ACTING_BY_THEMSELVES

    def replacing(self, *, contents: bool) -> tuple[tuple[str, ...], ...]:
        """Give the paths whose change needs a new object; ``contents``: a change of what it holds does."""
        paths = (*NAMES, *REPLACING.get((self.group, self.name), ()), *(self.contents if contents else ()))
        return tuple(tuple(path.split(".")) for path in paths)

    def __str__(self) -> str:
        return f"{self.api_version} {self.name}"


def of_type(token: str, urn: str) -> Kind:
    """Read a type token such as ``kubernetes:apps/v1:Deployment``; in a URN the types of its parents stand before it.

    Raises ``UnsupportedFeature`` for a token of another form.
    """
    kind = find(token.rpartition("$")[2])
    if kind is None:
        raise UnsupportedFeature(f"{urn}: resource type {token} is not served on this target")
    return kind


def find(token: str) -> Kind | None:
    """Read a type token; None for a type that is no kind of object."""
    found = TYPE.fullmatch(token)
    if found is None:
        return None
    return Kind("" if found["group"] == "core" else found["group"], found["version"], found["name"])


def of_manifest(api_version: str, name: str) -> Kind:
    """Read ``apiVersion`` and ``kind`` of a manifest."""
    group, _, version = api_version.rpartition("/")
    return Kind(group, version, name)
