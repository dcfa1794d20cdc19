"""Create, read, update, delete and find a resource by its table entry."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from watoto_infra.providers.aws import tagging
from watoto_infra.providers.aws.clients import NotImplementedByEmulatorError, ServiceError
from watoto_infra.providers.aws.compare import is_empty, same
from watoto_infra.providers.aws.emulator import FORGOTTEN
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.shape import merge, parameters, properties, search
from watoto_infra.providers.aws.table import OP_TAG, Field, Item, Kind, Read, Resource, Update

EVERYTHING = "*"
"""In ``__simulated``: nothing at all stands behind the resource."""

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 5.0
"""Seconds between two looks at a thing that is not ready yet; doubled each time."""


class IncompleteError(Exception):
    """The thing was made, but not all that should follow. ``outputs`` is what is known of it."""

    def __init__(self, cause: ServiceError, outputs: dict[str, Any]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.outputs = outputs


def create(operation: Operation) -> dict[str, Any]:
    """Make the thing and give its outputs; ``operation.id`` is set as soon as the service has answered."""
    try:
        operation.id = _make(operation)
    except NotImplementedByEmulatorError:
        return _pretend(operation)
    try:
        _finish(operation)
        return _settled(operation)
    except ServiceError as error:
        raise IncompleteError(error, _as_far_as_it_got(operation)) from error


def _as_far_as_it_got(operation: Operation) -> dict[str, Any]:
    """Give what there is of a thing that is not finished, so that the next comparison shows what is missing."""
    try:
        return read(operation) or dict(operation.inputs)
    except ServiceError:
        return dict(operation.inputs)


def _make(operation: Operation) -> str:
    entry, call = operation.entry, operation.entry.create
    if call.do is not None:
        return call.do(operation)
    request = create_request(operation)
    answer = operation.call(call.op, **request)
    if call.id_is_known:
        return operation.known_id()
    found = search(str(call.id), answer)
    if found is None:
        raise ServiceError(call.op, "NoId", f"the answer holds nothing at {call.id} ({entry.type})")
    return str(found)


def create_request(operation: Operation) -> dict[str, Any]:
    """Give the parameters of the create call: the table's own, the fields', the tags'."""
    entry = operation.entry
    values = {
        item.name: operation.inputs.get(item.name, item.default if item.always else None) for item in entry.fields
    }
    request: dict[str, Any] = {}
    merge(request, operation.filled(entry.create.args))
    merge(request, parameters((item for item in entry.fields if sent_at_create(item)), values))
    if entry.tags is not None:
        tagging.add_to_create(entry.tags, operation, request)
    return request


def sent_at_create(entry: Field) -> bool:
    """Tell whether the create call has a parameter for the property."""
    return entry.at_create and not entry.output and not entry.behaviour


def _finish(operation: Operation) -> None:
    """Do what the create call has no parameter for."""
    entry = operation.entry
    if entry.finish is not None:
        entry.finish(operation)
    late = (item for item in entry.fields if not (item.at_create or item.output or item.behaviour))
    changed = {
        item.name
        for item in late
        if not is_empty(operation.inputs.get(item.name, item.default if item.always else None))
    }
    _apply(operation, frozenset(changed))
    if entry.tags is not None and not entry.tags.create and operation.created_tags:
        tagging.change(entry.tags, operation, operation.created_tags)


def _pretend(operation: Operation) -> dict[str, Any]:
    """Answer for an emulator that cannot make the thing: what was asked, marked as simulated."""
    known = operation.entry.create.id_is_known
    operation.id = operation.known_id() if known else f"simulated-{uuid.uuid4().hex[:12]}"
    operation.simulated.add(EVERYTHING)
    return _known(operation)


