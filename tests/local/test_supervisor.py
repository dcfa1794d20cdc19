"""The stack's supervisor, with real processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from watoto_infra.errors import PortTaken, ServiceFailed
from watoto_infra.stack_home import StackHome, locate
from watoto_infra.supervision.ports import PortTable
from watoto_infra.supervision.service import Service
from watoto_infra.supervision.supervisor import Start, Supervisor
from watoto_infra.supervision.unix_user import PYTHON, process_user
from watoto_infra.values.addresses import Endpoint

pytestmark = pytest.mark.local


@pytest.fixture
def home(monkeypatch):
    # pytest's own folders are closed to the system user, as which root's processes run.
    with tempfile.TemporaryDirectory(prefix="watoto-") as base:
        Path(base).chmod(0o755)
        monkeypatch.setenv("WATOTO_HOME", base)
        yield locate("probe")


@pytest.fixture
def supervisor(home: StackHome):
    supervisor = Supervisor(home, process_user())
    yield supervisor
    supervisor.shutdown()
    shutil.rmtree(home.sockets, ignore_errors=True)


def web(home: StackHome, address: Endpoint, *, command: tuple[str, ...] | None = None, seconds: float = 20) -> Service:
    serve = (PYTHON, "-m", "http.server", "--bind", address.host, str(address.port))
    return Service(
        name="web",
        command=command or serve,
        folder=Path("/"),
        stands_for="a test",
        healthy=lambda: answers(address),
        address=address,
        start_seconds=seconds,
        environment={"NOTE": 'a "quoted" 100% value'},
    )


def answers(address: Endpoint | None) -> bool:
    assert address is not None
    try:
        with urllib.request.urlopen(f"http://{address.host}:{address.port}/", timeout=1):
            return True
    except OSError:
        return False


def free_address() -> Endpoint:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Endpoint("127.0.0.1", probe.getsockname()[1])


def gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def test_a_started_service_is_healthy_and_a_second_start_leaves_it_running(supervisor, home):
    service = web(home, free_address())
    supervisor.start(service)
    pid = supervisor.states()["web"]["pid"]
    supervisor.start(service)
    assert answers(service.address)
    assert supervisor.states()["web"]["pid"] == pid


def test_nobody_but_the_owner_can_reach_the_supervisor(supervisor, home):
    supervisor.start(web(home, free_address()))
    assert (home.sockets / "supervisor").stat().st_mode & 0o077 == 0
    assert home.sockets.stat().st_mode & 0o077 == 0
    assert (home.sockets / "supervisor").stat().st_uid == process_user().uid


def test_processes_run_as_the_unprivileged_user(supervisor, home):
    supervisor.start(web(home, free_address()))
    pid = supervisor.states()["web"]["pid"]
    assert Path(f"/proc/{pid}").stat().st_uid == process_user().uid != 0


def test_a_service_that_dies_is_started_again(supervisor, home):
    service = web(home, free_address())
    supervisor.start(service)
    pid = supervisor.states()["web"]["pid"]
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    deadline = time.monotonic() + 10
    while not answers(service.address) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answers(service.address)


def test_services_end_with_a_killed_supervisor_and_the_next_start_brings_them_back(supervisor, home):
    service = web(home, free_address())
    supervisor.start(service)
    child = supervisor.states()["web"]["pid"]
    daemon = int((home.run / "supervisord.pid").read_text())
    os.kill(daemon, signal.SIGKILL)
    assert gone(child)
    supervisor.start(service)
    assert answers(service.address)


def test_a_changed_command_restarts_the_service(supervisor, home):
    supervisor.start(web(home, free_address()))
    moved = web(home, free_address())
    supervisor.start(moved)
    assert answers(moved.address)


def test_who_only_looks_starts_what_does_not_run(supervisor, home):
    service = web(home, free_address())
    assert supervisor.start(service, may_restart=False) is Start.STARTED
    assert answers(service.address)


def test_who_only_looks_waits_for_a_slow_service_says_so_and_leaves_it_running(supervisor, home, monkeypatch):
    monkeypatch.setattr("watoto_infra.supervision.supervisor.SLOW_SECONDS", 0.3)
    service = web(home, free_address())
    said: list[str] = []
    supervisor.start(service)
    pid = supervisor.states()["web"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(1.5, os.kill, (pid, signal.SIGCONT)).start()
    assert supervisor.start(service, may_restart=False, say=said.append) is Start.RAN
    assert said == ["a test is slow to answer"]
    assert supervisor.states()["web"]["pid"] == pid


def test_who_only_looks_never_ends_a_service_that_does_not_answer_and_is_told_its_pid(supervisor, home):
    service = web(home, free_address(), seconds=1.5)
    supervisor.start(service)
    pid = supervisor.states()["web"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ServiceFailed, match=rf"a test does not answer within 2 s \(web, pid {pid}\)") as caught:
        supervisor.start(service, may_restart=False)
    assert "`watoto stop --stack probe` and `watoto start --stack probe`" in (caught.value.hint or "")
    os.kill(pid, signal.SIGCONT)
    assert supervisor.start(service, may_restart=False) is Start.RAN
    assert supervisor.states()["web"]["pid"] == pid


def test_who_may_restart_replaces_a_service_that_does_not_answer(supervisor, home):
    service = web(home, free_address(), seconds=1.5)
    supervisor.start(service)
    pid = supervisor.states()["web"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert supervisor.start(service) is Start.RESTARTED
    assert supervisor.states()["web"]["pid"] != pid


def test_who_only_looks_uses_a_changed_service_as_it_runs_and_the_next_who_may_restarts_it(supervisor, home):
    service = web(home, free_address())
    supervisor.start(service)
    pid = supervisor.states()["web"]["pid"]
    changed = replace(service, environment={"NOTE": "another"})
    assert supervisor.start(changed, may_restart=False) is Start.RAN
    assert supervisor.states()["web"]["pid"] == pid
    assert supervisor.start(changed) is Start.RESTARTED
    assert supervisor.states()["web"]["pid"] != pid


def test_a_supervisor_that_does_not_answer_is_not_taken_for_dead(supervisor, home, monkeypatch):
    monkeypatch.setattr("watoto_infra.supervision.supervisor.DAEMON_SECONDS", 0.5)
    service = web(home, free_address())
    supervisor.start(service)
    pid = supervisor.states()["web"]["pid"]
    socket_file = home.sockets / "supervisor"
    socket_file.rename(home.sockets / "elsewhere")
    with pytest.raises(ServiceFailed, match=r"supervisord \(pid \d+\) of stack probe does not answer"):
        supervisor.start(service)
    (home.sockets / "elsewhere").rename(socket_file)
    assert supervisor.states()["web"]["pid"] == pid


def test_a_service_that_never_becomes_healthy_fails_with_its_last_words_and_is_stopped(supervisor, home):
    script = "import sys,time; print('the disk is on fire', flush=True); time.sleep(60)"
    broken = web(home, free_address(), command=(PYTHON, "-c", script), seconds=1.5)
    with pytest.raises(ServiceFailed, match="the disk is on fire") as caught:
        supervisor.start(broken)
    assert "web.log" in (caught.value.hint or "")
    assert supervisor.states()["web"]["statename"] in {"STOPPED", "EXITED"}


def test_a_taken_port_is_named_before_anything_starts(supervisor, home):
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        address = Endpoint("127.0.0.1", squatter.getsockname()[1])
        with pytest.raises(PortTaken, match=f"port {address.port}"):
            supervisor.start(web(home, address))
    assert "web" not in supervisor.states()


def test_after_shutdown_no_process_of_the_stack_is_left(supervisor, home):
    supervisor.start(web(home, free_address()))
    pids = [supervisor.states()["web"]["pid"], int((home.run / "supervisord.pid").read_text())]
    supervisor.shutdown()
    assert all(gone(pid) for pid in pids)
    assert supervisor.states() == {}


def test_a_reserved_port_is_the_same_for_ever_and_two_things_never_share_one(tmp_path):
    table = PortTable(tmp_path / "ports.json")
    first = [table.reserve(f"urn-{number}", "postgresql") for number in range(20)]
    again = [PortTable(tmp_path / "ports.json").reserve(f"urn-{number}", "postgresql") for number in range(20)]
    assert first == again
    assert len({address.port for address in first}) == 20
    assert {address.host for address in first} == {"127.0.0.1"}


def test_a_stopped_stacks_ports_are_given_to_no_other_stack_until_it_is_gone(tmp_path, monkeypatch):
    # Tables whose names hash alike look from the same place: without claims both would be given the same ports.
    monkeypatch.setattr("watoto_infra.supervision.ports.zlib.crc32", lambda _name: 4000)
    stopped, other, late = (PortTable(tmp_path / name / "ports.json") for name in ("stopped", "other", "late"))
    for name in ("stopped", "other", "late"):
        (tmp_path / name).mkdir()
    kept = {stopped.reserve(f"urn-{number}", "redis").port for number in range(5)}
    given = {other.reserve(f"urn-{number}", "redis").port for number in range(5)}
    assert kept.isdisjoint(given)

    stopped.release_all()
    shutil.rmtree(tmp_path / "other")  # wiped from the disk without a word
    again = {late.reserve(f"urn-{number}", "redis").port for number in range(10)}
    late.release_all()
    assert kept | given == again


def test_the_passphrase_reaches_none_of_the_stacks_processes(home, supervisor, monkeypatch):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "xyzzy-planted")
    supervisor.start(web(home, free_address()))
    processes = [supervisor.states()["web"]["pid"], int((home.run / "supervisord.pid").read_text())]
    for process in processes:
        assert b"xyzzy-planted" not in Path(f"/proc/{process}/environ").read_bytes()
