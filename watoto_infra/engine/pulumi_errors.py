"""Turns a failure of the official CLI, told in many lines, into one error with a hint."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pulumi import automation

from watoto_infra.engine.embedded.state.secrets import PASSPHRASE_HINT
from watoto_infra.errors import (
    NoSuchStack,
    PlanViolated,
    ProgramError,
    ProtectedResource,
    ProviderError,
    StackLocked,
    WatotoError,
    WrongPassphrase,
)

Diagnostics = Sequence[tuple[str | None, str]]
"""The errors a run reported, each with the URN it is about, if any."""

_ERROR_LINE = re.compile(r"error: (\S.*)")


def explain(error: automation.CommandError, diagnostics: Diagnostics = ()) -> WatotoError:
    """Give the error for people.

    Before a run: ``NoSuchStack``, ``StackLocked``, ``WrongPassphrase``, or a ``WatotoError`` where nobody is logged in.
    By ``diagnostics``: ``ProtectedResource``, ``PlanViolated``, ``ProgramError`` or ``ProviderError``. Else a
    ``WatotoError`` in the CLI's own words.
    """
    return _before_a_run(error) or _in_a_run(diagnostics) or _in_its_own_words(error)


def _before_a_run(error: automation.CommandError) -> WatotoError | None:
    text = str(error)
    if isinstance(error, automation.StackNotFoundError):
        return NoSuchStack(
            "there is no such stack in the backend that the Pulumi CLI uses", hint="`watoto up --target aws` makes it"
        )
    if isinstance(error, automation.ConcurrentUpdateError):
        return StackLocked(
            "another run holds the stack's lock", hint="wait; `pulumi cancel` frees a lock whose holder is gone"
        )
    if "incorrect passphrase" in text or "passphrase must be set" in text:
        return WrongPassphrase("the passphrase does not open this stack's secrets", hint=PASSPHRASE_HINT)
    if "must be set for login" in text:
        return WatotoError(
            "the Pulumi CLI is not logged in to a backend", hint="`pulumi login`, or set PULUMI_BACKEND_URL"
        )
    return None


def _in_a_run(diagnostics: Diagnostics) -> WatotoError | None:
    said = [(urn, " ".join(words.split()), words) for urn, words in diagnostics]
    protected = [urn for urn, line, _ in said if urn and "it is protected" in line]
    if protected:
        return ProtectedResource(
            f"protected, so neither replaced nor deleted: {', '.join(protected)}",
            hint="take `protect` off in the program (setting `protection`), run `watoto up`, then try again",
        )
    for urn, line, words in said:
        if "not allowed by the plan" in line or "violates plan" in line:
            return PlanViolated(f"{urn}: {line}", hint="something changed since the preview: look at the new plan")
        if "unhandled exception" in line:
            last = [part for part in words.splitlines() if part.strip()][-1].strip()
            return ProgramError(f"the program failed: {last}", hint="mend the program and run again")
        if urn:
            return ProviderError(f"{urn}: {line}", hint=_remedy(line))
    return None


def _remedy(line: str) -> str:
    """Say what to do where a service's words tell it."""
    if "scheduled for deletion" in line:
        return (
            "have it back with `aws secretsmanager restore-secret --secret-id NAME` and `pulumi import` it, or end it"
            " with `aws secretsmanager delete-secret --secret-id NAME --force-delete-without-recovery`; then run again"
        )
    return "mend the cause and run again"


def _in_its_own_words(error: automation.CommandError) -> WatotoError:
    said = _ERROR_LINE.search(str(error))
    return WatotoError(
        f"the Pulumi CLI failed: {said[1] if said else 'it gave no reason'}",
        hint="run `pulumi preview` by hand to see all it says",
    )
