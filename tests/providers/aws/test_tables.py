"""The tables themselves: names that exist in pulumi_aws, operations that exist in boto3, and what moto lacks."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin

import botocore.session
import pytest
from botocore import xform_name
from pulumi import _types

from watoto_infra.providers.aws import tables
from watoto_infra.providers.aws.emulator import NOT_IMPLEMENTED
from watoto_infra.providers.aws.fields import BLOCK_KINDS, Field, FieldOptions, Kind
from watoto_infra.providers.aws.registry import RESOURCES, discover
from watoto_infra.providers.aws.table import Resource

ENTRIES = list(RESOURCES.values())
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.type.removeprefix("aws:"))

CALL = re.compile(r'operation\.call\(\s*"(\w+)"')


@cache
def package_class(token: str) -> Any:
    """Give the pulumi_aws class of a type token."""
    _, module, name = token.split(":")
    return getattr(importlib.import_module(f"pulumi_aws.{module.split('/')[0]}"), name)


def named_operations(entry: Resource) -> Iterator[str]:
    calls: list[Any] = [entry.create, *entry.read, *entry.updates, entry.delete, *entry.delete.before]
    calls += [entry.tags.put, entry.tags.remove] if entry.tags else []
    calls += [entry.find] if entry.find else []
    calls += [*entry.dependents, *(entry.recovery_window.undo if entry.recovery_window else ())]
    yield from (call.op for call in calls if call.op)


def operations_by_service() -> set[tuple[str, str]]:
    """Give every (service, boto3 method) that the tables call, those in functions included."""
    found = {(entry.service, op) for entry in ENTRIES for op in named_operations(entry)}
    for module in pkgutil.iter_modules(tables.__path__):
        loaded = importlib.import_module(f"{tables.__name__}.{module.name}")
        services = {entry.service for entry in getattr(loaded, "RESOURCES", ())}
        source = (loaded.__spec__ and loaded.__spec__.loader.get_source(loaded.__name__)) or ""  # type: ignore[union-attr]
        if len(services) == 1:
            found |= {(next(iter(services)), op) for op in CALL.findall(source)}
    return found


SCALARS = {Kind.STRING: str, Kind.JSON: str, Kind.INT: int, Kind.NUMBER: float, Kind.BOOL: bool}


def misfits(fields: tuple[Field, ...], declared: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Give the paths of the properties that the official provider does not have, or not of this kind."""
    for field in fields:
        where = f"{path}{field.name}"
        if field.name not in declared:
            yield f"{where} does not exist"
            continue
        kind = _types.unwrap_optional_type(declared[field.name])
        many = get_origin(kind) is Sequence
        one = get_args(kind)[0] if many else kind
        if field.kind in BLOCK_KINDS:
            if many != (field.kind is not Kind.BLOCK) or not _types.is_output_type(one):
                yield f"{where} is {kind}"
            else:
                yield from misfits(field.fields, _types.output_type_types(one), f"{where}.")
        elif field.kind in SCALARS:
            if kind is not SCALARS[field.kind]:
                yield f"{where} is {kind}"
        elif (field.kind is Kind.MAP and get_origin(kind) is not Mapping) or (field.kind is not Kind.MAP and not many):
            yield f"{where} is {kind}"


@every_entry
def test_every_property_is_one_of_the_official_provider(entry: Resource) -> None:
    declared = _types.resource_types(package_class(entry.type))
    assert list(misfits(entry.all_fields, declared)) == []
    assert (entry.tags is None) or "tagsAll" in declared


@every_entry
def test_every_input_can_be_changed_or_needs_a_new_thing(entry: Resource) -> None:
    served = {name for update in entry.updates for name in update.fields}
    stuck = {
        name
        for name, field in entry.inputs.items()
        if not (field.replaces or field.behaviour or name in served or field.computed_from == "{region}")
    }
    assert stuck == set()
    assert served <= set(entry.inputs)


