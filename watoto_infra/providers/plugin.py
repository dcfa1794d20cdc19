"""Serves our providers to the official engine, as the plugins it starts for ``aws``, ``kubernetes`` and ``random``.

The official CLI looks for ``pulumi-resource-<package>`` on PATH; such a file runs
``python -m watoto_infra.providers.plugin <package> <engine address>``. The endpoint is ``AWS_ENDPOINT_URL``'s, and
Kubernetes objects are kept below the folder that ``WATOTO_KUBERNETES_OBJECTS`` names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.provider.experimental.provider import CreateRequest as SdkCreateRequest
from pulumi.provider.experimental.server import main as serve
from pulumi.runtime.rpc import UNKNOWN

from watoto_infra.errors import UsageError
from watoto_infra.providers import base
from watoto_infra.providers.aws.provider import AwsProvider
from watoto_infra.providers.kubernetes.provider import KubernetesProvider
from watoto_infra.providers.kubernetes.store import ObjectStore
from watoto_infra.providers.random import RandomProvider
from watoto_infra.stack_home import OBJECTS_VARIABLE

PACKAGES = ("aws", "kubernetes", "random")


class Wired(base.Provider):
    """A provider whose unknown outputs are written as the wire has them, which the SDK's marshalling does not do."""

    def __init__(self, inner: base.Provider) -> None:
        self._inner = inner
        for name in ("check_config", "diff_config", "configure", "invoke", "check", "diff", "read", "delete"):
            setattr(self, name, getattr(inner, name))

    async def create(self, request: SdkCreateRequest) -> base.CreateResponse:
        response = await self._inner.create(request)
        return base.CreateResponse(response.resource_id, wired(response.properties))

    async def update(self, request: base.UpdateRequest) -> base.UpdateResponse:
        response = await self._inner.update(request)
        return base.UpdateResponse(wired(response.properties))


def wired(properties: Mapping[str, PropertyValue]) -> base.Properties:
    """Give properties with the wire's marker for unknown values."""
    return {name: _wired(value) for name, value in properties.items()}


def _wired(value: PropertyValue) -> PropertyValue:
    raw = value.value
    if isinstance(raw, Computed):
        return value.with_value(UNKNOWN)
    if isinstance(raw, Mapping):
        return value.with_value({key: _wired(item) for key, item in raw.items()})
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        return value.with_value([_wired(item) for item in raw])
    return value


def provider(package: str) -> base.Provider:
    """Give the provider of a package. Raises ``UsageError`` for an unknown package and for a missing variable."""
    if package == "random":
        return RandomProvider()
    if package == "kubernetes":
        folder = os.environ.get(OBJECTS_VARIABLE)
        if not folder:
            raise UsageError(f"{OBJECTS_VARIABLE} is not set", hint='eval "$(watoto env)" sets it')
        return KubernetesProvider(ObjectStore(Path(folder)))
    if package != "aws":
        raise UsageError(f"there is no provider for {package}; there are: {', '.join(PACKAGES)}")
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        raise UsageError("AWS_ENDPOINT_URL is not set", hint='eval "$(watoto env)" sets it')
    return AwsProvider(endpoint, os.environ.get("AWS_REGION", "us-east-1"))


def main() -> None:
    """Serve the provider named by the first argument until the engine ends us.

    It calls itself by the version of the SDK package that programs are written with, since they ask for that one.
    """
    package = sys.argv.pop(1)
    served = Wired(provider(package))
    serve(sys.argv[1:], version(f"pulumi_{package}"), served)


if __name__ == "__main__":
    main()