def _known(operation: Operation) -> dict[str, Any]:
    """Give the outputs that follow from the inputs, and what is known of the rest from the last time or look."""
    fields = operation.entry.all_fields
    outputs = [item for item in fields if item.output]
    found = {item.name: operation.state.get(item.name) for item in outputs} | properties(outputs, operation.item)
    found |= {
        item.name: operation.inputs.get(item.name, item.default) for item in fields if not item.output and not item.made
    }
    found |= {item.name: operation.filled(item.made) for item in fields if item.made}
    if operation.entry.tags is not None:
        found |= {"tags": operation.inputs.get("tags"), "tagsAll": operation.wanted_tags}
    return {**found, "__simulated": sorted(operation.simulated)}


def update(operation: Operation, changed: Iterable[str]) -> dict[str, Any]:
    """Change the named top-level properties in place and give the outputs."""
    if EVERYTHING in operation.simulated:
        return _known(operation)
    names = frozenset(changed)
    served = {name for item in operation.entry.updates for name in item.fields}
    served |= {item.name for item in operation.entry.fields if item.behaviour}
    unserved = names - served - {"tags"}
    if unserved:
        raise ServiceError("update", "NotServed", f"{', '.join(sorted(unserved))} cannot be changed in place")
    operation.simulated -= names | {item.name for item in operation.entry.fields if item.behaviour}
    _apply(operation, names)
    if "tags" in names and operation.entry.tags is not None:
        tagging.change(operation.entry.tags, operation, operation.wanted_tags)
    return _settled(operation)


def _apply(operation: Operation, changed: frozenset[str]) -> None:
    for item in operation.entry.updates:
        touched = changed & set(item.fields)
        if not touched:
            continue
        try:
            if item.do is not None:
                item.do(operation, touched)
            else:
                operation.call(item.op, **update_request(operation, item, touched))
        except NotImplementedByEmulatorError:
            operation.simulated |= touched
        else:
            operation.simulated |= touched & FORGOTTEN.get(operation.entry.type, frozenset())


def update_request(operation: Operation, item: Update, touched: frozenset[str]) -> dict[str, Any]:
    """Give the parameters of an update: the changed fields (all of them for ``whole``)."""
    fields = {entry.name: entry for entry in operation.entry.fields}
    names = set(item.fields) if item.whole else touched
    chosen = [fields[name] for name in item.fields if name in names]
    if isinstance(item.fields, Mapping):
        paths = item.fields
        chosen = [replace(entry, api=paths[entry.name] or entry.request_path) for entry in chosen]
    request: dict[str, Any] = {}
    merge(request, operation.filled(item.args))
    merge(request, parameters(chosen, {entry.name: _to_send(operation, entry) for entry in chosen}))
    return request


def _to_send(operation: Operation, entry: Field) -> Any:
    value = operation.inputs.get(entry.name)
    if value is not None:
        return value
    if entry.computed:
        return operation.state.get(entry.name)
    if entry.default is not None:
        return entry.default
    if entry.unset is not None:
        return entry.unset
    if is_empty(operation.state.get(entry.name)):
        return None
    return {Kind.LIST: [], Kind.SET: [], Kind.BLOCKS: [], Kind.BLOCK_SET: [], Kind.MAP: {}}.get(entry.kind)


def read(operation: Operation) -> dict[str, Any] | None:
    """Give the outputs as they really are; None when the thing is gone."""
    if EVERYTHING in operation.simulated:
        return dict(operation.state)
    item = _item(operation)
    return None if item is None else _outputs(operation, item)


def _item(operation: Operation) -> Item | None:
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
            found = search(operation.filled(look.item), operation.call(look.op, **operation.filled(look.args)))
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


def _outputs(operation: Operation, item: Item) -> dict[str, Any]:
    entry = operation.entry
    operation.item = item
    found = properties(entry.all_fields, item)
    wanted = operation.inputs or operation.state
    _keep_simulated(operation, found, wanted)
    remember(entry.all_fields, found, wanted)
    found |= {one.name: operation.filled(one.made) for one in entry.all_fields if one.made}
    if entry.tags is not None:
        found |= tagging.shown(entry.tags, operation, item)
    if operation.simulated:
        found["__simulated"] = sorted(operation.simulated)
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
            if entry.unread or entry.behaviour:
                found[entry.name] = old
        elif entry.kind is Kind.BLOCK:
            remember(entry.fields, new, old)
        elif entry.kind in {Kind.BLOCKS, Kind.BLOCK_SET}:
            for index, element in enumerate(new):
                counterpart = _counterpart(entry, old, element, index)
                if counterpart is not None:
                    remember(entry.fields, element, counterpart)
        elif (entry.kind is Kind.JSON or entry.same is not None) and same(entry, new, old):
            found[entry.name] = old


