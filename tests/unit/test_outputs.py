"""A stack's outputs, read back: what is missing or wrong is named, what is new is passed over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from watoto_infra.errors import StateError
from watoto_infra.values.outputs import StackOutputs


def exported() -> dict[str, Any]:
    secret = {"name": "watoto/x", "arn": "arn:x"}
    server = {"urn": "urn:1", "identifier": "watoto-primary", "arn": "arn:1", "address": "127.0.0.1", "port": 5432}
    endpoint = {"address": "127.0.0.1", "port": 6379}
    cache = {"urn": "urn:2", "id": "watoto-cache", "role": "cache", "primary": endpoint, "reader": endpoint}
    group = {"urn": "urn:3", "name": "g", "service": "backend", "paths": (), "min_size": 1, "max_size": 2, "desired": 1}
    return {
        "url": "http://127.0.0.1:8080",
        "stage": "phase1",
        "target": "local",
        "region": "us-east-1",
        "protection": False,
        "network": {"vpc_id": "vpc-1", "cidr": "10.0.0.0/16", "subnets": {}, "security_groups": {}},
        "edge": None,
        "load_balancer": {
            "urn": "urn:4",
            "arn": "arn:4",
            "dns_name": "127.0.0.1:8080",
            "url": "http://127.0.0.1:8080",
            "target_group_arn": "t",
        },
        "app": {
            "platform": "auto_scaling_group",
            "image": "i",
            "role_arn": "r",
            "port": 8000,
            "gateway_port": 80,
            "groups": [group],
            "launch_template_id": "lt-1",
            "launch_template_version": 1,
        },
        "databases": [{**server, "role": "primary", "shard": 0, "secret": secret}],
        "caches": {
            "cache": {
                **cache,
                "nodes": 1,
                "cluster_mode": False,
                "tls": False,
                "eviction": "noeviction",
                "secret": secret,
            }
        },
        "queue": {
            "urn": "urn:5",
            "id": "b-1",
            "arn": "arn:5",
            "endpoints": ["amqp://127.0.0.1:5672"],
            "console_url": "c",
            "nodes": 1,
            "secret": secret,
        },
        "buckets": {"media": {"urn": "urn:6", "name": "watoto-media", "arn": "arn:6"}},
        "secrets": {"app": secret},
        "key": {"urn": "urn:7", "arn": "arn:7", "alias": "alias/watoto"},
    }


def test_exported_outputs_are_read_back():
    outputs = StackOutputs.from_outputs(exported())

    assert outputs.edge is None
    assert str(outputs.primary.endpoint) == "127.0.0.1:5432"
    assert outputs.replicas_of(0) == ()
    assert outputs.shards == ()


def test_what_a_newer_program_exports_besides_is_passed_over():
    assert StackOutputs.from_outputs({**exported(), "tomorrow": 1}) == StackOutputs.from_outputs(exported())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda values: values.pop("url"), "the stack's output url is missing"),
        (lambda values: values["databases"][0].pop("port"), r"the stack's output databases\.0\.port is missing"),
        (lambda values: values.update(caches=[]), "the stack's output caches is wrong"),
        (lambda values: values["app"].update(port="[unknown]"), r"the stack's output app\.port is wrong"),
        (lambda values: values.clear(), "the stack's output url is missing"),
    ],
)
def test_an_output_that_is_missing_or_wrong_is_named_with_what_to_do(spoil, message):
    values = exported()
    spoil(values)

    with pytest.raises(StateError, match=message) as caught:
        StackOutputs.from_outputs(values)
    assert "watoto up" in str(caught.value.hint)
    assert "\n" not in caught.value.message


def test_a_shard_that_is_not_there_is_an_error_with_a_hint():
    with pytest.raises(StateError, match="no primary for shard 3"):
        StackOutputs.from_outputs(exported()).primary_of(3)


def test_outputs_do_not_import_pulumi():
    code = "import sys, watoto_infra.values.outputs; sys.exit(any(name.startswith('pulumi') for name in sys.modules))"

    run = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert run.returncode == 0
