"""The process that runs the user's Pulumi program: ``python -m watoto_infra.engine.embedded.child``.

Its life: read one JSON request from stdin (what to run, where the engine listens, the configuration with its secrets),
hand the SDK a monitor stub, run the program, wait until every registration is answered, leave. Events for the engine
go to the file descriptor named in the request, one JSON object a line: ``{"log": ...}``, ``{"error": ...}``,
``{"done": true}``. Whatever the program prints is the engine's to show. The process ends when its stdin closes, so it
never outlives the engine.

Why not the SDK's own ``run_in_stack``: as shipped its cost is quadratic in the number of resources. Every debug line is
a remote call, and each completed output makes it wait anew on all outstanding ones. Here the engine object is a local
one that drops debug lines, and waiting (``settle``) awaits every task once. That leans on the SDK's inner parts, so it
is tied to ``SDK_VERSION``; a test fails when the installed SDK differs (docs/decisions/0102-own-waiting.md).
"""
# ruff: noqa: SLF001 (the reason is above)

from __future__ import annotations

import asyncio
import gc
import json
import os
import runpy
import site
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import grpc
import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime import config as sdk_config
from pulumi.runtime import settings as sdk_settings
from pulumi.runtime import stack as sdk_stack
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, resource_pb2_grpc

SDK_VERSION = "3.272.0"
"""The SDK whose inner parts this module was written against."""

SEVERITIES = {engine_pb2.INFO: "info", engine_pb2.WARNING: "warning", engine_pb2.ERROR: "error"}


class Events:
    """Writes events to the engine, from any thread."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, **event: Any) -> None:
        with self._lock:
            self._stream.write(json.dumps(event) + "\n")
            self._stream.flush()


class LocalEngine:
    """Replaces the engine's logging service for the SDK; debug lines never leave the process."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def Log(self, request: engine_pb2.LogRequest) -> None:  # noqa: N802 (the service's own name)
        severity = SEVERITIES.get(request.severity)
        if severity:
            self._events.send(log={"severity": severity, "text": request.message, "urn": request.urn or None})

    def RequirePulumiVersion(self, request: engine_pb2.RequirePulumiVersionRequest) -> None:  # noqa: N802
        raise RuntimeError(f"require_pulumi_version({request.pulumi_version_range!r}) is not served by this engine")


def main(events_fd: int | None = None) -> None:
    """Serve one request; the exit status is 0 when the program ran to its end.

    ``events_fd`` is the file descriptor of the engine's events where the request's number is none of this process.
    """
    # A third of the time that importing the SDK's AWS modules takes is the collector's, which finds nothing; and the
    # process ends with its one run.
    gc.disable()
    with sys.stdin as stdin, Path(os.devnull).open() as nothing:
        request = json.loads(stdin.readline())
        sys.stdin = nothing  # a program that asks for input is told that there is none
        threading.Thread(target=_leave_with_parent, args=(stdin,), daemon=True).start()
        events = Events(os.fdopen(events_fd or request["events_fd"], "w", encoding="utf-8"))
        sys.path[:] = request["path"]
        failed = False
        try:
            asyncio.run(run(request, events))
        except (Exception, SystemExit) as error:  # whatever the program raises is reported, never printed
            failed = not (isinstance(error, SystemExit) and not error.code)
            events.send(**(describe(error, request["module"]) if failed else {"done": True}))
        else:
            events.send(done=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(failed))  # threads of the program or of gRPC must not keep a finished run waiting


def _leave_with_parent(stdin: IO[str]) -> None:
    while stdin.readline():
        pass
    os._exit(1)


async def run(request: dict[str, Any], events: Events) -> None:
    """Run the program inside a stack resource until every registration is answered. Raises what the program raises."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=request["workers"]))
    channel = grpc.insecure_channel(request["address"], options=_GRPC_CHANNEL_OPTIONS)
    sdk_config.set_all_config(request["config"], request["secret_keys"])
    sdk_settings.configure(
        sdk_settings.Settings(
            project=request["project"],
            stack=request["stack"],
            monitor=resource_pb2_grpc.ResourceMonitorStub(channel),
            engine=LocalEngine(events),
            dry_run=request["dry_run"],
            organization="organization",
            root_directory=request["root"],
        )
    )
    await sdk_settings._load_monitor_feature_support()  # type: ignore[no-untyped-call]
    stack = sdk_stack.Stack()
    failure: BaseException | None = None
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        asynchronous = stack._take_async_program()
        if asynchronous is not None:
            stack._add_program_outputs(await asynchronous())
    except (Exception, SystemExit) as error:
        failure = error
    finally:
        stack._finish()
    await settle()
    if failure is not None:
        raise failure
    monitor: Any = sdk_settings.get_monitor()
    await asyncio.to_thread(monitor.SignalAndWaitForShutdown, empty_pb2.Empty())


async def settle() -> None:
    """Wait for every registration and output, also for those begun meanwhile; then raise the first failure.

    Each task is awaited once, so the cost is linear in their number.
    """
    manager = sdk_settings._get_rpc_manager()
    settings = sdk_settings.SETTINGS
    first: BaseException | None = None
    while True:
        await asyncio.sleep(0)  # lets calls that were only scheduled begin, and so be counted
        calls, manager.rpcs = manager.rpcs, []
        with settings.lock:
            outputs = list(settings.outputs)
            settings.outputs.clear()
        if not calls and not outputs:
            break
        for task in [*calls, *outputs]:
            try:
                await task
            except Exception as error:  # the root of the failures is the first; later ones follow from it
                first = first or error
    if manager.unhandled_exception is not None:
        raise manager.unhandled_exception.with_traceback(manager.exception_traceback)
    if first is not None:
        raise first


def describe(error: BaseException, module: str) -> dict[str, Any]:
    """Say what failed and where in the program: the innermost frame that is neither the SDK's nor a library's."""
    if isinstance(error, SystemExit):
        return {"error": {"text": f"the program left with status {error.code}", "place": None}}
    place = _place_of(error, module)
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    if isinstance(error, ModuleNotFoundError):
        return {"error": {"text": f"no module named {error.name!r}", "place": place}}
    text = " ".join(str(error).split()) or type(error).__name__
    named = text if type(error) in {Exception, pulumi.RunError} else f"{type(error).__name__}: {text}"
    return {"error": {"text": named, "place": place}}


def _place_of(error: BaseException, module: str) -> str | None:
    package = sys.modules.get(module.partition(".")[0])
    own = tuple(getattr(package, "__path__", ()))  # the program itself may be installed among the libraries
    libraries = (*site.getsitepackages(), str(Path(os.__file__).parent), "<frozen")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        mine = frame.filename.startswith(own) or not frame.filename.startswith(libraries)
        if mine and not frame.filename.startswith(str(Path(__file__).parent)):
            return f"{frame.filename}:{frame.lineno}"
    return None


if __name__ == "__main__":
    main()
