"""Create, read, update, delete and find a resource by its table entry."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from watoto_infra.providers.aws import tagging
from watoto_infra.providers.aws.clients import NotImplementedByEmulatorError, ServiceError
from watoto_infra.providers.aws.compare import differences, is_empty
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.reading import EVERYTHING, outputs, read, read_item
from watoto_infra.providers.aws.requests import create_request, sent_at_create, update_request
from watoto_infra.providers.aws.shape import properties, search
from watoto_infra.providers.aws.table import OP_TAG, Item, Resource


class IncompleteError(Exception):
    """The thing was made, but not all that should follow. ``outputs`` is what is known of it."""

    def __init__(self, cause: ServiceError, outputs: dict[str, Any]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.outputs = outputs


def create(operation: Operation) -> dict[str, Any]:
    """Make the thing and give its outputs; ``operation.id`` is set as soon as the service has answered.

    Where its name is held by a thing of ours whose deletion is not final yet, that is taken back and changed to what is
    asked for.
    """
    if is_pending_deletion(operation):
        return _take_back(operation)
    try:
        operation.id = _make(operation)
    except NotImplementedByEmulatorError:
        return _pretend(operation)
    operation.unfinished = operation.entry.finish is not None
    try:
        _finish(operation)
        return _settled(operation)
    except ServiceError as error:
        raise IncompleteError(error, _as_far_as_it_got(operation)) from error


def is_pending_deletion(operation: Operation) -> bool:
    """Tell whether a thing whose deletion is not final holds the name; if so ``id`` and ``item`` are that thing's."""
    entry, window = operation.entry, operation.entry.recovery_window
    if window is None or not window.blocks or entry.find is None:
        return False
    try:
        operation.id = _found_id(operation)
        there = bool(operation.id) and read(operation) is None and bool(search(entry.gone_when, operation.item))
    except ServiceError as error:
        if error.code not in entry.gone:
            raise
        there = False
    if not there:
        operation.id, operation.item = "", {}
    return there


def _take_back(operation: Operation) -> dict[str, Any]:
    entry, window = operation.entry, operation.entry.recovery_window
    assert window is not None
    assert entry.tags is not None
    if not has_our_tags(operation):
        reason = f"{operation.id} holds the name and has not this stack's tags; {rescue(operation)}"
        raise ServiceError(entry.create.op, "PendingDeletion", reason, refused=True)
    for call in window.undo:
        operation.run(call)
    try:
        operation.state = read(operation) or {}
        tagging.change(entry.tags, operation, operation.created_tags)
        _apply(
            operation,
            frozenset(item.field for item in differences(entry.all_fields, operation.state, operation.inputs)),
        )
        return _settled(operation)
    except ServiceError as error:
        raise IncompleteError(error, _as_far_as_it_got(operation)) from error


def has_our_tags(operation: Operation) -> bool:
    """Tell whether what was read has all the tags that we would give it."""
    entry, wanted = operation.entry, operation.desired_tags
    return entry.tags is not None and bool(wanted) and wanted.items() <= tagging.raw(entry.tags, operation.item).items()


def _as_far_as_it_got(operation: Operation) -> dict[str, Any]:
    """Read an unfinished resource, so that the next comparison shows the missing parts."""
    so_far = {**operation.inputs, "__unfinished": True} if operation.unfinished else dict(operation.inputs)
    try:
        return read(operation) or so_far
    except ServiceError:
        return so_far


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


def _finish(operation: Operation) -> None:
    """Do what the create call has no parameter for."""
    entry = operation.entry
    _undo_defaults(operation)
    late = (item for item in entry.fields if not (item.at_create or item.output or item.behaviour))
    changed = {
        item.name
        for item in late
        if not is_empty(operation.inputs.get(item.name, item.default if item.always else None))
    }
    _apply(operation, frozenset(changed))
    if entry.tags is not None and not entry.tags.create and operation.created_tags:
        tagging.change(entry.tags, operation, operation.created_tags)


def _undo_defaults(operation: Operation) -> None:
    """Take away or change what AWS added on its own, unless that was done."""
    if operation.unfinished and operation.entry.finish is not None:
        operation.entry.finish(operation)
    operation.unfinished = False


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
        item.name: operation.inputs.get(item.name, item.default)
        for item in fields
        if not item.output and not item.computed_from
    }
    found |= {item.name: operation.fill(item.computed_from) for item in fields if item.computed_from}
    if operation.entry.tags is not None:
        found |= {"tags": operation.inputs.get("tags"), "tagsAll": operation.desired_tags}
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
    _undo_defaults(operation)
    operation.simulated -= names | {item.name for item in operation.entry.fields if item.behaviour}
    _apply(operation, names)
    if "tags" in names and operation.entry.tags is not None:
        tagging.change(operation.entry.tags, operation, operation.desired_tags)
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
            operation.simulated |= touched & operation.entry.emulator_forgets


