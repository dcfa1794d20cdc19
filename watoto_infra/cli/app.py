"""The ``watoto`` command: its group, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import atexit
import gc
import signal
import sys
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

# typer brings its own click along and gives its errors no public name
from typer._click.exceptions import NoArgsIsHelpError
from typer._click.exceptions import UsageError as Misuse
from typer.core import TyperGroup

from watoto_infra import __version__, console
from watoto_infra.cli.commands import COMMANDS, NO_MARKUP, LazyCommand
from watoto_infra.errors import ExitCode, Interrupted, UsageError, WatotoError


class Group(TyperGroup):
    """Prints expected errors as one line and a hint, whichever way the command was called."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Read what stands before the command's name."""
        try:
            return super().make_context(*args, **extra)
        except Misuse as error:
            _report_misuse(error)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a traceback is shown only with ``--debug``."""
        try:
            return super().invoke(ctx)
        except WatotoError as error:
            code = _report(ctx, error)
        except Misuse as error:
            _report_misuse(error)
        except KeyboardInterrupt:
            code = _report(ctx, Interrupted("interrupted"))
        except BrokenPipeError:
            sys.stdout = None  # the reader is gone: nothing can be flushed any more
            code = ExitCode.DONE
        except OSError as error:
            code = _report(ctx, _from_system(error))
        except Exception as error:
            if hasattr(error, "exit_code"):  # typer's own exits
                raise
            code = _report(ctx, _unexpected(error))
        raise typer.Exit(int(code))


class CommandLine(Group):
    """The group of all commands."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for name, module in COMMANDS.items():
            self.add_command(LazyCommand(name, module))


def _report(ctx: Any, error: WatotoError) -> ExitCode:
    if ctx.params.get("debug"):
        raise error
    console.report_error(error)
    return error.exit_code


def _report_misuse(error: Misuse) -> NoReturn:
    """Say what typer did not understand; where it shows a group's help instead, that stays."""
    if isinstance(error, NoArgsIsHelpError):
        raise error
    words = " ".join(error.format_message().split()).removesuffix(".").replace("Value error, ", "")
    command = error.ctx.command_path if error.ctx else "watoto"
    console.report_error(UsageError(words[:1].lower() + words[1:], hint=f"`{command} -h` shows what it takes"))
    raise typer.Exit(int(ExitCode.USAGE)) from error


def _from_system(error: OSError) -> WatotoError:
    """Turn what the operating system refused into an error for people: which file, and why."""
    where = f"{error.filename}: " if error.filename else ""
    return WatotoError(
        f"{where}{error.strerror or error}", hint="check that the file can be read and written and the disk is not full"
    )


def _unexpected(error: Exception) -> WatotoError:
    """Turn a fault of our own into an error for people; the chain stays for ``--debug``."""
    words = " ".join(str(error).split()) or "no further words"
    wrapped = WatotoError(
        f"watoto itself failed: {type(error).__name__}: {words}",
        hint="nothing more was done; the same command as `watoto --debug …` shows where, please report it",
    )
    wrapped.__cause__ = error
    return wrapped


app = typer.Typer(
    name="watoto",
    cls=CommandLine,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=NO_MARKUP,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Provision, rehearse and recover the scaled Watoto LMS.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        console.data(f"watoto {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback for any error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Provision, rehearse and recover the scaled Watoto LMS."""


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Have a request to end, and a terminal that goes away, do what Ctrl-C does, so that everything is cleaned up."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line."""
    atexit.register(gc.freeze)  # a process that ends need not look for garbage: a fifth of `watoto render`'s time
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # what the caller ignores (`nohup`) stays ignored
            signal.signal(number, _interrupt)
    app(prog_name="watoto")
