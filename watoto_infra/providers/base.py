"""The contract between the engine and whatever stands behind a type token.

A provider is the SDK's own ``pulumi.provider.experimental.Provider``, so the official engine can run it as a plugin.
What is added here is only what a run that may be killed needs on top of it: a token
on creates, ``adopt``, and ``simulated`` on responses. Providers start no process.

How a provider answers:

* ``check`` gives the inputs with auto-names filled in; wrong values are ``failures``; a property or type that it does
  not serve is ``errors.UnsupportedFeature``.
* ``diff`` compares old state (outputs) with new inputs; ``detailed_diff`` is exact, ``replaces`` names top-level keys.
* ``create(preview=True)`` and ``update(preview=True)`` touch nothing and mark what is not known yet as computed.
* ``read`` answers ``resource_id=None`` when the thing is gone; ``delete`` of a thing that is gone succeeds.
* Failures are ``errors.ProviderError`` naming URN, operation and the service's own words; ``NothingDoneError`` where
  the service refused, so that surely nothing was done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckFailure,
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    ConfigureResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    InvokeRequest,
    InvokeResponse,
    PropertyDiff,
    PropertyDiffKind,
    ReadRequest,
    UpdateRequest,
)
from pulumi.provider.experimental.provider import CreateRequest as SdkCreateRequest
from pulumi.provider.experimental.provider import CreateResponse as SdkCreateResponse
from pulumi.provider.experimental.provider import Provider as SdkProvider
from pulumi.provider.experimental.provider import ReadResponse as SdkReadResponse
from pulumi.provider.experimental.provider import UpdateResponse as SdkUpdateResponse

from watoto_infra.errors import ProviderError

__all__ = [
    "AdoptRequest",
    "AdoptResponse",
    "CheckFailure",
    "CheckRequest",
    "CheckResponse",
    "ConfigureRequest",
    "ConfigureResponse",
    "CreateRequest",
    "CreateResponse",
    "DeleteRequest",
    "DeleteResponse",
    "DiffRequest",
    "DiffResponse",
    "Hanging",
    "IncompleteCreateError",
    "InvokeRequest",
    "InvokeResponse",
    "NothingDoneError",
    "Properties",
    "PropertyDiff",
    "PropertyDiffKind",
    "Provider",
    "ReadRequest",
    "ReadResponse",
    "UpdateRequest",
    "UpdateResponse",
]

Properties = dict[str, PropertyValue]
"""A resource's inputs or outputs; keys are Pulumi's camelCase names."""


class CreateRequest(SdkCreateRequest):
    """A create that can be found again: ``token`` is the pending operation's own name (lower-case hex)."""

    def __init__(
        self, urn: str, properties: Properties, timeout: float = 0, preview: bool = False, token: str | None = None
    ) -> None:
        super().__init__(urn, properties, timeout, preview)
        self.token = token


class CreateResponse(SdkCreateResponse):
    """``simulated``: the emulator does not implement the operation; nothing stands behind the id.

    ``note`` is what people must know of a create that is previewed, beside that it is one.
    """

    def __init__(
        self, resource_id: str | None, properties: Properties, simulated: bool = False, note: str = ""
    ) -> None:
        super().__init__(resource_id, properties)
        self.simulated = simulated
        self.note = note


@dataclass(frozen=True)
class Hanging:
    """Something that was found to hang on a thing: a resource of ``type`` whose ``property`` (or id) is ``name``."""

    type: str
    property: str
    name: str


class ReadResponse(SdkReadResponse):
    """``resource_id`` is None when the thing is gone; ``inputs`` are shaped like the program's, with real values.

    ``rescue`` says how a thing can be had back whose deletion is not final yet ("": it cannot). ``hanging`` is what was
    found to hang on the thing, whether or not the program declares it.
    """

    def __init__(
        self,
        resource_id: str | None,
        properties: Properties | None = None,
        inputs: Properties | None = None,
        simulated: bool = False,
        *,
        rescue: str = "",
        hanging: Collection[Hanging] = (),
    ) -> None:
        super().__init__(resource_id, properties, inputs)
        self.simulated = simulated
        self.rescue = rescue
        self.hanging = tuple(hanging)


class UpdateResponse(SdkUpdateResponse):
    """``simulated``: at least one part of the update is not implemented by the emulator."""

    def __init__(self, properties: Properties, simulated: bool = False) -> None:
        super().__init__(properties)
        self.simulated = simulated


class DeleteResponse:
    """How a delete ended. ``left_behind`` is what AWS keeps too (a key pending deletion), in words, else None."""

    def __init__(self, simulated: bool = False, left_behind: str | None = None) -> None:
        self.simulated = simulated
        self.left_behind = left_behind


class AdoptRequest:
    """Asks for what a killed create had made: the inputs as checked, and the token it was given."""

    def __init__(self, urn: str, properties: Properties, token: str) -> None:
        self.urn = urn
        self.properties = properties
        self.token = token

    @property
    def type(self) -> str:
        return self.urn.split("::")[-2].rpartition("$")[2]


class AdoptResponse:
    """The resource that ``adopt`` found. ``inputs`` are the real ones: the killed create may have been half done."""

    def __init__(self, resource_id: str, properties: Properties, inputs: Properties) -> None:
        self.resource_id = resource_id
        self.properties = properties
        self.inputs = inputs


class IncompleteCreateError(ProviderError):
    """The thing exists, but a later part of its create failed.

    The engine records it (id, outputs) as existing and failed, so that it is neither lost nor made twice; the next
    run's diff finishes it.
    """

    def __init__(self, message: str, *, resource_id: str, properties: Mapping[str, PropertyValue]) -> None:
        super().__init__(message, hint="run `watoto up` again: it continues from what exists")
        self.resource_id = resource_id
        self.properties = dict(properties)


class NothingDoneError(ProviderError):
    """The service refused the operation in so many words, so it had no effect: there is nothing to look for."""


class Provider(SdkProvider):
    """A provider that survives kills.

    ``known_later`` names settings that a preview may be without, because none of its answers depends on them: the
    address of a cluster that is yet to be made is one.
    """

    known_later: Collection[str] = ()

    async def adopt(self, request: AdoptRequest) -> AdoptResponse | None:
        """Find what a create that was killed had made, by its token or its natural key; None if there is nothing."""
        return None

    # The responses below are this contract's own: they say what was simulated, and the engine reads that.
    async def create(self, request: SdkCreateRequest) -> CreateResponse:
        raise NotImplementedError

    async def read(self, request: ReadRequest) -> ReadResponse:
        raise NotImplementedError

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        raise NotImplementedError

    # The SDK's server ignores what delete returns; the engine wants to know whether anything stays.
    async def delete(self, request: DeleteRequest) -> DeleteResponse:  # type: ignore[override]
        raise NotImplementedError