def _counterpart(entry: Field, blocks: list[Any], element: Mapping[str, Any], index: int) -> Any:
    if entry.key:
        return next((one for one in blocks if one.get(entry.key) == element.get(entry.key)), None)
    return blocks[index] if index < len(blocks) else None


def _settled(operation: Operation) -> dict[str, Any]:
    """Wait until the thing is ready and give its outputs."""
    entry = operation.entry
    deadline, pause = time.monotonic() + operation.timeout, FIRST_PAUSE
    while True:
        try:
            item = _item(operation)
        except NotImplementedByEmulatorError:
            operation.simulated.add(EVERYTHING)
            return _known(operation)
        if item is not None:
            if entry.failed and search(entry.failed, item):
                raise ServiceError(entry.read[0].op, "Failed", f"{operation.id} ended in a failed state")
            if not entry.ready or search(entry.ready, item):
                return _outputs(operation, item)
        elif not entry.ready:
            raise ServiceError(entry.read[0].op or "read", "NotFound", f"{operation.id} is not there after the call")
        if time.monotonic() > deadline:
            raise ServiceError(
                entry.read[0].op, "Timeout", f"{operation.id} was not ready in {operation.timeout:.0f} s"
            )
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def delete(operation: Operation) -> bool:
    """Delete the thing; True when the emulator has no such operation. What is gone already is fine."""
    entry = operation.entry
    if EVERYTHING in operation.simulated:
        return True
    try:
        for call in entry.delete.before:
            _unless_gone(operation, call.op, operation.filled(call.args))
        if entry.delete.do is not None:
            entry.delete.do(operation)
        elif entry.delete.op:
            operation.call(entry.delete.op, **operation.filled(entry.delete.args))
    except NotImplementedByEmulatorError:
        return True
    except ServiceError as error:
        # Some services have one code for all that can be wrong with a request.
        if error.code not in entry.gone and read(operation) is not None:
            raise
    if entry.delete.wait:
        _await_gone(operation)
    return False


def _unless_gone(operation: Operation, op: str, arguments: dict[str, Any]) -> None:
    try:
        operation.call(op, **arguments)
    except ServiceError as error:
        if error.code not in operation.entry.gone:
            raise


def _await_gone(operation: Operation) -> None:
    deadline, pause = time.monotonic() + operation.timeout, FIRST_PAUSE
    while _item(operation) is not None:
        if time.monotonic() > deadline:
            raise ServiceError(operation.entry.delete.op, "Timeout", f"{operation.id} is still there")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def find(operation: Operation) -> dict[str, Any] | None:
    """Find what a killed create had made; sets ``operation.id`` and gives the outputs, None when there is nothing."""
    entry = operation.entry
    try:
        if entry.create.id_is_known:
            operation.id = operation.known_id()
        elif entry.find is not None and entry.find.do is not None:
            operation.id = entry.find.do(operation) or ""
        elif entry.find is not None:
            answer = operation.call(entry.find.op, **operation.filled(entry.find.args))
            operation.id = str(search(operation.filled(entry.find.id), answer) or "")
        found = read(operation) if operation.id else None
    except NotImplementedByEmulatorError:
        return None
    except ServiceError as error:
        if error.code in entry.gone:
            return None
        raise
    if found is None or not _ours(entry, operation):
        return None
    if entry.finish is not None:
        entry.finish(operation)
        return read(operation)
    return found


def _ours(entry: Resource, operation: Operation) -> bool:
    """Tell a thing of the same name that another operation made from ours; an untagged one is taken for ours."""
    if entry.tags is None:
        return True
    return tagging.raw(entry.tags, operation.item).get(OP_TAG, operation.token) == operation.token
