"""The official CLI as a process of its own group: signals reach it through us alone, once, and as the one it knows."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from pulumi.automation import CommandResult, OnOutput, PulumiCommand
from pulumi.automation.errors import create_command_error


class InterruptibleCommand(PulumiCommand):
    """Runs the CLI as the SDK does. What a terminal sends to its foreground does not reach it; ``interrupt`` does."""

    _running: subprocess.Popen[str] | None = None

    def interrupt(self) -> None:
        """Have the CLI finish what it does and begin nothing more, as at its first Ctrl-C."""
        process = self._running
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Run a command to its end. Raises ``automation.CommandError`` where it fails."""
        said: tuple[list[str], list[str]] = ([], [])
        with subprocess.Popen(
            [self.command, "--non-interactive", *(argument for argument in args if argument != "--non-interactive")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            encoding="utf-8",
            start_new_session=True,
        ) as process:
            self._running = process
            try:
                readers = [
                    threading.Thread(target=_read, args=(stream, callback, lines))
                    for stream, callback, lines in zip(
                        (process.stdout, process.stderr), (on_output, on_error), said, strict=True
                    )
                ]
                for reader in readers:
                    reader.start()
                for reader in readers:
                    reader.join()
                process.wait()
            except BaseException:
                self.interrupt()  # whoever ends us at once must not leave it behind
                raise
            finally:
                self._running = None
        result = CommandResult(stdout="\n".join(said[0]), stderr="\n".join(said[1]), code=process.returncode)
        if result.code != 0:
            raise create_command_error(result)
        return result


def _read(stream: IO[str], callback: OnOutput | None, lines: list[str]) -> None:
    for line in stream:
        text = line.rstrip()
        if callback is not None:
            callback(text)
        lines.append(text)
