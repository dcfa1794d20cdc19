"""When the control plane's memory is written: before an answer, once for many, and for nothing that only looks."""

from __future__ import annotations

import io
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from moto.core.base_backend import BackendDict
from werkzeug.test import Client
from werkzeug.wrappers import Response

from watoto_infra.local.emulator import as_pickled
from watoto_infra.local.emulator.memory import STAMP, Memory, may_change
from watoto_infra.local.emulator.snapshot import Snapshots

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/ec2/aws4_request"}


class World:
    """Stands in for moto: counts what changes, and gives that count for its state."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.changes = 0
        self.written: list[int] = []
        self.problem: Exception | None = None
        self.inside = threading.Lock()
        monkeypatch.setattr(as_pickled, "dump_state", self.dump)
        monkeypatch.setattr(Snapshots, "write", self.write)
        self.client = Client(Memory(folder).around(self.application), Response)

    def application(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert self.inside.acquire(blocking=False), "two were handled at a time"
        self.changes += 1
        number = self.changes
        self.inside.release()
        return Response(str(number))(environ, start_response)

    def dump(self) -> bytes:
        assert self.inside.acquire(blocking=False), "a request was handled while the state was pickled"
        self.inside.release()
        if isinstance(self.problem, TypeError):
            raise self.problem
        return str(self.changes).encode()

    def write(self, _stamp: str, state: bytes) -> None:
        if self.problem is not None:
            raise self.problem
        threading.Event().wait(0.02)
        self.written.append(int(state))

    def post(self, **form: str) -> Response:
        return self.client.post("/", data=form, headers=SIGNED)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path / "memory")


def test_a_change_is_on_disk_before_it_is_answered_and_a_look_writes_nothing(world: World):
    assert int(world.post(Action="CreateVpc").get_data(as_text=True)) == world.written[-1] == 1
    world.post(Action="DescribeVpcs")
    assert world.written == [1]


def test_of_many_changes_at_once_several_are_covered_by_one_write(world: World):
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: int(world.post(Action="CreateVpc").get_data(as_text=True)), range(60)))
    assert max(world.written) == max(answers) == 60
    assert len(world.written) < 30


def test_whoever_is_answered_was_covered_by_a_write_that_was_done(world: World):
    def covered(_: int) -> bool:
        number = int(world.post(Action="CreateVpc").get_data(as_text=True))
        return max(world.written) >= number

    with ThreadPoolExecutor(20) as threads:
        assert all(threads.map(covered, range(60)))


@pytest.mark.parametrize(
    ("problem", "status"),
    [(OSError(28, "no space"), 507), (OSError(5, "broken"), 500), (TypeError("cannot pickle 'x' object"), 500)],
    ids=["full", "broken", "unpicklable"],
)
def test_what_cannot_be_kept_is_refused_and_the_next_write_covers_it(
    world: World, problem: Exception, status: int, capfd: pytest.CaptureFixture[str]
):
    world.problem = problem
    assert world.post(Action="CreateVpc").status_code == status
    assert "a change is refused" in capfd.readouterr().err
    assert world.post(Action="DescribeVpcs").status_code == 200

    world.problem = None
    assert world.post(Action="CreateSubnet").status_code == 200
    assert world.written == [3]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        pytest.param("/moto-api/config", SIGNED, id="moto's own"),
        pytest.param("/bucket/key", {}, id="unsigned"),
        pytest.param("/bucket/key", {"Authorization": "AWS4 Credential=x/1/us-east-1/s3/aws4_request"}, id="S3"),
    ],
)
def test_what_is_of_no_service_or_kept_by_s3_writes_nothing(world: World, path: str, headers: dict[str, str]):
    assert world.client.put(path, data=b"x", headers=headers).status_code == 200
    assert world.written == []


def test_s3_control_is_signed_like_s3_and_is_kept(world: World):
    headers = {"Authorization": "AWS4 Credential=x/1/us-east-1/s3/aws4_request", "x-amz-account-id": "1"}
    world.client.put("/v20180820/configuration/publicAccessBlock", data=b"x", headers=headers)
    assert world.written == [1]


def request(method: str, *, target: str = "", query: str = "", form: str = "") -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "HTTP_X_AMZ_TARGET": target,
        "QUERY_STRING": query,
        "CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8" if form else "",
        "CONTENT_LENGTH": str(len(form)),
        "wsgi.input": io.BytesIO(form.encode()),
    }


@pytest.mark.parametrize(
    ("asked", "changes"),
    [
        (request("POST", form="Action=RunInstances&Version=2016-11-15"), True),
        (request("POST", form="Version=2016-11-15&Action=DescribeInstances"), False),
        (request("POST", form="Name=Action%3DGet&Action=CreateTags"), True),
        (request("GET", query="Action=CreateVpc"), True),
        (request("GET", query="Action=DescribeVpcs"), False),
        (request("POST", target="AmazonSSM.PutParameter"), True),
        (request("POST", target="AmazonSSM.GetParameter"), False),
        (request("POST", target="AmazonSQS.ReceiveMessage"), True),
        (request("GET"), False),
        (request("HEAD"), False),
        (request("POST"), True),
        (request("PUT"), True),
        (request("DELETE"), True),
        (request("POST", form="no=operation"), True),
    ],
)
def test_what_may_change_something_is_told_by_the_operation_or_else_by_the_method(asked: dict[str, Any], changes: bool):
    body = asked["wsgi.input"].getvalue()
    assert may_change(asked) is changes
    assert asked["wsgi.input"].read() == body, "who handles the request must still find it"


# --- what is found at a start -------------------------------------------------------------------------------------


class Restored:
    """A memory's folder, and what of it moto was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = folder
        self.loaded: list[bytes] = []
        monkeypatch.setattr(as_pickled, "load_state", self.loaded.append)
        monkeypatch.setattr(as_pickled, "forget_all", self.loaded.clear)

    @property
    def file(self) -> Path:
        return self.folder / "memory.sqlite3"

    def written(self, stamp: str, state: bytes) -> None:
        snapshots = Snapshots(self.folder)
        snapshots.write(stamp, state)
        snapshots.close()

    def restore(self) -> list[bytes]:
        Memory(self.folder).restore()
        return self.loaded


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Restored:
    restored = Restored(monkeypatch, tmp_path / "memory")
    restored.written(STAMP, b"the last state")
    return restored


