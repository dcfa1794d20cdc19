"""Every error a user can meet, with the exit code it ends the command with.

One tree, one page: a command never prints a traceback; the group in ``cli/app.py`` prints ``error:`` and ``hint:``.
Nothing here imports anything of watoto.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means; scripts may rely on it."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CHANGES = 3
    OBJECTIVE_MISSED = 4
    NO_STACK = 10
    LOCKED = 11
    WRONG_PASSPHRASE = 12
    INTERRUPTED = 130


class WatotoError(Exception):
    """An expected failure.

    ``message`` says in one line what is wrong and where; ``hint`` what to do about it.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(WatotoError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = ExitCode.USAGE


class SettingsError(WatotoError):
    """A stage file or an override holds something that is not allowed; the message names file, key path and value."""


class MissingProgram(WatotoError):
    """A server or tool that is needed is not installed."""


# --- engine and state ---------------------------------------------------------------------------------------------


class NoSuchStack(WatotoError):
    """The stack has no state yet."""

    exit_code = ExitCode.NO_STACK


class StackLocked(WatotoError):
    """Another run holds the stack's lock; the message says who, since when, and with which command."""

    exit_code = ExitCode.LOCKED


class WrongPassphrase(WatotoError):
    """The passphrase does not open the stack's secrets, or none was given."""

    exit_code = ExitCode.WRONG_PASSPHRASE


class StateError(WatotoError):
    """State or journal cannot be read, written or trusted."""


class ProgramError(WatotoError):
    """The Pulumi program failed; the message names the place in the program."""


class UnsupportedFeature(WatotoError):
    """A request sets a field, or a resource uses a property or type, that the embedded engine does not serve."""


class ProviderError(WatotoError):
    """An operation on a resource failed; the message names the URN, the operation and the service's own words."""


class InvalidInputs(WatotoError):
    """A provider refused a resource's inputs before anything was done."""


class PlanViolated(WatotoError):
    """An operation would have been done that the preview did not show; it was not done."""


class DataAtRisk(WatotoError):
    """A data-bearing resource would be replaced or deleted without the flag that allows it."""


class ProtectedResource(WatotoError):
    """A resource is protected and the run would delete or replace it."""


# --- reports that end with a code of their own --------------------------------------------------------------------


class ChangesFound(WatotoError):
    """Changes were proposed where none were expected, or drift was found."""

    exit_code = ExitCode.CHANGES


class ObjectiveMissed(WatotoError):
    """A measured figure is worse than the stage's objective."""

    exit_code = ExitCode.OBJECTIVE_MISSED


class Interrupted(WatotoError):
    """The user stopped the run; what was running finished and was recorded."""

    exit_code = ExitCode.INTERRUPTED


# --- rendering and the local data plane ---------------------------------------------------------------------------


class RenderError(WatotoError):
    """A template failed; the message names template and line."""


class CheckFailed(WatotoError):
    """The server that reads a rendered file refused it."""


class ServiceFailed(WatotoError):
    """A local service did not start, died or does not answer."""


class PortTaken(WatotoError):
    """A port the stack needs is in use by another process."""
