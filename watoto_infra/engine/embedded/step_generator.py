"""Generates the step that one registration needs: same, create, update or replace. Touches nothing.

The rules are Pulumi's: the provider checks the inputs (with the old inputs at hand, so that automatic names stay), then
compares them with the old state. A replacement gets its inputs checked anew, without the old inputs, so that its
automatic name differs from that of the resource it replaces.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace

from watoto_infra.engine.embedded import diff, paths
from watoto_infra.engine.embedded.goal import AliasSpec, Goal
from watoto_infra.engine.embedded.provider_pool import call_provider
from watoto_infra.engine.embedded.state.model import Properties, ResourceState
from watoto_infra.engine.embedded.urns import PROVIDER_TYPE_PREFIX, is_default_provider, make_urn, name_of
from watoto_infra.errors import InvalidInputs
from watoto_infra.providers.base import (
    CheckRequest,
    CheckResponse,
    DiffRequest,
    DiffResponse,
    PropertyDiffKind,
    Provider,
)
from watoto_infra.values.contracts import UNKNOWN_MARK, Change, Op

SEED_BYTES = 32
_REPLACING = {PropertyDiffKind.ADD_REPLACE, PropertyDiffKind.DELETE_REPLACE, PropertyDiffKind.UPDATE_REPLACE}


@dataclass(frozen=True)
class PlannedStep:
    """What is to be done for one registration, with all that the operation needs.

    ``new`` is the resource as it will be; id and outputs are missing where only the operation can tell them.
    ``may_replace``: only an unknown input forces the replacement, so the run itself may find that there is none.
    """

    op: Op
    goal: Goal
    new: ResourceState
    old: ResourceState | None = None
    changes: tuple[Change, ...] = ()
    delete_before_replace: bool = False
    may_replace: bool = False
    provider: Provider | None = None

    @property
    def urn(self) -> str:
        return self.new.urn


@dataclass(frozen=True)
class StepGenerator:
    """Generates the steps of one stack. ``seeds`` keeps random seeds by URN, so a run makes the names it previewed."""

    stack: str
    project: str
    seeds: MutableMapping[str, bytes]

    def alias_urns(self, goal: Goal, former_parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Give every former URN of a resource: its own aliases, and those that follow from its parent's.

        ``former_parents`` holds the former URNs of the resources registered so far, by their present URN.
        """
        former = former_parents.get(goal.parent or "", ())
        parents = [(goal.parent, goal.name), *((urn, _inherited_name(goal, urn)) for urn in former)]
        specs: list[str | AliasSpec] = [AliasSpec(), *goal.aliases]
        urns: dict[str, None] = {}
        for parent, name in parents:
            for alias in specs:
                urns[alias if isinstance(alias, str) else self._alias_urn(alias, goal, parent, name)] = None
        urns.pop(make_urn(self.stack, self.project, goal.parent, goal.type, goal.name), None)
        return tuple(urns)

    def _alias_urn(self, alias: AliasSpec, goal: Goal, parent: str | None, name: str) -> str:
        return make_urn(
            alias.stack or self.stack,
            alias.project or self.project,
            None if alias.no_parent else alias.parent or parent,
            alias.type or goal.type,
            alias.name or name,
        )

    def generate(
        self, goal: Goal, urn: str, old: ResourceState | None, provider: Provider | None, *, deleted: bool = False
    ) -> PlannedStep:
        """Generate the step of one registration.

        ``deleted``: this run deleted the old resource before a replacement that it depends on. Raises
        ``InvalidInputs`` for inputs that the provider refuses and for options that are no property paths, and whatever
        else the provider raises.
        """
        inputs: Properties = goal.inputs
        ignored = _paths(goal, urn, "ignore_changes", goal.ignore_changes)
        _paths(goal, urn, "replace_on_changes", goal.replace_on_changes)
        if old is not None:
            for path in ignored:
                inputs = paths.reset(old.present_inputs, inputs, path)
        if provider is not None:
            inputs = self._check(goal, urn, provider, old.inputs if old is not None else {}, inputs)
        new = _new_state(goal, urn, inputs, old)
        if old is None or (old.pending_replacement and not deleted):
            return PlannedStep(Op.CREATE, goal, new, old, provider=provider)
        if provider is None:
            changes = diff.compare(old.inputs, inputs)
            new = replace(new, id=old.id, outputs=old.outputs)
            return PlannedStep(Op.UPDATE if changes else Op.SAME, goal, new, old, changes)
        response = self._diff(goal, urn, provider, old, inputs)
        if deleted:
            changes = diff.from_provider(response, old.present_inputs, old.outputs, inputs)
            return PlannedStep(Op.REPLACE, goal, new, old, changes, provider=provider)
        return self._from_diff(PlannedStep(Op.SAME, goal, new, old, provider=provider), response, old)

    def _from_diff(self, planned: PlannedStep, response: DiffResponse, old: ResourceState) -> PlannedStep:
        """Complete a step by the provider's comparison of old state and new inputs."""
        goal, inputs = planned.goal, planned.new.inputs
        changes = diff.from_provider(response, old.present_inputs, old.outputs, inputs)
        changes = diff.mark_replacing(changes, goal.replace_on_changes)
        forcing = [change for change in changes if change.kind.replaces]
        other_provider = _provider_changed(old.provider, goal.provider)
        if forcing or response.replaces or other_provider:
            assert planned.provider is not None
            fresh = self._check(goal, f"{planned.urn}#{old.id}", planned.provider, {}, dict(goal.inputs))
            only_unknown = bool(forcing) and all(_is_unknown(change.after) for change in forcing)
            asked = goal.delete_before_replace
            return replace(
                planned,
                op=Op.REPLACE,
                new=replace(planned.new, inputs=fresh),
                changes=changes,
                delete_before_replace=response.delete_before_replace if asked is None else asked,
                may_replace=only_unknown and not other_provider,
            )
        new = replace(planned.new, id=old.id, outputs=old.outputs, simulated=old.simulated)
        op = Op.UPDATE if changes or response.changes or old.init_errors else Op.SAME
        return replace(planned, op=op, new=new, changes=changes)

    def _check(self, goal: Goal, seed: str, provider: Provider, old: Properties, new: Properties) -> Properties:
        urn = seed.partition("#")[0]
        request = CheckRequest(urn, dict(old), dict(new), self.seeds.setdefault(seed, os.urandom(SEED_BYTES)))
        check = provider.check_config if goal.type.startswith(PROVIDER_TYPE_PREFIX) else provider.check
        response: CheckResponse = call_provider(check(request), operation="check", urn=urn)
        if response.failures:
            reasons = "; ".join(f"{failure.property}: {failure.reason}" for failure in response.failures)
            where = f" (declared at {goal.source_position})" if goal.source_position else ""
            raise InvalidInputs(f"{urn} is not valid{where}: {reasons}", hint="nothing was done for this resource")
        checked = dict(new) if response.inputs is None else response.inputs
        return diff.mark_secrets(checked, goal.inputs)

    def _diff(self, goal: Goal, urn: str, provider: Provider, old: ResourceState, inputs: Properties) -> DiffResponse:
        if goal.type.startswith(PROVIDER_TYPE_PREFIX):
            return DiffResponse(changes=bool(diff.compare(old.inputs, inputs)))
        request = DiffRequest(urn, old.id or "", dict(old.outputs), dict(inputs), list(goal.ignore_changes))
        response: DiffResponse = call_provider(provider.diff(request), operation="diff", urn=urn)
        if response.changes is None and not response.detailed_diff:
            response.changes = bool(diff.compare(old.present_inputs, inputs))
        return response


