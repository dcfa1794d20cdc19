"""Subnet groups and parameter groups of databases and caches: RDS and ElastiCache spell the same two in their own way.

moto 5.2.5 has no parameter groups of caches, and keeps their subnet groups for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from watoto_infra.providers.aws.clients import ServiceError
from watoto_infra.providers.aws.fields import Field, block_set, computed_from, output, string_set, text
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.table import AutoName, Call, Create, Delete, Item, Read, Resource, Tags, Update

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
    """A service's words: ``verb`` in its operations' names, ``noun`` in its members', and its list of parameters.

    ``timed``: its parameters say when they apply, and are reset by that instead of by their value.
    """

    service: str
    verb: str
    noun: str
    parameters: str
    timed: bool

    def subnet_group(self, *, arn: str, update: Update, gone: tuple[str, ...]) -> Resource:
        """Give the entry of subnet groups; ``arn`` is where their ARN is read."""
        return self._group(
            "Subnet",
            text("description", f"{self.noun}SubnetGroupDescription", default=DEFAULT_DESCRIPTION, always=True),
            string_set("subnetIds", required=True, read="Subnets[].SubnetIdentifier"),
            output("arn", arn),
            output("vpcId", "VpcId"),
            reads=(read_tags(arn),),
            update=update,
            gone=gone,
        )

    def parameter_group(self, arn: Field, *, read_at: str, gone: tuple[str, ...]) -> Resource:
        """Give the entry of parameter groups; ``read_at`` is where their ARN is read."""
        when = text("applyMethod", "ApplyMethod", default="immediate", choices=("immediate", "pending-reboot"))
        return self._group(
            "Parameter",
            text("family", f"{self.noun}ParameterGroupFamily", required=True, replaces=True),
            text("description", default=DEFAULT_DESCRIPTION, always=True, replaces=True),
            block_set(
                "parameters",
                text("name", "ParameterName", required=True),
                text("value", "ParameterValue", required=True),
                *((when,) if self.timed else ()),
                key="name",
                at_create=False,
            ),
            arn,
            reads=(Read(do=self.read_parameters), read_tags(read_at)),
            update=Update(f"modify_{self.verb}_parameter_group", ("parameters",), do=self.change_parameters),
            gone=gone,
        )

    def _group(
        self, kind: str, *fields: Field, reads: tuple[Read, ...], update: Update, gone: tuple[str, ...]
    ) -> Resource:
        name, operation = f"{self.noun}{kind}GroupName", f"{self.verb}_{kind.lower()}_group"
        return Resource(
            type=f"aws:{self.service}/{kind.lower()}Group:{kind}Group",
            service=self.service,
            fields=(text("name", name, replaces=True, normalize=str.lower), *fields),
            create=Create(f"create_{operation}", id="{name}"),
            read=(Read(f"describe_{operation}s", {name: "{id}"}, f"{self.noun}{kind}Groups[0]"), *reads),
            updates=(update,),
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
                some = [self._parameter(one, reset=verb == "reset") for one in parameters[at : at + MOST_PARAMETERS]]
                call = f"{verb}_{self.verb}_parameter_group"
                operation.call(call, **self._of(operation), **{self.parameters: some})

    def _of(self, operation: Operation) -> dict[str, str]:
        return {f"{self.noun}ParameterGroupName": operation.id}

    def _parameter(self, one: Item, *, reset: bool) -> Item:
        told = {"ParameterName": one["name"]}
        if self.timed:
            told["ApplyMethod"] = one.get("applyMethod", "immediate")
        if not (self.timed and reset):
            told["ParameterValue"] = one["value"]
        return told


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
        tags = [{"Key": key, "Value": value} for key, value in operation.desired_tags.items()]
        operation.call("create_db_subnet_group", **group, Tags=tags)


DATABASES = Spelling(service="rds", verb="db", noun="DB", parameters="Parameters", timed=True)
CACHES = Spelling(service="elasticache", verb="cache", noun="Cache", parameters="ParameterNameValues", timed=False)
SUBNETS = ("subnetIds", "description")

RESOURCES = (
    DATABASES.subnet_group(
        arn="DBSubnetGroupArn",
        update=Update("modify_db_subnet_group", SUBNETS, do=change_subnets),
        gone=("DBSubnetGroupNotFoundFault",),
    ),
    DATABASES.parameter_group(
        output("arn", "DBParameterGroupArn"),
        read_at="DBParameterGroupArn",
        gone=("DBParameterGroupNotFound", "DBParameterGroupNotFoundFault"),
    ),
    CACHES.subnet_group(
        arn="ARN",
        update=Update("modify_cache_subnet_group", SUBNETS, {"CacheSubnetGroupName": "{id}"}, whole=True),
        gone=("CacheSubnetGroupNotFoundFault",),
    ),
    CACHES.parameter_group(
        computed_from("arn", "arn:aws:elasticache:{region}:{account}:parametergroup:{id}"),
        read_at="ARN",
        gone=("CacheParameterGroupNotFound",),
    ),
)
