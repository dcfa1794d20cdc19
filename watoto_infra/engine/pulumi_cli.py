"""The official engine: the port ``contracts.Engine`` through Pulumi's own CLI, driven by its Automation API.

It runs the project a user can also run by hand (``Pulumi.yaml``, ``stacks/Pulumi.STACK.yaml``) on whichever backend the
CLI is logged in to, so either way is the same stack. A run is held to its plan by Pulumi's update plans: ``preview``
saves one, ``up`` hands it back. What a preview would configure goes to a file of its own, so it changes nothing.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml
from pulumi import automation
from pulumi.automation.errors import InvalidVersionError

from watoto_infra.engine.embedded.guard import PROTECTED, RETAINED, refuse_forbidden
from watoto_infra.engine.embedded.state.secrets import PassphraseSource
from watoto_infra.engine.embedded.urns import PROVIDER_TYPE_PREFIX, is_default_provider
from watoto_infra.engine.interrupts import stopping_on_interrupt
from watoto_infra.engine.pulumi_command import InterruptibleCommand
from watoto_infra.engine.pulumi_errors import explain
from watoto_infra.engine.pulumi_events import RunLog, masked
from watoto_infra.engine.pulumi_project import stack_settings, stack_settings_file
from watoto_infra.engine.pulumi_targets import targets as targets_of
from watoto_infra.engine.run_folder import make_run_folder
from watoto_infra.errors import MissingProgram, NoSuchStack, PlanViolated, WatotoError
from watoto_infra.values.contracts import (
    SECRET_MARK,
    Allowances,
    DataBearing,
    Json,
    Op,
    Plan,
    Program,
    Progress,
    Result,
    Step,
)
from watoto_infra.values.documents import RunDocument

EXECUTABLE = "pulumi"
ENVIRONMENT = {"PULUMI_SKIP_UPDATE_CHECK": "true"}


class PulumiCliEngine:
    """Runs one stack of ``project``, a folder with a ``Pulumi.yaml``.

    Raises ``MissingProgram`` where there is no usable ``pulumi`` on the PATH, ``WrongPassphrase`` where the stack's
    secrets are kept by a passphrase and none is given. Methods raise, where the CLI fails, the error that
    ``pulumi_errors.explain`` gives. ``environment`` overrides variables of the process for the CLI.
    """

    def __init__(
        self,
        project: Path,
        stack: str,
        *,
        passphrase: PassphraseSource,
        data_bearing: DataBearing,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if shutil.which(EXECUTABLE) is None:
            raise MissingProgram(
                f"the aws target is driven by the official Pulumi CLI, and there is no `{EXECUTABLE}` on the PATH",
                hint="install it as https://www.pulumi.com/docs/install/ says; `--target local` needs none",
            )
        self._stack = stack
        self._project = project
        self._data_bearing = data_bearing
        self._private = make_run_folder()
        self._plans: dict[str, tuple[Path, list[str]]] = {}
        self._unmake: weakref.finalize[..., PulumiCliEngine] | None = None
        if not self.settings.get("secretsprovider"):
            passphrase.read()
        try:
            self._command = InterruptibleCommand()
            self._workspace = _Workspace(
                work_dir=str(project),
                env_vars=ENVIRONMENT | dict(environment or {}),
                pulumi_command=self._command,
            )
        except InvalidVersionError as error:
            raise MissingProgram(str(error), hint="install a newer Pulumi CLI") from error

    @property
    def settings(self) -> Mapping[str, Json]:
        """The stack's own settings file, as the CLI keeps it: ``config``, ``encryptionsalt``, ``secretsprovider``."""
        return stack_settings(self._project, self._stack)

    # --- runs of a program ----------------------------------------------------------------------------------------

    def preview(
        self, program: Program, progress: Progress, *, refresh: bool = False, only: Collection[str] = ()
    ) -> Plan:
        """Say what ``up`` would do, and keep Pulumi's own plan of it for ``up``.

        The CLI previews no stack that does not exist, so a new one is made; unless ``up`` follows, it goes again when
        this process ends.
        """
        stack, log = self._open_for_preview(), self._log(progress)
        saved = Path(self._private.name) / f"plan-{len(self._plans)}.json"
        config = self._config_file(program)
        with self._errors(log):
            targets = self._targets(stack, config, only) if only else []
            stack.preview(on_event=log, plan=str(saved), refresh=refresh, target=targets, config_file=config)
        plan = Plan(
            program.stack,
            program.stage,
            tuple(log.steps),
            log.output_changes,
            refreshed=refresh,
            outputs=log.outputs,
        )
        self._plans[plan.digest] = (saved, targets)
        return plan

    def up(
        self,
        program: Program,
        progress: Progress,
        *,
        expect: Plan,
        allow: Allowances = Allowances(),
        only: Collection[str] = (),
    ) -> Result:
        """Perform the program under the plan that ``preview`` saved; the stack is configured to its stage from here.

        Raises ``ProtectedResource``, ``DataAtRisk``, and ``PlanViolated``, also for a plan that another process made.
        Operations that failed are in the result.
        """
        refuse_forbidden(expect.steps, allow)
        if expect.digest not in self._plans:
            raise PlanViolated("this plan was not made here, so a run cannot be held to it", hint="preview again")
        saved, targets = self._plans[expect.digest]
        stack = self._open(new=True)
        if self._unmake is not None:
            self._unmake.detach()
        settings = stack_settings_file(self._project, self._stack)
        before = settings.read_bytes() if settings.exists() else b""
        self._configure(stack, program)

        def run(log: RunLog) -> None:
            stack.up(on_event=log, plan=str(saved), refresh=expect.refreshed, target=targets, show_secrets=False)

        try:
            return self._perform(run, expect, progress)
        except PlanViolated:
            settings.write_bytes(before)  # nothing was brought to the new settings
            raise

    # --- runs without one -----------------------------------------------------------------------------------------

    def refresh(self, progress: Progress, *, dry_run: bool) -> Result:
        """Read every resource again; with ``dry_run`` (drift) nothing is written."""
        stack, log, begin = self._open(), self._log(progress), time.perf_counter()
        with self._errors(log):
            if dry_run:
                stack.preview_refresh(on_event=log)
            else:
                stack.refresh(on_event=log, show_secrets=False)
        plan = Plan(self._stack, self._stage, tuple(log.refreshed), refreshed=True)
        return Result(plan, (), time.perf_counter() - begin)

    def preview_destroy(self) -> Plan:
        """Say what ``destroy`` would delete, by the state: Pulumi's preview ends at the first protected resource."""
        resources = reversed(self._resources())
        steps = tuple(self._deletion(resource) for resource in resources if not is_default_provider(resource["urn"]))
        return Plan(self._stack, self._stage, steps)

    def destroy(self, progress: Progress, *, expect: Plan, allow: Allowances = Allowances()) -> Result:
        """Delete everything in the state, if that is still what the plan showed.

        Raises ``ProtectedResource``, ``DataAtRisk`` and ``PlanViolated`` before anything is deleted.
        Operations that failed are in the result.
        """
        refuse_forbidden(expect.steps, allow, destroying=True)
        if self.preview_destroy().digest != expect.digest:
            raise PlanViolated("the stack changed since the plan was made; nothing was done", hint="look at it again")
        stack = self._open()
        return self._perform(lambda log: stack.destroy(on_event=log, show_secrets=False), expect, progress)

    # --- the state ------------------------------------------------------------------------------------------------

    def holds_resources(self) -> bool:
        """Tell whether the state holds anything but components and providers."""
        return any(
            resource.get("custom") and not resource["type"].startswith(PROVIDER_TYPE_PREFIX)
            for resource in self._resources()
        )

    def outputs(self, *, show_secrets: bool) -> Mapping[str, Json]:
        """Give what the program exported."""
        stack = self._open()
        with self._errors():
            outputs = stack.outputs()
        return {name: SECRET_MARK if out.secret and not show_secrets else out.value for name, out in outputs.items()}

    def export_state(self) -> Json:
        """Give the state as ``pulumi stack export`` does, its secrets encrypted."""
        self._open()
        return json.loads(self._cli("stack", "export"))

    def import_state(self, deployment: Json) -> None:
        """Replace the state, as ``pulumi stack import`` does.

        A deployment that the CLI refuses is an error, and leaves the state as it was.
        """
        self._open(new=True)
        file = Path(self._private.name) / "import.json"
        file.write_text(json.dumps(deployment))
        try:
            self._cli("stack", "import", "--file", str(file))
        finally:
            file.unlink()

    def history(self) -> list[RunDocument]:
        """Give the runs so far, oldest first."""
        stack = self._open()
        with self._errors():
            return [_run_document(run) for run in reversed(stack.history(show_secrets=False))]

    # --- parts ----------------------------------------------------------------------------------------------------

    @property
    def _stage(self) -> str:
        return str(self.settings.get("config", {}).get("watoto:stage", ""))

    def _open(self, *, new: bool = False) -> automation.Stack:
        """Select the stack; ``new``: make it where it does not exist."""
        choose = automation.Stack.create_or_select if new else automation.Stack.select
        with self._errors():
            return choose(self._stack, self._workspace)

    def _targets(self, stack: automation.Stack, config: str, only: Collection[str]) -> list[str]:
        """Work out what ``--only`` takes. Raises ``UsageError`` for a pattern that matches nothing."""
        whole = Path(self._private.name) / "whole.json"
        stack.preview(plan=str(whole), config_file=config)
        return targets_of(json.loads(whole.read_text()), [resource["urn"] for resource in self._resources()], only)

    def _open_for_preview(self) -> automation.Stack:
        """Select the stack; where it does not exist, make it and have it removed at the end of the process."""
        with suppress(NoSuchStack):
            return self._open()
        settings = stack_settings_file(self._project, self._stack)
        before = settings.read_bytes() if settings.exists() else None
        stack = self._open(new=True)
        self._unmake = weakref.finalize(self, _remove_stack, self._workspace, self._stack, settings, before)
        return stack

    def _log(self, progress: Progress) -> RunLog:
        return RunLog(progress, self._data_bearing)

    def _config_file(self, program: Program) -> str:
        """Write the stack's settings with the program's configuration laid over them, for one preview."""
        settings = dict(self.settings)
        settings["config"] = {**settings.get("config", {}), **program.config}
        file = Path(self._private.name) / f"Pulumi.{self._stack}.yaml"
        file.write_text(yaml.safe_dump(settings))
        return str(file)

    def _configure(self, stack: automation.Stack, program: Program) -> None:
        known = self.settings.get("config", {})
        changed = {key: value for key, value in program.config.items() if known.get(key) != value}
        if changed:
            with self._errors():
                stack.set_all_config({key: automation.ConfigValue(value) for key, value in changed.items()})

    def _perform(self, run: Callable[[RunLog], object], plan: Plan, progress: Progress) -> Result:
        """Run to the end; failed operations and an interruption are in the result, anything else is raised."""
        log, begin = self._log(progress), time.perf_counter()
        interrupted = threading.Event()

        def stop() -> None:
            interrupted.set()
            self._command.interrupt()

        with stopping_on_interrupt(stop, progress):
            try:
                run(log)
            except automation.CommandError as error:
                if not interrupted.is_set() and not any(outcome.error for outcome in log.outcomes):
                    raise explain(error, log.errors) from error
        log.close()
        return Result(
            plan,
            tuple(log.outcomes),
            time.perf_counter() - begin,
            outputs=self._outputs_if_readable(progress),
            interrupted=interrupted.is_set(),
        )

    def _outputs_if_readable(self, progress: Progress) -> Mapping[str, Json]:
        """Give the outputs after a run. What was done is told in any case, so what cannot be read is left out."""
        try:
            return self.outputs(show_secrets=False)
        except WatotoError as error:
            progress.message("warning", f"the outputs cannot be read: {error.message}", None)
            return {}

    def _resources(self) -> list[dict[str, Json]]:
        return list((self.export_state()["deployment"] or {}).get("resources") or ())

    def _deletion(self, resource: Mapping[str, Json]) -> Step:
        notes = [PROTECTED] if resource.get("protect") else []
        if resource.get("retainOnDelete") or resource.get("external"):
            notes.append(RETAINED)
        inputs = masked(resource.get("inputs") or {})
        return Step(
            Op.DELETE_REPLACED if resource.get("delete") else Op.DELETE,
            resource["urn"],
            resource["type"],
            parent=resource.get("parent"),
            data_bearing=bool(resource.get("custom")) and self._data_bearing(resource["type"], inputs),
            notes=tuple(notes),
        )

    def _cli(self, *arguments: str) -> str:
        """Run a command of the CLI that the Automation API has no safe form of: its export is in clear."""
        with self._errors():
            command = [*arguments, "--stack", self._stack]
            done = self._workspace.pulumi_command.run(command, str(self._project), self._workspace.env_vars)
        return str(done.stdout)

    @contextmanager
    def _errors(self, log: RunLog | None = None) -> Iterator[None]:
        try:
            yield
        except automation.CommandError as error:
            raise explain(error, log.errors if log else ()) from error


