"""IAM's promises."""

from __future__ import annotations

import json

from tests.providers.world import Case, World

ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
PROFILE = "aws:iam/instanceProfile:InstanceProfile"
POLICY = "aws:iam/policy:Policy"


def trust(service: str, *more_actions: str) -> str:
    actions = ["sts:AssumeRole", *more_actions] if more_actions else "sts:AssumeRole"
    statement = {"Effect": "Allow", "Action": actions, "Principal": {"Service": service}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)


def allow(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def new_role(world: World) -> str:
    return world.make(ROLE, assumeRolePolicy=trust("ec2.amazonaws.com")).id


def role(world: World) -> str:
    return world.shared("role", new_role)


CASES = [
    Case(
        ROLE,
        lambda _: {
            "assumeRolePolicy": trust("ec2.amazonaws.com"),
            "description": "App servers",
            "maxSessionDuration": 7200,
            "tags": {"Name": "app"},
        },
        updates={
            "assumeRolePolicy": trust("rds.amazonaws.com"),
            "description": "Something else",
            "maxSessionDuration": 3600,
            "permissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "forceDetachPolicies": True,
            "tags": {"owner": "school"},
        },
        replaces={"name": "fixed-role", "path": "/watoto/"},
        listing=("list_roles", "Roles"),
    ),
    Case(
        ROLE,
        lambda _: {"assumeRolePolicy": trust("pods.eks.amazonaws.com", "sts:TagSession")},
        updates={"assumeRolePolicy": trust("pods.eks.amazonaws.com")},
    ),
    Case(
        ROLE_POLICY,
        lambda world: {"role": role(world), "policy": allow("s3:GetObject", "s3:ListBucket")},
        updates={"policy": allow("s3:PutObject")},
        replaces={"role": new_role, "name": "fixed-policy"},
    ),
    Case(
        ATTACHMENT,
        lambda world: {
            "role": new_role(world),
            "policyArn": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
        },
        replaces={"role": new_role, "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
    ),
    Case(
        PROFILE,
        lambda world: {"role": role(world), "tags": {"Name": "app"}},
        updates={"role": new_role, "tags": {"owner": "school"}},
        replaces={"name": "fixed-profile"},
        listing=("list_instance_profiles", "InstanceProfiles"),
    ),
    Case(
        POLICY,
        lambda _: {"policy": allow("s3:GetObject"), "description": "Reads media", "tags": {"Name": "app"}},
        updates={"policy": allow("s3:PutObject"), "tags": {}},
        replaces={"description": "Writes media", "name": "fixed"},
    ),
]
