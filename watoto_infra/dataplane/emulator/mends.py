"""Faults of moto 5.2.5 that the program or the LMS would meet, mended where they are."""

from __future__ import annotations

import json
from typing import Any

from moto import backends
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ec2.utils import parse_user_data
from moto.elasticache.models import ElastiCacheBackend
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, FakeMultipart, S3Backend


def mend() -> None:
    """Mend everything."""
    _decode_user_data()
    _drop_deleted_groups()
    _ignore_conditional_statements()
    _deliver_no_access_logs()
    _keep_no_list_of_objects()
    _list_modules_once()
    _let_delete_markers_go()


def _decode_user_data() -> None:
    """Decode user data whichever request brought it.

    That of a template's second and later versions is kept undecoded, which a group that grows cannot read
    (``LaunchTemplateVersion.user_data`` asserts it was decoded).
    """
    make = LaunchTemplateVersion.__init__

    def decoding(self: Any, template: Any, number: int, data: dict[str, Any], *rest: Any, **named: Any) -> None:
        if isinstance(data.get("UserData"), str):
            data = data | {"UserData": parse_user_data(data["UserData"])}
        make(self, template, number, data, *rest, **named)

    LaunchTemplateVersion.__init__ = decoding


def _drop_deleted_groups() -> None:
    """Let a deleted replication group be gone: moto has it "deleting" for ever, and its name taken."""
    delete = ElastiCacheBackend.delete_replication_group

    def dropping(self: Any, replication_group_id: str, *rest: Any, **named: Any) -> Any:
        group = delete(self, replication_group_id, *rest, **named)
        self.replication_groups.pop(replication_group_id)
        self.tagging_service.delete_all_tags_for_resource(group.arn)
        return group

    ElastiCacheBackend.delete_replication_group = dropping


def _ignore_conditional_statements() -> None:
    """Leave statements with a condition out when a bucket's policy is asked: moto takes every condition for met.

    So a policy that refuses what comes without TLS would refuse everything. Loopback stands in for TLS here.
    """

    def permission(self: Any, action: str, resource: str) -> Any:
        if self.policy is None:
            return PermissionResult.NEUTRAL
        policy = json.loads(self.policy)
        statements = policy.get("Statement", [])
        statements = [statements] if isinstance(statements, dict) else statements
        binding = [statement for statement in statements if not statement.get("Condition")]
        return IAMPolicy(json.dumps({**policy, "Statement": binding})).is_action_permitted(action, resource)

    FakeBucket.get_permission = permission


def _deliver_no_access_logs() -> None:
    """Do not write access logs: AWS delivers them late and in bulk, moto would add an object for every request."""
    S3Backend.log_incoming_request = lambda *_: None


class _Forgetful(list[Any]):
    """A list that stays empty."""

    def append(self, _: Any) -> None:
        """Forget it."""


def _keep_no_list_of_objects() -> None:
    """Let objects that are gone be collected: moto lists every one ever made, for its dashboard."""
    for kind in (FakeKey, FakeMultipart):
        kind.instances_tracked = _Forgetful()


def _list_modules_once() -> None:
    """Remember moto's modules: it lists their folder anew for every request, which takes longer than many answers."""
    names = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: names


def _let_delete_markers_go() -> None:
    """Let the last versions of a deleted object be removed: moto disposes of each, which a marker cannot do."""
    FakeDeleteMarker.dispose = lambda *_: None
