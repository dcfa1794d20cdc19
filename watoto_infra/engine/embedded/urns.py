"""URNs, made as Pulumi makes them: ``urn:pulumi:<stack>::<project>::<parents' types>$<type>::<name>``."""

from __future__ import annotations

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_TYPE_PREFIX = "pulumi:providers:"


def make_urn(stack: str, project: str, parent: str | None, type_: str, name: str) -> str:
    """Name a resource. The types of its parents qualify its own; the stack resource does not count as one."""
    qualified = type_
    if parent:
        parent_type = parent.split("::", 3)[2]
        if parent_type != STACK_TYPE:
            qualified = f"{parent_type}${type_}"
    return f"urn:pulumi:{stack}::{project}::{qualified}::{name}"


def name_of(urn: str) -> str:
    """Give the resource's own name (which may itself hold ``::``)."""
    return urn.split("::", 3)[3]


def type_of(urn: str) -> str:
    """Give the resource's type token, without those of its parents."""
    return urn.split("::", 3)[2].rpartition("$")[2]


def package_of(type_: str) -> str:
    """Give the package that serves a type: ``aws`` for ``aws:ec2/vpc:Vpc`` and for ``pulumi:providers:aws``."""
    if type_.startswith(PROVIDER_TYPE_PREFIX):
        return type_.removeprefix(PROVIDER_TYPE_PREFIX)
    return type_.partition(":")[0]


def default_provider_urn(stack: str, project: str, package: str, version: str) -> str:
    """Name the provider that Pulumi makes on its own for resources that name none."""
    name = f"default_{version.replace('.', '_').replace('-', '_').replace('+', '_')}" if version else "default"
    return make_urn(stack, project, None, f"{PROVIDER_TYPE_PREFIX}{package}", name)


def is_default_provider(urn: str) -> bool:
    """Tell whether a URN names a provider that the engine made on its own."""
    name = name_of(urn)
    return type_of(urn).startswith(PROVIDER_TYPE_PREFIX) and (name == "default" or name.startswith("default_"))
