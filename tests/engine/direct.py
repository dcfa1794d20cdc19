"""Registers the things of a graph without a program or a process: for tests that need thousands of runs.

It asks what ``programs/things.py`` asks, in the order the SDK would: a resource is registered once all it refers to is
answered, and those that are ready at the same time are registered at the same time. A test holds the two against each
other (``test_direct_registration_asks_what_the_sdk_asks``). An entry's ``type`` is served here alone.
"""

from __future__ import annotations

import json
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue

from watoto_infra.engine.embedded.goal import AliasSpec, Goal
from watoto_infra.engine.embedded.monitor import RegisterResult, Registrar
from watoto_infra.engine.embedded.state.values import from_plain
from watoto_infra.engine.embedded.urns import STACK_TYPE
from watoto_infra.errors import ProgramError, WatotoError
from watoto_infra.values.contracts import Program, Progress


class DirectHost:
    """Stands where ``ProgramHost`` does."""

    def __init__(self, program: Program, progress: Progress, *, dry_run: bool, workers: int) -> None:
        self._graph: list[dict[str, Any]] = json.loads(program.config["things:graph"])
        self._program = program
        self._workers = workers

    def run(self, registrar: Registrar) -> None:
        stack = registrar.register(
            Goal(type=STACK_TYPE, name=f"{self._program.project}-{self._program.stack}", custom=False, inputs={})
        )
        registered: dict[str, RegisterResult] = {}
        waiting = list(self._graph)
        running: dict[Future[RegisterResult], str] = {}
        failed = False
        with ThreadPoolExecutor(self._workers) as threads:
            while waiting or running:
                ready = [entry for entry in waiting if _needs(entry) <= registered.keys()] if not failed else []
                waiting = [entry for entry in waiting if entry not in ready] if not failed else []
                for entry in ready:
                    registration = threads.submit(registrar.register, self._goal(entry, stack.urn, registered))
                    running[registration] = entry["name"]
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    try:
                        registered[name] = future.result()
                    except WatotoError as error:
                        registrar.fail(error)
                        failed = True
        if failed:
            raise ProgramError("a registration failed")
        exports = {key: (e["name"], output) for e in self._graph for key, output in e.get("exports", {}).items()}
        registrar.register_outputs(
            stack.urn, {key: _output(registered[name], out) for key, (name, out) in exports.items()}
        )

    def _goal(self, entry: dict[str, Any], stack: str, registered: dict[str, RegisterResult]) -> Goal:
        inputs = {key: from_plain(value) for key, value in entry.get("props", {}).items()}
        for key in entry.get("secrets", []):
            inputs[key] = inputs[key].with_secret(True)
        property_dependencies = {}
        for key, reference in entry.get("refs", {}).items():
            name, _, output = reference.partition(".")
            inputs[key] = _output(registered[name], output)
            property_dependencies[key] = (registered[name].urn,)
        explicit = {registered[name].urn for name in entry.get("depends_on", [])}
        implicit = {urn for urns in property_dependencies.values() for urn in urns}
        options = entry.get("opts", {})
        component = entry.get("kind") == "component"
        return Goal(
            type=entry.get("type", "test:index:Group" if component else "mem:index:Thing"),
            name=entry["name"],
            custom=not component,
            inputs=inputs,
            parent=registered[entry["parent"]].urn if "parent" in entry else stack,
            dependencies=tuple(sorted(explicit | implicit)),
            property_dependencies=dict(sorted(property_dependencies.items())),
            protect=options.get("protect", False),
            delete_before_replace=options.get("delete_before_replace"),
            ignore_changes=tuple(options.get("ignore_changes", ())),
            replace_on_changes=tuple(options.get("replace_on_changes", ())),
            additional_secret_outputs=tuple(options.get("additional_secret_outputs", ())),
            retain_on_delete=options.get("retain_on_delete", False),
            deleted_with=registered[entry["deleted_with"]].urn if "deleted_with" in entry else None,
            aliases=tuple(AliasSpec(**alias) for alias in entry.get("aliases", [])),
        )


def _needs(entry: dict[str, Any]) -> set[str]:
    needed = {reference.partition(".")[0] for reference in entry.get("refs", {}).values()}
    owners = {entry[key] for key in ("parent", "deleted_with") if key in entry}
    return needed | set(entry.get("depends_on", [])) | owners


def _output(registered: RegisterResult, name: str) -> PropertyValue:
    return (registered.outputs or {}).get(name, PropertyValue.computed())
