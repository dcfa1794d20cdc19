"""IAM: roles, their policies, and instance profiles. IAM has no regions; a name is the id."""

from __future__ import annotations

from typing import Any

from watoto_infra.providers.aws.fields import flag, integer, json_text, output, text
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.table import AutoName, Call, Create, Delete, Dependents, Read, Resource, Tags, Update

GONE = ("NoSuchEntity",)
MOST_VERSIONS = 5
"""Versions that a managed policy may have (IAM quotas)."""


def iam_tags(kind: str, argument: str) -> Tags:
    """Give the tags of a kind of IAM thing, named by ``argument`` in its calls."""
    return Tags(
        put=Call(f"tag_{kind}", {argument: "{id}", "Tags": "{tags}"}),
        remove=Call(f"untag_{kind}", {argument: "{id}", "TagKeys": "{tag_keys}"}),
    )


def let_go(operation: Operation) -> None:
    """With ``forceDetachPolicies``, take every policy from the role before it is deleted."""
    role = operation.id
    if operation.state.get("forceDetachPolicies"):
        for one in operation.call("list_attached_role_policies", RoleName=role)["AttachedPolicies"]:
            operation.call("detach_role_policy", RoleName=role, PolicyArn=one["PolicyArn"])
        for name in operation.call("list_role_policies", RoleName=role)["PolicyNames"]:
            operation.call("delete_role_policy", RoleName=role, PolicyName=name)
    operation.call("delete_role", RoleName=role)


ROLE = Resource(
    type="aws:iam/role:Role",
    service="iam",
    fields=(
        text("name", "RoleName", replaces=True),
        text("path", default="/", replaces=True),
        text("description", unset=""),
        json_text("assumeRolePolicy", "AssumeRolePolicyDocument", required=True),
        integer("maxSessionDuration", default=3600, low=3600, high=43200),
        text("permissionsBoundary", read="PermissionsBoundary.PermissionsBoundaryArn"),
        flag("forceDetachPolicies", default=False, behaviour=True),
        output("arn", "Arn"),
        output("uniqueId", "RoleId"),
        output("createDate", "CreateDate"),
    ),
    create=Create("create_role", id="{name}"),
    read=(Read("get_role", {"RoleName": "{id}"}, "Role"),),
    updates=(
        Update("update_assume_role_policy", {"assumeRolePolicy": "PolicyDocument"}, {"RoleName": "{id}"}),
        Update("update_role", ("description", "maxSessionDuration"), {"RoleName": "{id}"}, whole=True),
        Update(
            "put_role_permissions_boundary",
            ("permissionsBoundary",),
            do=lambda operation, _: set_boundary(operation),
        ),
    ),
    delete=Delete(do=let_go),
    tags=iam_tags("role", "RoleName"),
    gone=GONE,
    auto_name=AutoName("name", 64),
    regional=False,
    dependents=(
        Dependents(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "policyArn",
            "list_attached_role_policies",
            {"RoleName": "{id}"},
            "AttachedPolicies[].PolicyArn",
        ),
        Dependents("aws:iam/rolePolicy:RolePolicy", "name", "list_role_policies", {"RoleName": "{id}"}, "PolicyNames"),
        Dependents(
            "aws:iam/instanceProfile:InstanceProfile",
            "name",
            "list_instance_profiles_for_role",
            {"RoleName": "{id}"},
            "InstanceProfiles[].InstanceProfileName",
        ),
    ),
)


def set_boundary(operation: Operation) -> None:
    """Set or take away the most that a role may ever do."""
    wanted = operation.inputs.get("permissionsBoundary")
    if wanted:
        operation.call("put_role_permissions_boundary", RoleName=operation.id, PermissionsBoundary=wanted)
    else:
        operation.call("delete_role_permissions_boundary", RoleName=operation.id)


THE_INLINE_POLICY = {"RoleName": "{role}", "PolicyName": "{name}"}

ROLE_POLICY = Resource(
    type="aws:iam/rolePolicy:RolePolicy",
    service="iam",
    fields=(
        text("name", "PolicyName", replaces=True),
        text("role", "RoleName", required=True, replaces=True),
        json_text("policy", "PolicyDocument", required=True),
    ),
    create=Create("put_role_policy", id="{role}:{name}"),
    read=(Read("get_role_policy", THE_INLINE_POLICY),),
    updates=(Update("put_role_policy", ("policy",), THE_INLINE_POLICY),),
    delete=Delete("delete_role_policy", THE_INLINE_POLICY),
    gone=GONE,
    auto_name=AutoName("name", 128),
    regional=False,
)

