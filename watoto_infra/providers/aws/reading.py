"""Reading a thing, and what of it the user sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from watoto_infra.providers.aws import tagging
from watoto_infra.providers.aws.clients import NotImplementedByEmulatorError, ServiceError
from watoto_infra.providers.aws.compare import same
from watoto_infra.providers.aws.fields import Field, Kind
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.shape import merge, properties, search
from watoto_infra.providers.aws.table import Item, Read
from watoto_infra.providers.base import Hanging

EVERYTHING = "*"
"""In ``__simulated``: nothing at all stands behind the resource."""


def read(operation: Operation) -> dict[str, Any] | None:
    """Give the outputs as they really are; None when the thing is gone."""
    if EVERYTHING in operation.simulated:
        return dict(operation.state)
    item = read_item(operation)
    return None if item is None else outputs(operation, item)


def hanging(operation: Operation) -> list[Hanging]:
    """List what hangs on a thing that was read; kinds that the emulator cannot list are left out."""
    found: list[Hanging] = []
    for kind in operation.entry.dependents:
        try:
            names = search(kind.ids, operation.call(kind.op, **operation.fill(kind.args))) or ()
        except NotImplementedByEmulatorError:
            continue
        found += [Hanging(kind.type, kind.property, str(name)) for name in names]
    return found


def read_item(operation: Operation) -> Item | None:
    """Call all reads of the entry and merge their answers; None when the thing is gone."""
    entry = operation.entry
    item: Item = {}
    try:
        for place, look in enumerate(entry.read):
            try:
                more = _look(operation, look)
            except NotImplementedByEmulatorError:
                if place == 0:
                    raise
                continue
            if more is None:
                return None
            merge(item, more)
            operation.item = item
    except ServiceError as error:
        if error.code in entry.gone:
            return None
        raise
    return None if entry.gone_when and search(entry.gone_when, item) else item


def _look(operation: Operation, look: Read) -> Item | None:
    try:
        found: Any
        if look.do is not None:
            found = look.do(operation)
        else:
            found = search(operation.fill(look.item), operation.call(look.op, **operation.fill(look.args)))
    except ServiceError as error:
        if error.code in look.absent:
            return {}
        raise
    if found is None:
        return {} if look.under else None
    if look.pairs is not None:
        key, value = look.pairs
        found = {pair[key]: pair.get(value) for pair in found}
    return {look.under: found} if look.under else dict(found)


def outputs(operation: Operation, item: Item) -> dict[str, Any]:
    """Give the outputs of an item that was read."""
    entry = operation.entry
    operation.item = item
    found = properties(entry.all_fields, item)
    wanted = operation.inputs or operation.state
    _keep_simulated(operation, found, wanted)
    remember(entry.all_fields, found, wanted)
    found |= {one.name: operation.fill(one.computed_from) for one in entry.all_fields if one.computed_from}
    if entry.tags is not None:
        found |= tagging.shown(entry.tags, operation, item)
    if operation.simulated:
        found["__simulated"] = sorted(operation.simulated)
    if operation.unfinished:
        found["__unfinished"] = True
    return found


def _keep_simulated(operation: Operation, found: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    """Show simulated changes as done; one that the emulator's own value agrees with is none any more."""
    known = operation.entry.inputs
    for name in sorted(operation.simulated - {EVERYTHING}):
        if known[name].behaviour or not same(known[name], found.get(name), wanted.get(name)):
            found[name] = wanted.get(name)
        else:
            operation.simulated.discard(name)


def remember(fields: Iterable[Field], found: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    """Keep what the service does not report, and the program's own spelling of what is the same."""
    for entry in fields:
        old, new = wanted.get(entry.name), found.get(entry.name)
        if old is None:
            continue
        if new is None:
            if entry.not_reported or entry.behaviour:
                found[entry.name] = old
        elif entry.kind is Kind.BLOCK:
            remember(entry.fields, new, old)
        elif entry.kind in {Kind.BLOCKS, Kind.BLOCK_SET}:
            for index, element in enumerate(new):
                counterpart = _counterpart(entry, old, element, index)
                if counterpart is not None:
                    remember(entry.fields, element, counterpart)
        elif (entry.kind is Kind.JSON or entry.normalize is not None) and same(entry, new, old):
            found[entry.name] = old


def _counterpart(entry: Field, blocks: list[Any], element: Mapping[str, Any], index: int) -> Any:
    if entry.key:
        return next((one for one in blocks if one.get(entry.key) == element.get(entry.key)), None)
    return blocks[index] if index < len(blocks) else None