@every_entry
def test_every_property_that_create_does_not_take_is_served_by_an_update(entry: Resource) -> None:
    served = {name for update in entry.updates for name in update.fields}
    late = {field.name for field in entry.fields if not (field.at_create or field.output or field.behaviour)}
    assert late <= served


@every_entry
def test_every_type_can_be_found_after_a_kill(entry: Resource) -> None:
    assert entry.find is not None or entry.create.id_is_known


def nested(fields: tuple[Field, ...]) -> Iterator[Field]:
    for field in fields:
        yield field
        yield from nested(field.fields)


@every_entry
def test_only_blocks_have_properties_of_their_own(entry: Resource) -> None:
    for field in nested(entry.fields):
        assert (bool(field.fields) or field.is_marker) == (field.kind in BLOCK_KINDS), field.name


@cache
def methods(service: str) -> set[str]:
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name) for name in model.operation_names}


def test_every_call_is_an_operation_of_its_service() -> None:
    unknown = {(service, op) for service, op in operations_by_service() if op not in methods(service)}
    assert unknown == set()


def test_the_list_of_what_the_emulator_lacks_is_exact() -> None:
    used = operations_by_service()
    lacking = {(service, op) for service, op in used if not implemented(service, op)}
    assert lacking == {pair for pair in NOT_IMPLEMENTED if pair in used}
    assert not {pair for pair in NOT_IMPLEMENTED if implemented(*pair)}


BY_URL = {"s3", "cloudfront"}
"""Services whose moto code is not organised by the names of operations; the contract suite calls them for real."""


@cache
def responses(service: str) -> list[type]:
    """Give moto's classes that answer a service: a method for each operation that there is."""
    module = importlib.import_module(f"moto.{service}.responses")
    return [
        item
        for item in vars(module).values()
        if isinstance(item, type) and item.__module__.startswith(f"moto.{service}") and hasattr(item, "dispatch")
    ]


def implemented(service: str, op: str) -> bool:
    if service in BY_URL:
        return True
    # moto and boto3 break names with capitals (ListWebACLs) at different places.
    names = {name.replace("_", "") for one in responses(service) for name in vars(one)}
    return op.replace("_", "") in names


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Give an empty package for tables of a test's own."""
    (tmp_path / "own_tables").mkdir()
    (tmp_path / "own_tables" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("own_tables")
    for name in [name for name in sys.modules if name.partition(".")[0] == "own_tables"]:
        del sys.modules[name]


def add_table(package: ModuleType, name: str, *types: str) -> None:
    entries = ", ".join(f'SimpleNamespace(type="{type_}")' for type_ in types)
    text = f"from types import SimpleNamespace\n\nRESOURCES = [{entries}]\n"
    Path(package.__path__[0], f"{name}.py").write_text(text)


def test_a_new_table_file_is_found_by_being_there(package: ModuleType) -> None:
    add_table(package, "queues", "aws:sqs/queue:Queue")
    add_table(package, "topics", "aws:sns/topic:Topic", "aws:sns/topicPolicy:TopicPolicy")
    assert list(discover(package)) == ["aws:sqs/queue:Queue", "aws:sns/topic:Topic", "aws:sns/topicPolicy:TopicPolicy"]


def test_a_type_that_two_tables_give_is_refused_by_name(package: ModuleType) -> None:
    add_table(package, "queues", "aws:sqs/queue:Queue")
    add_table(package, "topics", "aws:sqs/queue:Queue")
    with pytest.raises(ValueError, match="aws:sqs/queue:Queue is in two tables: queues and topics"):
        discover(package)


def test_the_constructors_take_every_option_of_a_property_that_they_do_not_set_themselves() -> None:
    set_by_name = {"name", "kind", "api", "fields", "output"}
    assert set(FieldOptions.__annotations__) == {one.name for one in dataclasses.fields(Field)} - set_by_name
