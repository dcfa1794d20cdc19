"""Subnet groups and parameter groups of databases and caches: RDS and ElastiCache spell the same two in their own way.

moto 5.2.5 has no parameter groups of caches, and keeps their subnet groups for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from watoto_infra.providers.aws.clients import ServiceError
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.table import (
    AutoName,
    Call,
    Create,
    Delete,
    Field,
    Item,
    Read,
    Resource,
    Tags,
    Update,
    block_set,
    made,
    output,
    string_set,
    text,
)

DEFAULT_DESCRIPTION = "Managed by Pulumi"

MOST_PARAMETERS = 20
"""Parameters that one call may change or reset (RDS and ElastiCache API, Modify...ParameterGroup)."""

TAGS = Tags(
    read="TagList",
    put=Call("add_tags_to_resource", {"ResourceName": "{arn}", "Tags": "{tags}"}),
    remove=Call("remove_tags_from_resource", {"ResourceName": "{arn}", "TagKeys": "{tag_keys}"}),
)


def read_tags(arn: str) -> Read:
    """Give the call that reads the tags of the thing whose ARN an earlier read found under ``arn``."""
    return Read("list_tags_for_resource", {"ResourceName": f"{{{arn}}}"}, "TagList", under="TagList")


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """A service's words: ``verb`` in its operations' names, ``noun`` in its members', and its list of parameters."""

    service: str
    verb: str
    noun: str
    parameters: str

    def subnet_group(self, *, arn: str, update: Update, gone: tuple[str, ...]) -> Resource:
        """Give the entry of subnet groups; ``arn`` is where their ARN is read."""
        name, operation = f"{self.noun}SubnetGroupName", f"{self.verb}_subnet_group"
        return Resource(
            type=f"aws:{self.service}/subnetGroup:SubnetGroup",
            service=self.service,
            fields=(
                text("name", name, replaces=True, same=str.lower),
                text("description", f"{self.noun}SubnetGroupDescription", default=DEFAULT_DESCRIPTION, always=True),
                string_set("subnetIds", required=True, read="Subnets[].SubnetIdentifier"),
                output("arn", arn),
                output("vpcId", "VpcId"),
            ),
            create=Create(f"create_{operation}", id="{name}"),
            read=(Read(f"describe_{operation}s", {name: "{id}"}, f"{self.noun}SubnetGroups[0]"), read_tags(arn)),
            updates=(update,),
            delete=Delete(f"delete_{operation}", {name: "{id}"}),
            tags=TAGS,
            gone=gone,
            auto_name=AutoName("name", 255, lower=True),
        )

    def parameter_group(
        self, *outputs: Field, arn: str, of_a_parameter: tuple[Field, ...] = (), gone: tuple[str, ...]
    ) -> Resource:
        """Give the entry of parameter groups; ``arn`` is where their ARN is read."""
        name, operation = f"{self.noun}ParameterGroupName", f"{self.verb}_parameter_group"
        return Resource(
            type=f"aws:{self.service}/parameterGroup:ParameterGroup",
            service=self.service,
            fields=(
                text("name", name, replaces=True, same=str.lower),
                text("family", f"{self.noun}ParameterGroupFamily", required=True, replaces=True),
                text("description", default=DEFAULT_DESCRIPTION, always=True, replaces=True),
                block_set(
                    "parameters",
                    text("name", "ParameterName", required=True),
                    text("value", "ParameterValue", required=True),
                    *of_a_parameter,
                    key="name",
                    at_create=False,
                ),
                *outputs,
            ),
            create=Create(f"create_{operation}", id="{name}"),
            read=(
                Read(f"describe_{operation}s", {name: "{id}"}, f"{self.noun}ParameterGroups[0]"),
                Read(do=self.read_parameters),
                read_tags(arn),
            ),
            updates=(Update(f"modify_{operation}", ("parameters",), do=self.change_parameters),),
            delete=Delete(f"delete_{operation}", {name: "{id}"}),
            tags=TAGS,
            gone=gone,
            auto_name=AutoName("name", 255, lower=True),
        )

    def read_parameters(self, operation: Operation) -> Item:
        """Give the parameters that somebody set; those at the service's own values are not ours."""
        found: list[Item] = []
        marker: dict[str, str] = {}
        while True:
            page = operation.call(f"describe_{self.verb}_parameters", **self._of(operation), Source="user", **marker)
            found += page.get("Parameters", [])
            if not page.get("Marker"):
                return {"Parameters": found}
            marker = {"Marker": page["Marker"]}

    def change_parameters(self, operation: Operation, _: frozenset[str]) -> None:
        """Set the parameters that differ, then take back those that are no longer named."""
        old = {one["name"]: one for one in operation.state.get("parameters") or ()}
        new = {one["name"]: one for one in operation.inputs.get("parameters") or ()}
        changed = [new[name] for name in sorted(new) if old.get(name) != new[name]]
        dropped = [old[name] for name in sorted(old) if name not in new]
        for verb, parameters in (("modify", changed), ("reset", dropped)):
            for at in range(0, len(parameters), MOST_PARAMETERS):
                some = [self._parameter(one) for one in parameters[at : at + MOST_PARAMETERS]]
                call = f"{verb}_{self.verb}_parameter_group"
                operation.call(call, **self._of(operation), **{self.parameters: some})

    def _of(self, operation: Operation) -> dict[str, str]:
        return {f"{self.noun}ParameterGroupName": operation.id}

    @staticmethod
    def _parameter(one: Item) -> Item:
        told = {"ParameterName": one["name"], "ParameterValue": one["value"]}
        return told | ({"ApplyMethod": one["applyMethod"]} if "applyMethod" in one else {})