class _Workspace(automation.LocalWorkspace):
    """Names the stack in every command, and so selects none: whoever uses the CLI by hand keeps his own selection."""

    def select_stack(self, stack_name: str) -> None:
        """Look whether there is such a stack. Raises ``automation.StackNotFoundError``."""
        self.pulumi_command.run(["stack", "--show-name", "--stack", stack_name], self.work_dir, self.env_vars)

    def create_stack(self, stack_name: str) -> None:
        """Make a stack."""
        self.pulumi_command.run(["stack", "init", "--no-select", stack_name], self.work_dir, self.env_vars)


def _remove_stack(workspace: _Workspace, stack: str, settings: Path, before: bytes | None) -> None:
    """Remove a stack that was made for a preview, and leave its settings file as it was before."""
    command = ["stack", "rm", "--yes", "--preserve-config", "--stack", stack]
    with suppress(automation.CommandError):
        workspace.pulumi_command.run(command, workspace.work_dir, workspace.env_vars)
    if before is None:
        settings.unlink(missing_ok=True)
    else:
        settings.write_bytes(before)


def _run_document(run: automation.UpdateSummary) -> RunDocument:
    stage = (run.config or {}).get("watoto:stage")
    document: RunDocument = {
        "when": run.start_time.isoformat(timespec="seconds") + "+00:00",
        "kind": "up" if run.kind == "update" else run.kind,
        "stage": stage.value if stage is not None else None,
        "result": "done" if run.result == "succeeded" else "failed" if run.result == "failed" else "killed",
    }
    if run.end_time is not None:
        document["seconds"] = (run.end_time - run.start_time).total_seconds()
        document["summary"] = {str(getattr(op, "value", op)): n for op, n in (run.resource_changes or {}).items()}
    return document
