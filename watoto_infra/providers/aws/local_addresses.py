"""Where local processes answer for what the emulator only names: laid over the outputs of a few types.

Nothing listens at the addresses that the emulator makes up. A type whose entry has ``local_addresses`` has a process of
the local target's data plane behind it, whose port is the stack's port table's, by URN and kind. Outputs alone are
touched, and outputs are never compared, so an address is no difference; a replacement keeps it, since it keeps the URN.

A kind names a port of the process; the data plane asks the port table for the same kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from watoto_infra.values.addresses import Addresses, Endpoint

Outputs = dict[str, Any]
Reserve = Callable[[str], Endpoint]
"""Gives the address of the resource at hand for a kind of port."""

LocalAddresses = Callable[[Mapping[str, Any], Reserve], Outputs]
"""Gives the outputs that are laid over the given ones."""


def lay_over(
    outputs: Mapping[str, Any], local: LocalAddresses | None, urn: str, addresses: Addresses | None
) -> Outputs:
    """Give the outputs with the addresses of the local process; as they are where none stands for the type."""
    if local is None or addresses is None:
        return dict(outputs)
    table = addresses
    return {**outputs, **local(outputs, lambda kind: table.reserve(urn, kind))}
