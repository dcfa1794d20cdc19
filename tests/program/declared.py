"""Runs the program against the SDK's own mocks, in a process of its own, and gives what it declared as plain data."""

from __future__ import annotations

import base64
import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import config, mocks, settings
from pulumi.runtime.stack import Stack

ROOT = Path(__file__).parents[2]
SECRET_KEY = "4dabf18193072939515e22adb298388d"
SECRET_VALUE = "1b47061264138c4ac30d75fd1eb44270"
IMAGE = "registry.example.com/lms@sha256:" + "a" * 64
OUTPUTS_THAT_ARE_TEXT = (
    "arn",
    "arnSuffix",
    "ownerId",
    "dnsName",
    "domainName",
    "address",
    "allocationId",
    "bucketRegionalDomainName",
    "primaryEndpointAddress",
    "readerEndpointAddress",
    "configurationEndpointAddress",
    "keyId",
    "endpoint",
)

# The SDK keeps one stack a process, and takes seconds to import: every run is a fork of a process that has done so.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["tests.program.imported"])


@dataclass(frozen=True)
class Resource:
    """One registered resource, its inputs as sent (secrets still marked)."""

    urn: str
    type: str
    name: str
    custom: bool
    parent: str
    inputs: dict[str, Any]
    protect: bool
    ignore_changes: list[str]
    dependencies: list[str]
    outputs: dict[str, Any] = field(default_factory=dict)

    def get(self, path: str) -> Any:
        """A value by dotted path, without its secret mark; None where there is none."""
        value: Any = self.inputs
        for key in path.split("."):
            value = bare(value)
            if isinstance(value, list):
                value = value[int(key)] if int(key) < len(value) else None
            else:
                value = (value or {}).get(key)
        return bare(value)


Rule = tuple[str, Callable[[Resource], bool]]
"""What holds for every resource of a type."""


@dataclass(frozen=True)
class Declared:
    """Everything one run registered."""

    resources: tuple[Resource, ...]
    outputs: dict[str, Any]

    def of(self, type_token: str) -> list[Resource]:
        found = [one for one in self.resources if one.type == type_token]
        assert found, f"nothing of type {type_token} is declared"
        return found

    def one(self, type_token: str, name: str | None = None) -> Resource:
        found = [one for one in self.of(type_token) if name in (None, one.name)]
        assert len(found) == 1, [one.name for one in found]
        return found[0]


def user_data(declared: Declared) -> str:
    """What an app server does at its first boot."""
    return base64.b64decode(declared.one("aws:ec2/launchTemplate:LaunchTemplate").get("userData")).decode()


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(SECRET_KEY) == SECRET_VALUE


def bare(value: Any) -> Any:
    return value["value"] if is_secret(value) else value


@cache
def run(stage: str, target: str = "local", stack: str = "", overrides: str = "{}") -> Declared:
    """Declare a stage. On the aws target the LMS's image is given; ``overrides`` is JSON."""
    laid_over = json.loads(overrides)
    if target == "aws":
        for section in ("app", "gateway"):
            laid_over[section] = {"image": IMAGE, **laid_over.get(section, {})}
    request = {"stage": stage, "target": target, "stack": stack or target, "overrides": json.dumps(laid_over)}
    with ProcessPoolExecutor(1, mp_context=FORKED) as process:
        answer = process.submit(declare, request).result()
    return Declared(tuple(Resource(**one) for one in answer["resources"]), answer["outputs"])


def declare(request: dict[str, str]) -> dict[str, Any]:
    """Run the program here, recording each request to the monitor."""
    from watoto_infra.program.entry import main  # noqa: PLC0415 - imports every AWS module, for the child only

    registered: dict[str, dict[str, Any]] = {}

    class Recorder(mocks.MockMonitor):
        def RegisterResource(self, asked):  # noqa: N802 - the service's own name
            answer = super().RegisterResource(asked)
            registered[answer.urn] = {
                "urn": answer.urn,
                "type": asked.type,
                "name": asked.name,
                "custom": asked.custom,
                "parent": asked.parent,
                "inputs": json_format.MessageToDict(asked.object),
                "protect": asked.protect,
                "ignore_changes": list(asked.ignoreChanges),
                "dependencies": list(asked.dependencies),
            }
            return answer

        def RegisterResourceOutputs(self, asked):  # noqa: N802
            registered[asked.urn]["outputs"] = json_format.MessageToDict(asked.outputs)
            return super().RegisterResourceOutputs(asked)

    class Service(pulumi.runtime.Mocks):
        def new_resource(self, args):
            outputs = {**args.inputs, **{key: f"{args.name}-{key}" for key in OUTPUTS_THAT_ARE_TEXT}}
            outputs |= {"port": 6379 if "elasticache" in args.typ else 5432, "latestVersion": 1, "latestRevision": 1}
            outputs["instances"] = [{"endpoints": ["amqps://broker:5671"], "consoleUrl": "https://broker"}]
            if args.typ == "aws:eks/cluster:Cluster":
                outputs["certificateAuthority"] = {"data": "certificate"}
                outputs["vpcConfig"] = {**args.inputs["vpcConfig"], "clusterSecurityGroupId": "sg-of-the-cluster"}
            outputs["result"] = "generated-password"
            return f"{args.name}-id", outputs

        def call(self, args):
            raise AssertionError(f"the program asks for {args.token}, which an offline preview cannot answer")

    service = Service()
    pulumi.runtime.set_mocks(service, project="watoto", stack=request["stack"], monitor=Recorder(service))
    values = {key: request[key] for key in ("stage", "target", "overrides")}
    config.set_all_config({f"watoto:{key}": value for key, value in values.items()})
    settings.ROOT.set(None)  # the mocks made one that exports nothing
    pulumi.runtime.test(lambda: Stack(main) and None)()
    stack_outputs = next(one.pop("outputs", {}) for one in registered.values() if one["type"] == "pulumi:pulumi:Stack")
    return {"resources": list(registered.values()), "outputs": stack_outputs}
