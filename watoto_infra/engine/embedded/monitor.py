"""The gRPC service that the program's SDK talks to: Pulumi's ResourceMonitor.

It only translates: requests become goal states, results become responses. What the embedded engine does not serve is
refused by name and becomes the run's failure; it never answers with a faked success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeVar

import grpc
from google.protobuf import empty_pb2
from google.protobuf.message import Message
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

from watoto_infra.engine.embedded import wire
from watoto_infra.engine.embedded.goal import INVOKE_FIELDS, NOT_SERVED, Goal, from_read, from_register, refuse_unserved
from watoto_infra.errors import UnsupportedFeature

_T = TypeVar("_T", bound=Message)

FEATURES = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "aliasSpecs": resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    "deletedWith": resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
}
"""What the engine announces; the SDK refuses on its own to use anything else."""


@dataclass(frozen=True)
class RegisterResult:
    """How a registration ended. ``skipped``: nothing was done, its outputs stay unknown to the program."""

    urn: str
    id: str | None = None
    outputs: Mapping[str, PropertyValue] | None = None
    skipped: bool = False


class Registrar(Protocol):
    """What the monitor needs of a run. Whatever a method raises ends the run (``fail``)."""

    def register(self, goal: Goal) -> RegisterResult:
        """Bring one resource to its goal state."""
        ...

    def read(self, goal: Goal) -> RegisterResult:
        """Read a resource that the program does not manage."""
        ...

    def register_outputs(self, urn: str, outputs: Mapping[str, PropertyValue]) -> None:
        """Take the outputs of a component or of the stack."""
        ...

    def invoke(
        self, token: str, arguments: Mapping[str, PropertyValue], provider: str | None, version: str
    ) -> tuple[Mapping[str, PropertyValue], tuple[tuple[str, str], ...]]:
        """Give the function's result and its failures as pairs of property and reason."""
        ...

    def fail(self, error: Exception) -> None:
        """Note why the run cannot go on."""
        ...


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """One run's servicer; its methods are called from the server's threads, several at a time."""

    def __init__(self, registrar: Registrar, info: resource_pb2.DeploymentInfo) -> None:
        self._registrar = registrar
        self._info = info

    def GetDeploymentInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> resource_pb2.DeploymentInfo:  # noqa: N802
        return self._info

    def SupportsFeature(  # noqa: N802
        self, request: resource_pb2.SupportsFeatureRequest, context: grpc.ServicerContext
    ) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in FEATURES)

    def RegisterResource(  # noqa: N802
        self, request: resource_pb2.RegisterResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.RegisterResourceResponse:
        def serve() -> resource_pb2.RegisterResourceResponse:
            registered = self._registrar.register(from_register(request))
            return resource_pb2.RegisterResourceResponse(
                urn=registered.urn,
                id=registered.id or "",
                object=wire.to_struct(registered.outputs or {}),
                result=resource_pb2.Result.FAIL if registered.skipped else resource_pb2.Result.SUCCESS,
            )

        return self._serve(serve, context)

    def ReadResource(  # noqa: N802
        self, request: resource_pb2.ReadResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.ReadResourceResponse:
        def serve() -> resource_pb2.ReadResourceResponse:
            registered = self._registrar.read(from_read(request))
            return resource_pb2.ReadResourceResponse(
                urn=registered.urn,
                id=registered.id or "",
                properties=wire.to_struct(registered.outputs or {}),
                result=resource_pb2.Result.FAIL if registered.skipped else resource_pb2.Result.SUCCESS,
            )

        return self._serve(serve, context)

    def RegisterResourceOutputs(  # noqa: N802
        self, request: resource_pb2.RegisterResourceOutputsRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        def serve() -> empty_pb2.Empty:
            self._registrar.register_outputs(request.urn, wire.from_struct(request.outputs))
            return empty_pb2.Empty()

        return self._serve(serve, context)

    def Invoke(  # noqa: N802
        self, request: resource_pb2.ResourceInvokeRequest, context: grpc.ServicerContext
    ) -> resource_pb2.ResourceInvokeResponse:
        def serve() -> resource_pb2.ResourceInvokeResponse:
            refuse_unserved(request, INVOKE_FIELDS, f"function {request.tok}")
            arguments = wire.from_struct(request.args)
            result, failures = self._registrar.invoke(request.tok, arguments, request.provider or None, request.version)
            response = resource_pb2.ResourceInvokeResponse(
                failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in failures]
            )
            getattr(response, "return").CopyFrom(wire.to_struct(result))
            return response

        return self._serve(serve, context)

    def SignalAndWaitForShutdown(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        return empty_pb2.Empty()

    def Call(self, request: resource_pb2.ResourceCallRequest, context: grpc.ServicerContext) -> NoReturn:  # noqa: N802
        self._refuse(f"method {request.tok} of a resource", context)

    def ExistsResource(self, request: resource_pb2.ExistsResourceRequest, context: grpc.ServicerContext) -> NoReturn:  # noqa: N802
        self._refuse(f"asking whether {request.type} {request.id} exists", context)

    def RegisterStackTransform(self, request: Any, context: grpc.ServicerContext) -> NoReturn:  # noqa: N802
        self._refuse("a resource transform", context)

    def RegisterStackInvokeTransform(self, request: Any, context: grpc.ServicerContext) -> NoReturn:  # noqa: N802
        self._refuse("an invoke transform", context)

    def RegisterResourceHook(self, request: Any, context: grpc.ServicerContext) -> NoReturn:  # noqa: N802
        self._refuse(f"resource hook {request.name}", context)

    def RegisterErrorHook(self, request: Any, context: grpc.ServicerContext) -> NoReturn:  # noqa: N802
        self._refuse(f"error hook {request.name}", context)

    def RegisterPackage(self, request: resource_pb2.RegisterPackageRequest, context: grpc.ServicerContext) -> NoReturn:  # noqa: N802
        self._refuse(f"parameterized package {request.name}", context)

    def _refuse(self, what: str, context: grpc.ServicerContext) -> NoReturn:
        self._abort(UnsupportedFeature(f"the program uses {what}", hint=NOT_SERVED), context)

    def _serve(self, serve: Callable[[], _T], context: grpc.ServicerContext) -> _T:
        try:
            return serve()
        except Exception as error:  # the run raises it again, in the engine's own thread
            self._abort(error, context)

    def _abort(self, error: Exception, context: grpc.ServicerContext) -> NoReturn:
        self._registrar.fail(error)
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        raise AssertionError("abort raises")