def _settled(operation: Operation) -> dict[str, Any]:
    """Wait until the thing is ready and give its outputs."""
    call = operation.entry.read[0].op or "read"
    try:
        return outputs(operation, operation.wait_for(lambda: _ready(operation, call), call, "is not ready"))
    except NotImplementedByEmulatorError:
        operation.simulated.add(EVERYTHING)
        return _known(operation)


def _ready(operation: Operation, call: str) -> Item | None:
    """Read once; None when it is worth reading again."""
    entry = operation.entry
    item = read_item(operation)
    if item is None:
        if not entry.ready:
            raise ServiceError(call, "NotFound", f"{operation.id} is not there after the call")
        return None
    if entry.failed and search(entry.failed, item):
        raise ServiceError(call, "Failed", f"{operation.id} ended in a failed state")
    return item if not entry.ready or search(entry.ready, item) else None


def delete(operation: Operation) -> bool:
    """Delete the thing; True when the emulator has no such operation. What is gone already is fine."""
    entry = operation.entry
    if EVERYTHING in operation.simulated:
        return True
    try:
        for call in entry.delete.before:
            _unless_gone(operation, call.op, operation.fill(call.args))
        if entry.delete.do is not None:
            entry.delete.do(operation)
        elif entry.delete.op:
            operation.call(entry.delete.op, **operation.fill(entry.delete.args))
    except NotImplementedByEmulatorError:
        return True
    except ServiceError as error:
        # Some services have one code for all that can be wrong with a request.
        if error.code not in entry.gone and read(operation) is not None:
            raise
    if entry.delete.wait:
        operation.wait_for(lambda: read_item(operation) is None or None, entry.delete.op, "is still there")
    return False


def _unless_gone(operation: Operation, op: str, arguments: dict[str, Any]) -> None:
    try:
        operation.call(op, **arguments)
    except ServiceError as error:
        if error.code not in operation.entry.gone:
            raise


def rescue(operation: Operation) -> str:
    """Say how a thing that was just read as gone can be had back; "" where its deletion is final."""
    entry, window = operation.entry, operation.entry.recovery_window
    if window is None or not (entry.gone_when and search(entry.gone_when, operation.item)):
        return ""
    commands = " && ".join(str(operation.fill(command)) for command in window.commands)
    return f"its deletion is not final yet: `{commands}` takes it back"


def find(operation: Operation) -> dict[str, Any] | None:
    """Find what a killed create had made; sets ``operation.id`` and gives the outputs, None when there is nothing."""
    entry = operation.entry
    try:
        operation.id = operation.known_id() if entry.create.id_is_known else _found_id(operation)
        found = read(operation) if operation.id else None
    except NotImplementedByEmulatorError:
        return None
    except ServiceError as error:
        if error.code in entry.gone:
            return None
        raise
    if found is None or not _ours(entry, found, operation):
        return None
    if entry.finish is not None:
        entry.finish(operation)
        return read(operation)
    return found


def _found_id(operation: Operation) -> str:
    """Give the id of what the entry's ``find`` finds, "" when there is nothing."""
    find = operation.entry.find
    if find is None:
        return operation.id
    if find.do is not None:
        return find.do(operation) or ""
    return str(search(operation.fill(find.id), operation.call(find.op, **operation.fill(find.args))) or "")


def _ours(entry: Resource, found: dict[str, Any], operation: Operation) -> bool:
    """Tell a thing that our operation made from one of the same name that somebody else made.

    Ours has the operation's token or all the tags that we would give it; where the service takes no tags at the create,
    and there are none, it is just as the create asked for it.
    """
    if entry.tags is not None:
        tags = tagging.raw(entry.tags, operation.item)
        if OP_TAG in tags and not _may_be_taken_back(entry):
            return tags[OP_TAG] == operation.token
        if has_our_tags(operation):
            return True
        if tags or entry.tags.create:
            return False
    return not differences([item for item in entry.fields if sent_at_create(item)], found, operation.inputs)


def _may_be_taken_back(entry: Resource) -> bool:
    """Tell whether a thing with an earlier operation's token may be ours: its deletion was taken back."""
    return entry.recovery_window is not None and bool(entry.recovery_window.blocks)
