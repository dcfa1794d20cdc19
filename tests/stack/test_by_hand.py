"""What somebody hangs on a stack's things, or puts in the place of its secrets: named, and mended or left to him."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.stack.driver import Driver

pytestmark = pytest.mark.local

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def drift(stack: Driver) -> dict[str, list[str]]:
    """Give the changed properties by the name of the resource."""
    done = stack.run("drift", "--json")
    assert done.returncode in {0, 3}, done.stderr
    document = json.loads(done.stdout)
    assert (document["last_applied"] or "") <= (document["last_read"] or "")
    found = {
        step["urn"].rpartition("::")[2]: [change["path"] for change in step["changes"]]
        for step in document["steps"]
        if step["op"] != "same"
    }
    assert bool(found) == (done.returncode == 3)
    return found


def test_what_was_hung_on_and_secrets_that_were_changed_are_named_and_do_not_stop_a_destroy(own: Driver):
    own.ok("up", "--stage", "phase3", "--yes")
    assert drift(own) == {}
    resources = own.json("state", "export")["deployment"]["resources"]

    def one(kind: str, name: str = "") -> dict[str, Any]:
        return next(r for r in resources if r["type"].endswith(f":{kind}") and name in r["urn"].rpartition("::")[2])

    own.aws("ec2").delete_nat_gateway(NatGatewayId=one("NatGateway")["id"])
    role, group, key, secret = one("Role"), one("SecurityGroup"), one("Key"), one("Secret")
    balancer, table, logs = one("LoadBalancer"), one("RouteTable"), one("LogGroup")
    own.aws("iam").attach_role_policy(RoleName=role["id"], PolicyArn=ADMINISTRATOR)
    own.aws("ec2").authorize_security_group_ingress(
        GroupId=group["id"], IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
    )
    own.aws("ec2").create_route(
        RouteTableId=table["id"], DestinationCidrBlock="192.0.2.0/24", GatewayId=one("InternetGateway")["id"]
    )
    own.aws("kms").create_alias(AliasName="alias/by-hand", TargetKeyId=key["id"])
    own.aws("secretsmanager").put_secret_value(SecretId=secret["id"], SecretString="by hand")
    version = next(r for r in resources if r["type"].endswith(":SecretVersion") and r["id"].startswith(secret["id"]))
    seen = drift(own)
    names = {name: r["urn"].rpartition("::")[2] for name, r in (("role", role), ("group", group), ("key", key))}
    assert f"RolePolicyAttachment[{ADMINISTRATOR}]" in seen[names["role"]]
    assert any(path.startswith("SecurityGroupIngressRule[sgr-") for path in seen[names["group"]])
    assert "Alias[alias/by-hand]" in seen[names["key"]]
    assert "Route[192.0.2.0/24]" in seen[table["urn"].rpartition("::")[2]]
    assert "versionStages" in seen[version["urn"].rpartition("::")[2]]
    assert balancer["urn"] not in seen
    assert logs["urn"] not in seen

    own.ok("up", "--stage", "phase3", "--yes")
    held = own.aws("secretsmanager").get_secret_value(SecretId=secret["id"])
    assert held["VersionId"] == version["id"].rpartition("|")[2]
    gateways = own.aws("ec2").describe_nat_gateways()["NatGateways"]
    addresses = {one["NatGatewayAddresses"][0]["AllocationId"] for one in gateways if one["State"] == "available"}
    assert addresses == {resource["id"] for resource in resources if resource["type"].endswith(":Eip")}
    left = drift(own)
    assert version["urn"].rpartition("::")[2] not in {name for name, paths in left.items() if "versionStages" in paths}
    assert names["role"] in left, "what hangs on a thing is left to whoever hung it there"
    own.ok("destroy", "--yes", "--delete-data")
