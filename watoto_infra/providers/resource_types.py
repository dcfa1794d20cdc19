"""What is true of a resource type, asked by its token: its provider says it, whichever engine drives it.

The tables of a package are imported when one of its types is first asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from watoto_infra.settings.data_bearing import has_data_tag
from watoto_infra.values.contracts import Json


@dataclass(frozen=True)
class TypeFacts:
    """What a provider says of a type.

    ``acts_by_itself``: the cloud acts upon such a resource (scales, writes logs), and locally nobody does.
    ``kept_as_manifest``: no API server takes it locally; what its schema took is kept, and local servers do the work.
    ``may_bear_data`` takes the plain inputs of a resource.
    """

    acts_by_itself: bool = False
    kept_as_manifest: bool = False
    may_bear_data: Callable[[Mapping[str, Json]], bool] = lambda _: False


def facts_of(type_token: str) -> TypeFacts:
    """Give the facts of a type. A type that no provider serves has the default facts."""
    ask = _PACKAGES.get(type_token.partition(":")[0])
    return ask(type_token) if ask is not None else TypeFacts()


def is_data_bearing(type_token: str, inputs: Mapping[str, Json]) -> bool:
    """Tell whether losing the resource loses data: it can by its type, and its tag says that it does."""
    return has_data_tag(inputs) and facts_of(type_token).may_bear_data(inputs)


def _aws(type_token: str) -> TypeFacts:
    from watoto_infra.providers.aws.registry import RESOURCES  # noqa: PLC0415 - all tables

    entry = RESOURCES.get(type_token)
    if entry is None:
        return TypeFacts()
    return TypeFacts(acts_by_itself=entry.acts_by_itself, may_bear_data=entry.may_bear_data)


def _kubernetes(type_token: str) -> TypeFacts:
    from watoto_infra.providers.kubernetes import kinds  # noqa: PLC0415

    kind = kinds.find(type_token)
    return TypeFacts(acts_by_itself=kind is not None and kind.acts_by_itself, kept_as_manifest=True)


_PACKAGES: Mapping[str, Callable[[str], TypeFacts]] = {"aws": _aws, "kubernetes": _kubernetes}
