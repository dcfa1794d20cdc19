"""The process whose forks run the program: ``python -m watoto_infra.engine.embedded.forker FD``.

It imports what the program will import, once, and forks for each run that the engine asks for over the socket FD. It
does nothing else and has one thread, since a fork has no other; a fork may start as many as it likes.

Its life: take one JSON message (where modules are found, which one imports what is needed), then for each run the three
file descriptors that are to be the fork's stdin, its stdout and its events; answer with the fork's pid and, once it has
ended, with its exit status. It ends when the engine's end of the socket is closed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from watoto_infra.engine.embedded import child

LARGEST_MESSAGE = 1 << 16
DESCRIPTORS = 3


def main() -> None:
    """Serve the engine until it is gone."""
    gc.disable()  # as in the child itself
    with socket.socket(fileno=int(sys.argv[1])) as engine, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        if first := engine.recv(LARGEST_MESSAGE):
            _preload(json.loads(first))
        while True:
            _, descriptors, *_ = socket.recv_fds(engine, 1, DESCRIPTORS)
            if not descriptors:
                return
            _fork(engine, descriptors)


def _preload(wanted: Mapping[str, Any]) -> None:
    sys.path[:] = wanted["path"]
    # What is wrong with the program is said by the run that imports the same.
    with contextlib.suppress(Exception, SystemExit):
        importlib.import_module(wanted["module"])
    gc.freeze()


def _fork(engine: socket.socket, descriptors: Sequence[int]) -> None:
    """Run one fork to its end."""
    pid = os.fork()
    if not pid:
        engine.close()
        _run(*descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    engine.send(str(pid).encode())
    _, status = os.waitpid(pid, 0)
    engine.send(str(os.waitstatus_to_exitcode(status)).encode())


def _run(stdin: int, stdout: int, events: int) -> NoReturn:
    for descriptor, stream in ((stdin, 0), (stdout, 1), (stdout, 2)):
        os.dup2(descriptor, stream)
    os.close(stdin)
    os.close(stdout)
    child.main(events)
    raise AssertionError("a child ends its process itself")


if __name__ == "__main__":
    main()
