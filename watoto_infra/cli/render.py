"""``watoto render``: a stage's configuration files, on stdout or as a tree, checked by the servers that read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli import sessions
from watoto_infra.cli.options import Stack, Stage, Target
from watoto_infra.errors import CheckFailed, UsageError
from watoto_infra.rendering import catalogue, use_cases
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding
from watoto_infra.rendering.secrets import when_needed
from watoto_infra.servers.kubernetes.config import declared
from watoto_infra.servers.registry import ALL, chosen, family_names
from watoto_infra.servers.stage_inputs import for_stage
from watoto_infra.settings import load_stage, stages
from watoto_infra.settings.app import Platform
from watoto_infra.templating import Templates
from watoto_infra.values.outputs import StackOutputs
from watoto_infra.values.targets import TargetName

Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write the tree below DIR.")]
Check = Annotated[bool, typer.Option("--check", help="Let the real servers read the files.")]
Strict = Annotated[bool, typer.Option("--strict", help="With --check: fail also where a checking tool is absent.")]
Against = Annotated[Path | None, typer.Option("--diff", metavar="DIR", help="Show what differs from the tree in DIR.")]
Own = Annotated[
    Path | None, typer.Option("--templates", metavar="DIR", help="Templates of your own, used before ours.")
]
Listing = Annotated[bool, typer.Option("--list", help="Show families, files, blocks and context fields.")]


OBJECTS = "kubernetes"
"""The family of the objects that a stack declares, which are read from its state."""


def render(
    family: Annotated[str | None, typer.Argument(metavar="FAMILY", help="|".join([*family_names(), ALL]))] = None,
    stage: Stage = None,
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    out: Out = None,
    check: Check = False,
    strict: Strict = False,
    diff: Against = None,
    templates: Own = None,
    listing: Listing = False,
) -> None:
    """Render configuration files: to stdout with secrets masked, or below --out."""
    if family is None and not listing:
        raise UsageError("no family was named", hint=f"families: {', '.join([*family_names(), ALL])}")
    families = chosen(family or ALL)
    ours = Templates(templates)
    inputs = _inputs(stage, stack, target, with_objects=any(chosen.name == OBJECTS for chosen in families))
    if listing:
        console.data(catalogue.describe(families, inputs, ours))
        return
    files = use_cases.render(families, inputs, ours)
    if not files:
        console.note(f"{family}: {_why_nothing(family, inputs)}")
    if diff is not None:
        console.data(use_cases.diff(files, diff, inputs.secrets).rstrip("\n") or f"nothing differs from {diff}")
    elif files and out is None and not check:
        console.data(use_cases.to_text(files, inputs.secrets).rstrip("\n"))
    if check and files:
        found = use_cases.check(families, files, inputs, begun=lambda name: console.note(f"checking {name} …"))
        _show(found, strict=strict)
    if out is not None:
        use_cases.write(files, out)
        console.note(f"wrote {len(files)} files below {out}")


def _inputs(stage: str | None, stack: str | None, target: TargetName, *, with_objects: bool) -> Inputs:
    """Take a stack's own values where there is one and no stage was named; else the stage's documented addresses."""
    found = sessions.stack_at(target, stack)
    if stage is None and found.is_known:
        return _inputs_of_stack(found, with_objects=with_objects)
    if stage is None:
        stage = stages.DEFAULT
        console.note(f"stage: {stage} (there is no stack yet; --stage names another)")
    return for_stage(stage, load_stage(stage, target=target.value).settings, stack=found.name)


def _inputs_of_stack(found: sessions.Stack, *, with_objects: bool) -> Inputs:
    """Give what a stack's files are rendered from: its addresses, and its secrets when a file needs one.

    While it is not wholly up addresses are the stage's documented ones, and no secret is known. ``with_objects`` also
    reads the Kubernetes objects out of its state.
    """
    session = found.open(sessions.load_stage_of(found))
    exported = session.outputs() if found.has_state else {}
    loaded = session.loaded
    if not exported:
        return for_stage(loaded.stage, loaded.settings, stack=session.stack)
    outputs = StackOutputs.from_outputs(exported)
    secrets = when_needed(lambda: session.secrets(outputs))
    inputs = for_stage(loaded.stage, loaded.settings, stack=session.stack, outputs=outputs, secrets=secrets)
    return replace(inputs, objects=declared(session.declared_resources())) if with_objects else inputs


def _why_nothing(family: str | None, inputs: Inputs) -> str:
    if family == OBJECTS and inputs.settings.app.platform is Platform.KUBERNETES:
        return "its manifests are a stack's; bring one up at this stage and leave out --stage"
    return "nothing of it is declared"


def _show(findings: Sequence[CheckFinding], *, strict: bool) -> None:
    """Print the table. Raises ``CheckFailed`` for the first file refused or, when strict, not looked at."""
    if not findings:
        return
    rows = [("family", "files", "checked by", "result"), *(finding.row for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        console.data("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for finding in findings:
        if finding.refused:
            console.note(finding.detail)
            raise CheckFailed(f"{finding.checked_by} refused {finding.subject}", hint=finding.detail.splitlines()[0])
    for finding in findings:
        if strict and finding.unseen:
            raise CheckFailed(
                f"{finding.subject} was not validated: {finding.detail}", hint="`watoto doctor` says how to install it"
            )