def change_subnets(operation: Operation, _: frozenset[str]) -> None:
    """Give the group its subnets. moto 5.2.5 loses a group that it changes: then it is made anew, under its name."""
    inputs = operation.inputs
    group: dict[str, Any] = {
        "DBSubnetGroupName": operation.id,
        "DBSubnetGroupDescription": operation["description"],
        "SubnetIds": inputs["subnetIds"],
    }
    operation.call("modify_db_subnet_group", **group)
    try:
        operation.call("describe_db_subnet_groups", DBSubnetGroupName=operation.id)
    except ServiceError as error:
        if error.code not in operation.entry.gone:
            raise
        tags = [{"Key": key, "Value": value} for key, value in operation.wanted_tags.items()]
        operation.call("create_db_subnet_group", **group, Tags=tags)


DATABASES = Spelling(service="rds", verb="db", noun="DB", parameters="Parameters")
CACHES = Spelling(service="elasticache", verb="cache", noun="Cache", parameters="ParameterNameValues")
SUBNETS = ("subnetIds", "description")

RESOURCES = (
    DATABASES.subnet_group(
        arn="DBSubnetGroupArn",
        update=Update("modify_db_subnet_group", SUBNETS, do=change_subnets),
        gone=("DBSubnetGroupNotFoundFault",),
    ),
    DATABASES.parameter_group(
        output("arn", "DBParameterGroupArn"),
        arn="DBParameterGroupArn",
        of_a_parameter=(
            text("applyMethod", "ApplyMethod", default="immediate", choices=("immediate", "pending-reboot")),
        ),
        gone=("DBParameterGroupNotFound", "DBParameterGroupNotFoundFault"),
    ),
    CACHES.subnet_group(
        arn="ARN",
        update=Update("modify_cache_subnet_group", SUBNETS, {"CacheSubnetGroupName": "{id}"}, whole=True),
        gone=("CacheSubnetGroupNotFoundFault",),
    ),
    CACHES.parameter_group(
        made("arn", "arn:aws:elasticache:{region}:{account}:parametergroup:{id}"),
        arn="ARN",
        gone=("CacheParameterGroupNotFound",),
    ),
)
