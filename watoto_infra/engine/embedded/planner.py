"""Decides what one registration means for the real thing: same, create, update or replace. Touches nothing.

The meaning is Pulumi's: the provider checks the inputs (with the old ones at hand, so that automatic names stay), then
compares them with the old state. A replacement gets its inputs checked anew, without the old ones, so that its
automatic name differs from that of the thing it replaces.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace

from watoto_infra.engine.embedded import diff, paths
from watoto_infra.engine.embedded.goal import AliasSpec, Goal
from watoto_infra.engine.embedded.provider_pool import answer
from watoto_infra.engine.embedded.state.model import PROVIDER_TYPE_PREFIX, Properties, ResourceState
from watoto_infra.engine.embedded.urns import is_default_provider, make_urn, name_of
from watoto_infra.errors import InvalidInputs
from watoto_infra.providers.base import CheckRequest, CheckResponse, DiffRequest, DiffResponse, Provider
from watoto_infra.values.contracts import UNKNOWN_MARK, Change, Op

SEED_BYTES = 32


@dataclass(frozen=True)
class Decision:
    """What is to be done for one registration.

    ``state`` is the resource as it will be, without id and outputs where those are the operation's to tell.
    ``may_replace``: only an unknown input forces the replacement, so the run itself may find that there is none.
    """

    op: Op
    goal: Goal
    state: ResourceState
    old: ResourceState | None = None
    changes: tuple[Change, ...] = ()
    delete_first: bool = False
    may_replace: bool = False
    provider: Provider | None = None

    @property
    def urn(self) -> str:
        return self.state.urn


@dataclass(frozen=True)
class Planner:
    """Plans registrations of one stack. ``seeds`` keeps random seeds by URN, so a run makes the names it previewed."""

    stack: str
    project: str
    seeds: MutableMapping[str, bytes]

    def alias_urns(self, goal: Goal, former_parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Every former URN of a resource: its own aliases, and those that follow from its parent's."""
        former = former_parents.get(goal.parent or "", ())
        parents = [(goal.parent, goal.name), *((urn, _inherited_name(goal, urn)) for urn in former)]
        specs: list[str | AliasSpec] = [AliasSpec(), *goal.aliases]
        found: dict[str, None] = {}
        for parent, name in parents:
            for alias in specs:
                found[alias if isinstance(alias, str) else self._alias_urn(alias, goal, parent, name)] = None
        found.pop(make_urn(self.stack, self.project, goal.parent, goal.type, goal.name), None)
        return tuple(found)

    def _alias_urn(self, alias: AliasSpec, goal: Goal, parent: str | None, name: str) -> str:
        return make_urn(
            alias.stack or self.stack,
            alias.project or self.project,
            None if alias.no_parent else alias.parent or parent,
            alias.type or goal.type,
            alias.name or name,
        )

    def decide(
        self, goal: Goal, urn: str, old: ResourceState | None, provider: Provider | None, *, deleted: bool = False
    ) -> Decision:
        """Plan one registration. ``deleted``: this run deleted the old thing, to make way for something it depends on.

        Raises ``InvalidInputs`` for inputs that the provider refuses, and whatever else the provider raises.
        """
        inputs: Properties = goal.inputs
        if old is not None:
            for text in goal.ignore_changes:
                inputs = paths.reset(old.inputs, inputs, paths.parse(text))
        if provider is not None:
            inputs = self._checked(goal, urn, provider, old.inputs if old is not None else {}, inputs)
        state = _goal_state(goal, urn, inputs, old)
        if old is None or (old.pending_replacement and not deleted):
            return Decision(Op.CREATE, goal, state, old, provider=provider)
        if provider is None:
            changes = diff.compare(old.inputs, inputs)
            kept = replace(state, id=old.id, outputs=old.outputs)
            return Decision(Op.UPDATE if changes else Op.SAME, goal, kept, old, changes)
        response = self._compared(goal, urn, provider, old, inputs)
        if deleted:
            changes = diff.from_provider(response, old.inputs, old.outputs, inputs)
            return Decision(Op.REPLACE, goal, state, old, changes, provider=provider)
        return self._judge(Decision(Op.SAME, goal, state, old, provider=provider), response, old)

    def _judge(self, decision: Decision, response: DiffResponse, old: ResourceState) -> Decision:
        """Turn a provider's comparison into an operation."""
        goal, inputs = decision.goal, decision.state.inputs
        changes = diff.from_provider(response, old.inputs, old.outputs, inputs)
        changes = diff.forced(changes, goal.replace_on_changes)
        forcing = [change for change in changes if change.kind.replaces]
        moved = _provider_moved(old.provider, goal.provider)
        first = response.delete_before_replace if goal.delete_before_replace is None else goal.delete_before_replace
        if forcing or response.replaces or moved:
            assert decision.provider is not None
            fresh = self._checked(goal, f"{decision.urn}#{old.id}", decision.provider, {}, dict(goal.inputs))
            only_unknown = bool(forcing) and all(_is_unknown(change.after) for change in forcing) and not moved
            return replace(
                decision,
                op=Op.REPLACE,
                state=replace(decision.state, inputs=fresh),
                changes=changes,
                delete_first=first,
                may_replace=only_unknown,
            )
        kept = replace(decision.state, id=old.id, outputs=old.outputs, simulated=old.simulated)
        op = Op.UPDATE if changes or response.changes or old.init_errors else Op.SAME
        return replace(decision, op=op, state=kept, changes=changes)

    def _checked(self, goal: Goal, seed: str, provider: Provider, old: Properties, new: Properties) -> Properties:
        urn = seed.partition("#")[0]
        request = CheckRequest(urn, dict(old), dict(new), self.seeds.setdefault(seed, os.urandom(SEED_BYTES)))
        check = provider.check_config if goal.type.startswith(PROVIDER_TYPE_PREFIX) else provider.check
        response: CheckResponse = answer(check(request), operation="check", urn=urn)
        if response.failures:
            reasons = "; ".join(f"{failure.property}: {failure.reason}" for failure in response.failures)
            where = f" (declared at {goal.place})" if goal.place else ""
            raise InvalidInputs(f"{urn} is not valid{where}: {reasons}", hint="nothing was done for this resource")
        checked = dict(new) if response.inputs is None else response.inputs
        return diff.seal(checked, goal.inputs)

    def _compared(
        self, goal: Goal, urn: str, provider: Provider, old: ResourceState, inputs: Properties
    ) -> DiffResponse:
        if goal.type.startswith(PROVIDER_TYPE_PREFIX):
            changed = bool(diff.compare(old.inputs, inputs))
            return DiffResponse(changes=changed)
        request = DiffRequest(urn, old.id or "", dict(old.outputs), dict(inputs), list(goal.ignore_changes))
        response: DiffResponse = answer(provider.diff(request), operation="diff", urn=urn)
        if response.changes is None and not response.detailed_diff:
            response.changes = bool(diff.compare(old.inputs, inputs))
        return response