ROLE_POLICY_ATTACHMENT = Resource(
    type="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    service="iam",
    fields=(
        text("role", "RoleName", required=True, replaces=True, not_reported=True),
        text("policyArn", required=True, replaces=True),
    ),
    create=Create("attach_role_policy", id="{role}/{policyArn}"),
    read=(
        Read(
            "list_attached_role_policies",
            {"RoleName": "{role}"},
            "AttachedPolicies[?PolicyArn=='{policyArn}'] | [0]",
        ),
    ),
    delete=Delete("detach_role_policy", {"RoleName": "{role}", "PolicyArn": "{policyArn}"}),
    gone=GONE,
    regional=False,
)


def set_profile_role(operation: Operation, _: frozenset[str]) -> None:
    """Put the wanted role into the profile; a profile holds one."""
    for one in operation.call("get_instance_profile", InstanceProfileName=operation.id)["InstanceProfile"]["Roles"]:
        operation.call("remove_role_from_instance_profile", InstanceProfileName=operation.id, RoleName=one["RoleName"])
    wanted = operation.inputs.get("role")
    if wanted:
        operation.call("add_role_to_instance_profile", InstanceProfileName=operation.id, RoleName=wanted)


def delete_profile(operation: Operation) -> None:
    """Empty the profile and delete it."""
    set_profile_role(operation, frozenset())
    operation.call("delete_instance_profile", InstanceProfileName=operation.id)


INSTANCE_PROFILE = Resource(
    type="aws:iam/instanceProfile:InstanceProfile",
    service="iam",
    fields=(
        text("name", "InstanceProfileName", replaces=True),
        text("path", default="/", replaces=True),
        text("role", read="Roles[0].RoleName", at_create=False),
        output("arn", "Arn"),
        output("uniqueId", "InstanceProfileId"),
        output("createDate", "CreateDate"),
    ),
    create=Create("create_instance_profile", id="{name}"),
    read=(Read("get_instance_profile", {"InstanceProfileName": "{id}"}, "InstanceProfile"),),
    updates=(Update("add_role_to_instance_profile", ("role",), do=set_profile_role),),
    delete=Delete(do=delete_profile),
    tags=iam_tags("instance_profile", "InstanceProfileName"),
    gone=GONE,
    auto_name=AutoName("name", 128),
    regional=False,
)


def other_versions(operation: Operation) -> list[dict[str, Any]]:
    """Give the versions of a policy that do not hold, the oldest last."""
    found = operation.call("list_policy_versions", PolicyArn=operation.id)["Versions"]
    return [one for one in found if not one["IsDefaultVersion"]]


def new_version(operation: Operation, _: frozenset[str]) -> None:
    """Make a version with the wanted text the one that holds; the oldest goes where there would be too many."""
    others = other_versions(operation)
    if len(others) + 1 >= MOST_VERSIONS:
        oldest = min(others, key=lambda one: int(one["VersionId"].removeprefix("v")))
        operation.call("delete_policy_version", PolicyArn=operation.id, VersionId=oldest["VersionId"])
    operation.call(
        "create_policy_version",
        PolicyArn=operation.id,
        PolicyDocument=operation.inputs["policy"],
        SetAsDefault=True,
    )


def delete_policy(operation: Operation) -> None:
    """Delete the other versions, then the policy."""
    for one in other_versions(operation):
        operation.call("delete_policy_version", PolicyArn=operation.id, VersionId=one["VersionId"])
    operation.call("delete_policy", PolicyArn=operation.id)


def held_version(operation: Operation) -> dict[str, Any]:
    """Give the text that holds."""
    found = operation.call("get_policy_version", PolicyArn=operation.id, VersionId=operation.item["DefaultVersionId"])
    return {"PolicyDocument": found["PolicyVersion"]["Document"]}


POLICY = Resource(
    type="aws:iam/policy:Policy",
    service="iam",
    fields=(
        text("name", "PolicyName", replaces=True),
        text("path", default="/", replaces=True),
        text("description", replaces=True),
        json_text("policy", "PolicyDocument", required=True),
        output("arn", "Arn"),
        output("policyId", "PolicyId"),
    ),
    create=Create("create_policy", id="arn:aws:iam::{account}:policy{path}{name}"),
    read=(Read("get_policy", {"PolicyArn": "{id}"}, "Policy"), Read(do=held_version)),
    updates=(Update("create_policy_version", ("policy",), do=new_version),),
    delete=Delete(do=delete_policy),
    tags=iam_tags("policy", "PolicyArn"),
    gone=GONE,
    auto_name=AutoName("name", 128),
    regional=False,
)

RESOURCES = (ROLE, ROLE_POLICY, ROLE_POLICY_ATTACHMENT, INSTANCE_PROFILE, POLICY)
