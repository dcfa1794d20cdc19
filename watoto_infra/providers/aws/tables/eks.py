"""EKS: clusters, their add-ons, and the roles of their pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from watoto_infra.providers.aws.clients import ServiceError
from watoto_infra.providers.aws.compare import same
from watoto_infra.providers.aws.fields import (
    ChangeEffect,
    Field,
    Kind,
    block,
    blocks,
    computed_from,
    flag,
    json_text,
    output,
    string_set,
    text,
    upwards,
)
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.shape import parameters, search
from watoto_infra.providers.aws.table import (
    AutoName,
    Call,
    Create,
    Delete,
    Dependents,
    Find,
    Item,
    Read,
    Resource,
    Tags,
    Update,
)
from watoto_infra.providers.values import has_unknown

OF_THE_CLUSTER = {"name": "{id}"}
OFF = {"enabled": False}
NO_STORAGE = {"blockStorage": OFF}
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")

TAGS = Tags(
    create="tags",
    read="tags",
    style="map",
    put=Call("tag_resource", {"resourceArn": "{arn}", "tags": "{tags}"}),
    remove=Call("untag_resource", {"resourceArn": "{arn}", "tagKeys": "{tag_keys}"}),
)


def named_alike(*fields: Field) -> tuple[Field, ...]:
    """Give the fields with Pulumi's names in requests too: EKS writes its parameters with small letters."""
    return tuple(replace(one, api=one.api or one.name, fields=named_alike(*one.fields)) for one in fields)


def logging_of(types: list[str]) -> Item:
    """Give the logs that are wanted, and take the others back: EKS leaves those alone that are not named."""
    kinds = ((True, sorted(types)), (False, [one for one in LOG_TYPES if one not in types]))
    return {"clusterLogging": [{"types": some, "enabled": on} for on, some in kinds if some]}


def logs_on(logging: Item | None) -> list[str]:
    """Give the logs that are on."""
    setups = (logging or {}).get("clusterLogging") or []
    return sorted(one for setup in setups if setup.get("enabled") for one in setup.get("types") or ())


def written(moment: datetime | None) -> str | None:
    """Give a time as text."""
    return moment.isoformat() if moment else None


def reconfigure(operation: Operation, **setting: object) -> None:
    """Change one kind of setting: EKS takes one a call, and the next when it is done with this one."""
    operation.call("update_cluster_config", name=operation.id, **setting)
    wait_until_active(operation)


def wait_until_active(operation: Operation) -> None:
    """Wait until the cluster takes the next change."""

    def look() -> bool | None:
        return operation.call("describe_cluster", name=operation.id)["cluster"]["status"] == "ACTIVE" or None

    operation.wait_for(look, "describe_cluster", "is not active")


def change_version(operation: Operation, _: frozenset[str]) -> None:
    """Move the control plane to another version of Kubernetes."""
    force = operation.inputs.get("forceUpdateVersion", False)
    operation.call("update_cluster_version", name=operation.id, version=operation.inputs["version"], force=force)
    wait_until_active(operation)


def associate_key(operation: Operation, _: frozenset[str]) -> None:
    """Encrypt with a key of one's own from now on, for good."""
    operation.call(
        "associate_encryption_config", clusterName=operation.id, encryptionConfig=[operation.inputs["encryptionConfig"]]
    )
    wait_until_active(operation)


def or_default(fields: Sequence[Field], values: Mapping[str, Any]) -> Item:
    """Give the parameters of these fields, the service's defaults where the program says nothing."""
    return parameters(fields, {one.name: values.get(one.name, one.default) for one in fields})


def change_setting(operation: Operation, changed: frozenset[str]) -> None:
    """Change a setting that is alike on create and update."""
    for name in sorted(changed):
        reconfigure(operation, **or_default([operation.entry.inputs[name]], operation.inputs))


def change_access(operation: Operation, _: frozenset[str]) -> None:
    """Change how people are told apart; what its maker may do is settled when the cluster is made."""
    reconfigure(operation, accessConfig={"authenticationMode": operation.inputs["accessConfig"]["authenticationMode"]})


AUTO_MODE = {
    "computeConfig": "enabled",
    "kubernetesNetworkConfig": "elasticLoadBalancing.enabled",
    "storageConfig": "blockStorage.enabled",
}
"""The settings that make up Auto Mode, and what turns each on; EKS takes them together, all on or all off."""


def change_auto_mode(operation: Operation, _: frozenset[str]) -> None:
    """Change all of Auto Mode at once."""
    network = operation.inputs.get("kubernetesNetworkConfig") or {}
    reconfigure(
        operation,
        computeConfig=operation.inputs.get("computeConfig") or OFF,
        kubernetesNetworkConfig={"elasticLoadBalancing": network.get("elasticLoadBalancing") or OFF},
        storageConfig=operation.inputs.get("storageConfig") or NO_STORAGE,
    )