def paths_to_nowhere(planned: PlannedStep) -> list[str]:
    """Give the paths that ``ignore_changes`` names and that neither the declaration nor the resource has."""
    old = planned.old
    if old is None:
        return []
    known = (planned.goal.inputs, old.present_inputs, old.outputs)
    return [
        text
        for text in planned.goal.ignore_changes
        if not any(paths.leads_somewhere(properties, paths.parse(text)) for properties in known)
    ]


def _paths(goal: Goal, urn: str, option: str, texts: Sequence[str]) -> list[paths.Path]:
    """Read an option's property paths. Raises ``InvalidInputs`` naming the resource and the text that is none."""
    try:
        return [paths.parse(text) for text in texts]
    except ValueError as error:
        where = f" (declared at {goal.source_position})" if goal.source_position else ""
        hint = "write it as in `tags.Name` or `rules[*].port`"
        raise InvalidInputs(f"{urn}: {option}: {error}{where}", hint=hint) from error


def dependent_replacements(
    first: ResourceState,
    olds: Mapping[str, ResourceState],
    compare: Callable[[ResourceState, Properties], DiffResponse],
) -> list[ResourceState]:
    """Give the resources that must be deleted before ``first`` is, where ``first`` is deleted before it is replaced.

    As in Pulumi: a dependent is replaced with it when making the properties that refer to it unknown would force a
    replacement (``compare`` asks its provider). Dependents come after the resources they depend on. Raises whatever
    ``compare`` raises.
    """
    replaced = {first.urn: first}
    for state in olds.values():
        if state.urn in replaced or not state.custom or state.pending_replacement:
            continue
        unknown = [key for key, urns in state.property_dependencies.items() if any(urn in replaced for urn in urns)]
        if state.provider_urn in replaced:
            replaced[state.urn] = state
        elif unknown:
            response = compare(state, diff.with_unknowns(state.present_inputs, unknown))
            if response.replaces or any(detail.kind in _REPLACING for detail in response.detailed_diff.values()):
                replaced[state.urn] = state
    del replaced[first.urn]
    return list(replaced.values())


def _new_state(goal: Goal, urn: str, inputs: Properties, old: ResourceState | None) -> ResourceState:
    return ResourceState(
        urn=urn,
        type=goal.type,
        custom=goal.custom,
        inputs=inputs,
        parent=goal.parent,
        protect=goal.protect,
        dependencies=goal.dependencies,
        provider=goal.provider,
        property_dependencies=goal.property_dependencies,
        additional_secret_outputs=goal.additional_secret_outputs,
        custom_timeouts=goal.custom_timeouts,
        retain_on_delete=goal.retain_on_delete,
        deleted_with=goal.deleted_with,
        created=old.created if old is not None else None,
        modified=old.modified if old is not None else None,
        ignore_changes=goal.ignore_changes,
        replace_on_changes=goal.replace_on_changes,
    )


def _provider_changed(old: str | None, new: str | None) -> bool:
    """Tell whether a resource has another provider. Another default provider (a new version) does not count."""
    before, after = (old or "").rpartition("::")[0], (new or "").rpartition("::")[0]
    return bool(before) and before != after and not (is_default_provider(before) and is_default_provider(after))


def _inherited_name(goal: Goal, former_parent: str) -> str:
    """Pulumi's rule: a child named after its parent (``web-lb`` of ``web``) was named after the former parent too."""
    parent_name = name_of(goal.parent) if goal.parent else ""
    if parent_name and goal.name.startswith(parent_name):
        return name_of(former_parent) + goal.name.removeprefix(parent_name)
    return goal.name


def _is_unknown(shown: object) -> bool:
    if isinstance(shown, dict):
        return any(_is_unknown(item) for item in shown.values())
    if isinstance(shown, list):
        return any(_is_unknown(item) for item in shown)
    return shown == UNKNOWN_MARK