def replaced_with(
    first: ResourceState,
    states: Mapping[str, ResourceState],
    compare: Callable[[ResourceState, Properties], DiffResponse],
) -> list[ResourceState]:
    """Who must be deleted before ``first`` can be, because ``first`` is deleted before its replacement exists.

    As in Pulumi: a dependent is replaced with it when making the properties that refer to it unknown would force a
    replacement (``compare`` asks its provider). Dependents come after what they depend on.
    """
    doomed = {first.urn: first}
    for state in states.values():
        if state.urn in doomed or not state.custom or state.pending_replacement:
            continue
        touched = [key for key, urns in state.property_dependencies.items() if any(urn in doomed for urn in urns)]
        if state.provider_urn in doomed:
            doomed[state.urn] = state
        elif touched:
            response = compare(state, diff.with_unknowns(state.inputs, touched))
            if response.replaces or any(
                detail.kind.name.endswith("REPLACE") for detail in response.detailed_diff.values()
            ):
                doomed[state.urn] = state
    del doomed[first.urn]
    return list(doomed.values())


def _goal_state(goal: Goal, urn: str, inputs: Properties, old: ResourceState | None) -> ResourceState:
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


def _provider_moved(old: str | None, new: str | None) -> bool:
    """Tell whether a resource changed hands. From one default provider to another (a new version) does not count."""
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