def half_auto_mode(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find fault with an Auto Mode that is on in one part and off in another; what is not known yet may fit."""
    paths = [f"{name}.{switch}" for name, switch in AUTO_MODE.items()]
    if has_unknown([inputs.get(name) for name in AUTO_MODE]):
        return
    on = {path: bool(search(path, inputs)) for path in paths}
    if len(set(on.values())) > 1:
        wrong = next(path for path in paths if not on[path])
        yield wrong, f"Auto Mode is on as a whole or not at all: {', '.join(paths)} are all true or all false"


NETWORK_CHANGES = (
    ("endpointPrivateAccess", "endpointPublicAccess", "publicAccessCidrs"),
    ("subnetIds",),
    ("securityGroupIds",),
)


def change_network(operation: Operation, _: frozenset[str]) -> None:
    """Change who reaches the API server, the subnets and the security groups, each kind by a call of its own."""
    known = {one.name: one for one in operation.entry.inputs["vpcConfig"].fields}
    old, new = operation.state.get("vpcConfig") or {}, operation.inputs["vpcConfig"]
    for kind in NETWORK_CHANGES:
        fields = [known[name] for name in kind]
        if not all(same(one, old.get(one.name), new.get(one.name)) for one in fields):
            reconfigure(operation, resourcesVpcConfig=or_default(fields, new))


def delete_cluster(operation: Operation) -> None:
    """Delete the cluster, unless it is protected: EKS refuses that; the emulator, which forgets it, would not."""
    if operation.state.get("deletionProtection"):
        raise ServiceError(
            "delete_cluster",
            "InvalidRequestException",
            f"{operation.id} is under deletion protection; turn that off first",
        )
    operation.call("delete_cluster", name=operation.id)


CLUSTER = Resource(
    type="aws:eks/cluster:Cluster",
    service="eks",
    fields=named_alike(
        text("name", replaces=True),
        text("roleArn", required=True, replaces=True),
        text("version", computed=True, on_change=upwards(ChangeEffect.AT_ONCE)),
        flag("forceUpdateVersion", default=False, behaviour=True),
        block(
            "vpcConfig",
            string_set("subnetIds", required=True),
            string_set("securityGroupIds", default=[]),
            flag("endpointPrivateAccess", default=False),
            flag("endpointPublicAccess", default=True),
            string_set("publicAccessCidrs", computed=True),
            output("clusterSecurityGroupId"),
            output("vpcId"),
            api="resourcesVpcConfig",
            required=True,
        ),
        block(
            "accessConfig",
            text("authenticationMode", computed=True, choices=("API", "API_AND_CONFIG_MAP", "CONFIG_MAP")),
            flag("bootstrapClusterCreatorAdminPermissions", default=True, replaces=True, not_reported=True),
            computed=True,
            not_reported=True,
        ),
        flag("bootstrapSelfManagedAddons", default=True, replaces=True, not_reported=True),
        block(
            "encryptionConfig",
            block("provider", text("keyArn", required=True), required=True),
            string_set("resources", required=True, choices=("secrets",)),
            set_once=True,
            to_api=lambda one: [one],
            from_api=lambda several: several[0] if several else None,
        ),
        block(
            "computeConfig",
            flag("enabled", default=False),
            string_set("nodePools", choices=("general-purpose", "system")),
            text("nodeRoleArn", set_once=True),
            not_reported=True,
        ),
        block(
            "kubernetesNetworkConfig",
            block("elasticLoadBalancing", flag("enabled", default=False), default=OFF),
            text("ipFamily", computed=True, default="ipv4", replaces=True, choices=("ipv4", "ipv6")),
            text("serviceIpv4Cidr", computed=True, replaces=True),
            output("serviceIpv6Cidr"),
            computed=True,
        ),
        block(
            "storageConfig",
            block("blockStorage", flag("enabled", default=False)),
            default=NO_STORAGE,
            not_reported=True,
        ),
        string_set(
            "enabledClusterLogTypes", "logging", default=[], choices=LOG_TYPES, to_api=logging_of, from_api=logs_on
        ),
        block("upgradePolicy", text("supportType", choices=("STANDARD", "EXTENDED")), computed=True, not_reported=True),
        block("zonalShiftConfig", flag("enabled", default=False), default=OFF, not_reported=True),
        flag("deletionProtection", default=False, not_reported=True),
        output("arn"),
        output("endpoint"),
        output("certificateAuthority", kind=Kind.BLOCK, fields=(text("data"),)),
        output(
            "identities",
            "identity && [identity]",
            kind=Kind.BLOCKS,
            fields=(blocks("oidcs", text("issuer"), read="oidc && [oidc]"),),
        ),
        output("platformVersion", unstable=True),
        output("status"),
        output("createdAt", from_api=written),
    ),
    create=Create("create_cluster", id="{name}"),
    read=(Read("describe_cluster", OF_THE_CLUSTER, "cluster"),),
    updates=(
        Update("update_cluster_version", ("version",), do=change_version),
        Update("associate_encryption_config", ("encryptionConfig",), do=associate_key, on_change=ChangeEffect.AT_ONCE),
        Update("update_cluster_config", ("accessConfig",), do=change_access, on_change=ChangeEffect.AT_ONCE),
        Update(
            "update_cluster_config",
            ("computeConfig", "kubernetesNetworkConfig", "storageConfig"),
            do=change_auto_mode,
            on_change=ChangeEffect.AT_ONCE,
        ),
        Update("update_cluster_config", ("vpcConfig",), do=change_network, on_change=ChangeEffect.AT_ONCE),
        *(
            Update("update_cluster_config", (name,), do=change_setting, on_change=ChangeEffect.AT_ONCE)
            for name in ("enabledClusterLogTypes", "upgradePolicy", "zonalShiftConfig", "deletionProtection")
        ),
    ),
    delete=Delete("delete_cluster", do=delete_cluster, wait=True),
    tags=TAGS,
    gone=("ResourceNotFoundException",),
    ready="status=='ACTIVE'",
    failed="status=='FAILED'",
    timeout=3600,
    auto_name=AutoName("name", 100),
    conflicts=half_auto_mode,
    emulator_forgets=frozenset(
        {"accessConfig", "computeConfig", "deletionProtection", "storageConfig", "upgradePolicy", "zonalShiftConfig"}
    ),
    dependents=(
        Dependents("aws:eks/addon:Addon", "addonName", "list_addons", {"clusterName": "{id}"}, "addons"),
        Dependents(
            "aws:eks/podIdentityAssociation:PodIdentityAssociation",
            "associationId",
            "list_pod_identity_associations",
            {"clusterName": "{id}"},
            "associations[].associationId",
        ),
    ),
)

OF_THE_ADDON = {"clusterName": "{clusterName}", "addonName": "{addonName}"}

ADDON = Resource(
    type="aws:eks/addon:Addon",
    service="eks",
    fields=named_alike(
        text("clusterName", required=True, replaces=True),
        text("addonName", required=True, replaces=True),
        text("addonVersion", computed=True),
        json_text("configurationValues", computed=True),
        text("serviceAccountRoleArn"),
        text("resolveConflictsOnCreate", default="NONE", choices=("NONE", "OVERWRITE"), behaviour=True),
        text("resolveConflictsOnUpdate", default="NONE", choices=("NONE", "OVERWRITE", "PRESERVE"), behaviour=True),
        flag("preserve", default=False, behaviour=True),
        output("arn", "addonArn"),
        output("createdAt", from_api=written),
        output("modifiedAt", unstable=True, from_api=written),
    ),
    create=Create("create_addon", {"resolveConflicts": "{resolveConflictsOnCreate}"}, id="{clusterName}:{addonName}"),
    read=(Read("describe_addon", OF_THE_ADDON, "addon"),),
    updates=(
        # A role that is not named again is taken away, so all are.
        Update(
            "update_addon",
            ("addonVersion", "configurationValues", "serviceAccountRoleArn"),
            {**OF_THE_ADDON, "resolveConflicts": "{resolveConflictsOnUpdate}"},
            whole=True,
        ),
    ),
    delete=Delete("delete_addon", {**OF_THE_ADDON, "preserve": "{preserve}"}, wait=True),
    tags=TAGS,
    gone=("ResourceNotFoundException",),
    ready="status=='ACTIVE'",
    failed="status=='CREATE_FAILED' || status=='UPDATE_FAILED'",
    timeout=1200,
)

OF_THE_ASSOCIATION = {"clusterName": "{clusterName}", "associationId": "{id}"}

POD_IDENTITY = Resource(
    type="aws:eks/podIdentityAssociation:PodIdentityAssociation",
    service="eks",
    fields=named_alike(
        text("clusterName", required=True, replaces=True),
        text("namespace", required=True, replaces=True),
        text("serviceAccount", required=True, replaces=True),
        text("roleArn", required=True),
        text("targetRoleArn", unset=""),
        flag("disableSessionTags", default=False),
        computed_from("associationId", "{id}"),
        computed_from("associationArn", "arn:aws:eks:{region}:{account}:podidentityassociation/{clusterName}/{id}"),
        output("externalId"),
    ),
    create=Create("create_pod_identity_association", id="association.associationId"),
    read=(Read("describe_pod_identity_association", OF_THE_ASSOCIATION, "association"),),
    updates=(
        Update(
            "update_pod_identity_association", ("roleArn", "targetRoleArn", "disableSessionTags"), OF_THE_ASSOCIATION
        ),
    ),
    delete=Delete("delete_pod_identity_association", OF_THE_ASSOCIATION),
    tags=replace(
        TAGS,
        put=Call("tag_resource", {"resourceArn": "{associationArn}", "tags": "{tags}"}),
        remove=Call("untag_resource", {"resourceArn": "{associationArn}", "tagKeys": "{tag_keys}"}),
    ),
    find=Find(
        "list_pod_identity_associations",
        {"clusterName": "{clusterName}", "namespace": "{namespace}", "serviceAccount": "{serviceAccount}"},
        "associations[0].associationId",
    ),
    gone=("ResourceNotFoundException",),
)

RESOURCES = (CLUSTER, ADDON, POD_IDENTITY)