def test_the_last_snapshot_is_read(restored: Restored, capfd: pytest.CaptureFixture[str]):
    assert restored.restore() == [b"the last state"]
    assert capfd.readouterr().err == ""


def test_where_there_is_no_memory_yet_nothing_is_made_or_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    assert Restored(monkeypatch, tmp_path / "none").restore() == []
    assert capfd.readouterr().err == ""
    assert not (tmp_path / "none").exists()


def test_a_new_memory_is_its_users_alone_whatever_the_umask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    restored = Restored(monkeypatch, tmp_path / "open to all")
    before = os.umask(0)
    try:
        restored.written(STAMP, b"x")
    finally:
        os.umask(before)
    assert restored.folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in restored.folder.iterdir()} == {0o600}


def open_the_file(restored: Restored) -> None:
    restored.file.chmod(0o604)


def let_the_group_read_the_file(restored: Restored) -> None:
    restored.file.chmod(0o640)


def open_the_folder(restored: Restored) -> None:
    restored.folder.chmod(0o701)


def plant_another_file(restored: Restored) -> None:
    (restored.folder / "memory.sqlite3-wal").touch(mode=0o666)
    (restored.folder / "memory.sqlite3-wal").chmod(0o666)


def give_the_file_away(restored: Restored) -> None:
    give_away(restored.file)


def give_the_folder_away(restored: Restored) -> None:
    give_away(restored.folder)


def give_away(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 65534, 65534)


def put_a_link_to_the_file(restored: Restored) -> None:
    elsewhere = restored.folder.with_name("elsewhere")
    restored.file.rename(elsewhere)
    restored.file.symlink_to(elsewhere)


def put_a_link_to_the_folder(restored: Restored) -> None:
    elsewhere = restored.folder.with_name("elsewhere")
    restored.folder.rename(elsewhere)
    restored.folder.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "spoil",
    [
        open_the_file,
        let_the_group_read_the_file,
        open_the_folder,
        plant_another_file,
        give_the_file_away,
        give_the_folder_away,
        put_a_link_to_the_file,
        put_a_link_to_the_folder,
    ],
)
def test_what_others_could_have_written_or_read_is_set_aside_unread(
    restored: Restored, spoil: Callable[[Restored], None], capfd: pytest.CaptureFixture[str]
):
    spoil(restored)
    assert restored.restore() == []
    (line,) = capfd.readouterr().err.splitlines()
    assert "starts empty" in line
    assert "it is not this user's alone" in line
    assert restored.folder.with_name("memory.set-aside").exists()

    restored.written(STAMP, b"a new state")
    assert restored.restore() == [b"a new state"]


def test_only_the_last_that_was_set_aside_is_kept(restored: Restored):
    for number in range(3):
        restored.written(f"moto {number}", b"x")
        assert restored.restore() == []
    assert sorted(path.name for path in restored.folder.parent.iterdir()) == ["memory.set-aside"]


def test_where_it_cannot_be_set_aside_the_control_plane_starts_and_refuses_changes(
    restored: Restored, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    def refuse(*_: object) -> None:
        raise OSError(16, "busy")

    open_the_file(restored)
    monkeypatch.setattr(Path, "rename", refuse)
    assert restored.restore() == []
    assert "nothing can be kept until it is removed" in capfd.readouterr().err
    with pytest.raises(OSError, match="this user's alone"):
        restored.written(STAMP, b"never")


def test_a_memory_that_somebody_else_has_open_is_left_as_it_is(restored: Restored):
    looking = Snapshots(restored.folder)
    looking.read()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        restored.restore()
    looking.close()
    assert restored.restore() == [b"the last state"]


def test_every_service_of_moto_is_found_by_the_name_it_is_kept_under():
    from moto.backends import get_backend, list_of_moto_modules  # noqa: PLC0415 - imports every service

    found = 0
    for name in list_of_moto_modules():
        try:
            backends = get_backend(name)
        except AttributeError:
            continue  # a module without a service
        if not isinstance(backends, BackendDict):
            continue  # no states of services
        assert as_pickled._service_of(backends.backend) == name
        found += 1
    assert found > 150
