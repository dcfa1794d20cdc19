"""What a stack's state holds, as plain values: secrets are marked, never shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watoto_infra.values.contracts import Json


@dataclass(frozen=True)
class HeldResource:
    """One resource of the state, under the names that Pulumi's deployments use.

    ``custom``: a provider stands behind it, so it is more than a group. ``delete``: the old half of a replacement.
    ``changed`` is when it was last changed, ISO 8601. ``simulated``: the local control plane does not implement it.
    """

    urn: str
    type: str
    custom: bool
    id: str | None
    parent: str | None
    provider: str | None
    dependencies: tuple[str, ...]
    protect: bool
    external: bool
    delete: bool
    pending_replacement: bool
    init_errors: tuple[str, ...]
    simulated: bool
    changed: str | None
    inputs: Mapping[str, Json]
    outputs: Mapping[str, Json]

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[3]


@dataclass(frozen=True)
class PendingWork:
    """An operation that a killed run began: creating, updating, deleting or reading."""

    operation: str
    urn: str


@dataclass(frozen=True)
class HeldState:
    """A stack's resources, each after all that it needs, and what a killed run left open."""

    resources: tuple[HeldResource, ...]
    pending: tuple[PendingWork, ...]
