"""Differences between property values, as the contract shows them: masked, with Pulumi's paths and kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pulumi.provider.experimental.property_value import Computed, PropertyValue

from watoto_infra.engine.embedded import paths
from watoto_infra.engine.embedded.state.model import Properties, ResourceState
from watoto_infra.engine.embedded.state.values import plain
from watoto_infra.providers.base import DiffResponse, PropertyDiffKind
from watoto_infra.values.contracts import Change, ChangeKind

_KINDS = {
    PropertyDiffKind.ADD: ChangeKind.ADD,
    PropertyDiffKind.ADD_REPLACE: ChangeKind.ADD_REPLACE,
    PropertyDiffKind.DELETE: ChangeKind.DELETE,
    PropertyDiffKind.DELETE_REPLACE: ChangeKind.DELETE_REPLACE,
    PropertyDiffKind.UPDATE: ChangeKind.UPDATE,
    PropertyDiffKind.UPDATE_REPLACE: ChangeKind.UPDATE_REPLACE,
}
_REPLACING = {
    ChangeKind.ADD: ChangeKind.ADD_REPLACE,
    ChangeKind.DELETE: ChangeKind.DELETE_REPLACE,
    ChangeKind.UPDATE: ChangeKind.UPDATE_REPLACE,
}


def compare(old: Properties, new: Properties, *, by_name: bool = False) -> tuple[Change, ...]:
    """List the differences, in order of path; an unknown new value counts as different.

    ``by_name``: the elements of two lists are paired by their names, where they have names, whatever their order.
    """
    changes = _compare(PropertyValue(dict(old)), PropertyValue(dict(new)), (), secret=False, by_name=by_name)
    return tuple(sorted(changes, key=lambda change: change.path))


def from_provider(
    response: DiffResponse, old_inputs: Properties, old_outputs: Properties, new_inputs: Properties
) -> tuple[Change, ...]:
    """Turn a provider's answer into changes; where it gives no details the inputs are compared.

    Raises ``ValueError`` where the provider names something that is no property path.
    """
    if response.changes is False:
        return ()
    if not response.detailed_diff:
        return mark_replacing(compare(old_inputs, new_inputs), response.replaces)
    changes = []
    for text, detail in response.detailed_diff.items():
        path = paths.parse(text)
        there = paths.by_name(path, old_inputs if paths.lookup(new_inputs, path) is None else new_inputs)
        before = paths.lookup(old_inputs if detail.input_diff else old_outputs, there)
        after = paths.lookup(new_inputs, path)
        changes.append(_change(path, _KINDS[detail.kind], before, after))
    return mark_replacing(tuple(sorted(changes, key=lambda change: change.path)), response.replaces)


def mark_replacing(changes: Iterable[Change], patterns: Iterable[str]) -> tuple[Change, ...]:
    """Mark the changes that one of the patterns (property paths) covers as forcing a replacement.

    Raises ``ValueError`` for a pattern that is no property path.
    """
    parsed = [paths.parse(pattern) for pattern in patterns]
    return tuple(
        replace(change, kind=_REPLACING.get(change.kind, change.kind))
        if any(paths.covers(pattern, paths.parse(change.path)) for pattern in parsed)
        else change
        for change in changes
    )


def has_unknowns(value: PropertyValue) -> bool:
    """Tell whether anything inside is known only after an operation."""
    held = value.value
    if isinstance(held, Computed):
        return True
    if isinstance(held, Mapping):
        return any(has_unknowns(item) for item in held.values())
    return isinstance(held, Sequence) and not isinstance(held, str) and any(has_unknowns(item) for item in held)


def with_unknowns(properties: Properties, names: Iterable[str]) -> dict[str, PropertyValue]:
    """Give the properties with those in ``names`` replaced by unknown values."""
    return {**properties, **{name: PropertyValue.computed() for name in names}}


def copy_secret_marks(template: PropertyValue | None, value: PropertyValue) -> PropertyValue:
    """Mark as secret in ``value`` the parts that are secret at the same path in ``template``.

    A service answers in clear what it was given as a secret; Pulumi marks such outputs in the same way. Where a
    provider marks a whole value that is secret in parts only, the parts count: each further read gives the same marks.
    """
    if template is None or not template.contains_secret():
        return value
    held, old = value.value, template.value
    whole = template.is_secret or (value.is_secret and not _has_paths_of(template, value))
    if isinstance(held, Mapping) and isinstance(old, Mapping):
        properties = {key: copy_secret_marks(old.get(key), item) for key, item in held.items()}
        return value.with_value(properties).with_secret(whole)
    if isinstance(held, tuple) and isinstance(old, tuple) and len(held) == len(old):
        items = [copy_secret_marks(was, item) for was, item in zip(old, held, strict=True)]
        return value.with_value(items).with_secret(whole)
    return value.with_secret(True)  # its shape changed, so which part was the secret cannot be told


def _has_paths_of(template: PropertyValue, value: PropertyValue) -> bool:
    """Tell whether ``template`` has every path of ``value``, so that its marks speak of the whole of it."""
    held, old = value.value, template.value
    if isinstance(held, Mapping):
        return isinstance(old, Mapping) and all(
            key in old and _has_paths_of(old[key], item) for key, item in held.items()
        )
    if isinstance(held, tuple):
        return isinstance(old, tuple) and len(old) == len(held) and all(map(_has_paths_of, old, held))
    return not isinstance(old, Mapping | tuple)


def mark_secrets(properties: Properties, template: Properties, names: Iterable[str] = ()) -> dict[str, PropertyValue]:
    """Mark the properties in ``names`` as secret, and those parts of the others that are secret in ``template``."""
    named = set(names)
    return {
        key: value.with_secret(True) if key in named else copy_secret_marks(template.get(key), value)
        for key, value in properties.items()
    }


def as_read(state: ResourceState, inputs: Properties) -> ResourceState:
    """Give the state with what was read of its inputs, and with nothing where that is what was declared."""
    read = mark_secrets(inputs, state.inputs)
    return replace(state, read_inputs=read if compare(state.inputs, read) else None)


def shown_by_name(changes: Iterable[Change], old: Properties, new: Properties) -> tuple[Change, ...]:
    """Give the changes with the elements of lists told by their names, as people are shown them."""

    def path(change: Change) -> str:
        keys = paths.parse(change.path)
        return paths.write(paths.by_name(keys, old if paths.lookup(new, keys) is None else new))

    return tuple(replace(change, path=path(change)) for change in changes)


def _compare(
    old: PropertyValue | None, new: PropertyValue | None, path: paths.Path, *, secret: bool, by_name: bool
) -> Iterator[Change]:
    if old is None or new is None:
        if old is not new:
            yield _change(path, ChangeKind.ADD if old is None else ChangeKind.DELETE, old, new, secret=secret)
        return
    secret = secret or old.is_secret or new.is_secret
    before, after = old.value, new.value
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _compare(before.get(key), after.get(key), (*path, key), secret=secret, by_name=by_name)
    elif isinstance(before, tuple) and isinstance(after, tuple):
        for element, was, becomes in _paired(before, after, by_name=by_name):
            yield from _compare(was, becomes, (*path, element), secret=secret, by_name=by_name)
    elif isinstance(after, Computed) or before != after or old.is_secret != new.is_secret:
        yield _change(path, ChangeKind.UPDATE, old, new, secret=secret)


def _paired(
    before: Sequence[PropertyValue], after: Sequence[PropertyValue], *, by_name: bool
) -> Iterator[tuple[paths.Key, PropertyValue | None, PropertyValue | None]]:
    """Pair the elements of two lists: by their names if asked and both lists have names, else by their places."""
    names = [paths.element_names(elements) for elements in (before, after)] if by_name else [None, None]
    if names[0] is not None and names[1] is not None:
        olds, news = dict(zip(names[0], before, strict=True)), dict(zip(names[1], after, strict=True))
        yield from ((name, olds.get(name), news.get(name)) for name in sorted({*olds, *news}))
        return
    for index in range(max(len(before), len(after))):
        was = before[index] if index < len(before) else None
        yield index, was, after[index] if index < len(after) else None


def _change(
    path: paths.Path, kind: ChangeKind, old: PropertyValue | None, new: PropertyValue | None, *, secret: bool = False
) -> Change:
    def shown(value: PropertyValue | None) -> object:
        return None if value is None else plain(value.with_secret(value.is_secret or secret))

    return Change(paths.write(path), kind, shown(old), shown(new))
