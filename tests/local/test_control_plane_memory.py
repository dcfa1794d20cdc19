"""The control plane remembers: whatever it was told and answered is there after a kill, in a process of its own."""

from __future__ import annotations

import itertools
import os
import pickle
import random
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tests.local.emulated import Emulator, emulator_home, running, small_disk
from tests.providers.aws.every_case import CASES
from tests.providers.world import Case, Made, World
from watoto_infra.providers.aws.registry import RESOURCES
from watoto_infra.providers.values import to_plain_map
from watoto_infra.stack_home import StackHome

pytestmark = pytest.mark.local

SERVICES = sorted({entry.service for entry in RESOURCES.values()} | {"acm", "cloudwatch", "events", "sts"})
LOOKING = ("Describe", "List", "Get")

CHANGING_BY_ITSELF = {
    "ec2 DescribeImages": "dates of public images",
    "ec2 DescribeSnapshots": "dates of public images' snapshots",
    "ec2 DescribeVpcEndpointServices": "ids that each process makes up",
    "secretsmanager GetRandomPassword": "a password that is made up for each call",
    "sts GetSessionToken": "a token that is made up for each call",
    "iam GetUser": "a user that is made up for each call",
    "s3 ListBuckets": "the order",
    "s3 ListDirectoryBuckets": "the order",
    "cloudwatch ListMetrics": "the order, which is that of the buckets",
}
"""Answers that are not the same in another process, and what differs in them."""

MADE_ALIKE = (
    ("ec2 DescribeImages", "Images", "ImageId"),
    ("ec2 DescribeSnapshots", "Snapshots", "SnapshotId"),
    ("iam ListPolicies", "Policies", "PolicyId"),
)
"""What every process makes by itself, with ids that things refer to."""

TOLD_ANEW = frozenset({"ResponseMetadata", "LatestRestorableTime"})


@pytest.fixture(scope="module")
def home() -> Iterator[StackHome]:
    with emulator_home() as home:
        yield home


@dataclass
class Filled:
    """A control plane that was killed when it held a thing of every type, and what it had told of them before."""

    emulator: Emulator
    world: World
    things: dict[int, Made]
    reads: dict[int, Any]
    clients: dict[str, Any]
    answers: dict[str, Any]


@pytest.fixture(scope="module")
def filled(home: StackHome) -> Iterator[Filled]:
    with running(home) as emulator:
        world = World(emulator.endpoint)
        things = {number: world.make(case.type, case.inputs(world)) for number, case in enumerate(CASES)}
        reads = {number: read(world, thing) for number, thing in things.items()}
        clients = {service: emulator.client(service) for service in SERVICES}
        answers = whole_answers(clients)
        clients["logs"].create_log_group(logGroupName="/brief")  # keeps what services made when they were first asked
        clients["logs"].delete_log_group(logGroupName="/brief")
        emulator.killed_and_back()
        yield Filled(emulator, world, things, reads, clients, answers)


def read(world: World, thing: Made) -> Any:
    found = world.read(thing)
    return found.resource_id, to_plain_map(found.inputs), to_plain_map(found.properties)


def whole_answers(clients: dict[str, Any]) -> dict[str, Any]:
    """Ask everything that can be asked without naming a thing; a refusal is an answer too."""
    found = {}
    for service, client in clients.items():
        for method, operation in client.meta.method_to_api_mapping.items():
            shape = client.meta.service_model.operation_model(operation).input_shape
            if operation.startswith(LOOKING) and not (shape and shape.required_members):
                found[f"{service} {operation}"] = answer_of(getattr(client, method))
    return found


def answer_of(method: Callable[[], dict[str, Any]]) -> Any:
    try:
        return without_told_anew(method())
    except (ClientError, BotoCoreError, ResponseParserError) as refusal:
        return str(refusal)


def without_told_anew(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_told_anew(one) for name, one in value.items() if name not in TOLD_ANEW}
    return [without_told_anew(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("number", "case"),
    [pytest.param(number, case, id=case.type.removeprefix("aws:")) for number, case in enumerate(CASES)],
)
def test_a_thing_reads_the_same_after_a_kill(filled: Filled, number: int, case: Case):
    assert read(filled.world, filled.things[number]) == filled.reads[number]


def test_whole_answers_are_the_same_after_a_kill(filled: Filled):
    after = whole_answers(filled.clients)
    assert after.keys() == filled.answers.keys()
    assert len([one for one in after.values() if isinstance(one, dict)]) > 130
    differing = {name for name, answer in after.items() if answer != filled.answers[name]}
    assert differing <= set(CHANGING_BY_ITSELF)
    for name, listed, key in MADE_ALIKE:
        ids = [[one[key] for one in answers[name][listed]] for answers in (filled.answers, after)]
        assert ids[0] == ids[1] != []


def test_what_remembers_goes_on_remembering(filled: Filled):
    network = filled.clients["ec2"]
    made = network.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    filled.emulator.killed_and_back()
    assert network.describe_vpcs(VpcIds=[made])["Vpcs"][0]["CidrBlock"] == "10.77.0.0/16"
    network.delete_vpc(VpcId=made)
    filled.emulator.killed_and_back()
    with pytest.raises(ClientError, match="InvalidVpcID"):
        network.describe_vpcs(VpcIds=[made])


def test_nobody_else_may_read_the_memory(filled: Filled):
    assert filled.emulator.memory.stat().st_mode & 0o777 == 0o700
    files = list(filled.emulator.memory.iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert {file.stat().st_uid for file in files} == {filled.emulator.user.uid}


# --- kills --------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(home: StackHome, request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """An emulator of the test's own, which runs and knows nothing."""
    root = home.root.with_name(f"own-{abs(hash(request.node.name))}")
    with running(StackHome("own", root, home.sockets)) as emulator:
        yield emulator


def killed_amid(emulator: Emulator, rounds: int) -> None:
    """Have eight clients make and delete things until a kill; what was answered last must hold afterwards."""
    moments = random.Random(rounds)
    made: set[str] = set()
    going: set[str] = set()
    gone: set[str] = set()
    clients = [emulator.client("logs") for _ in range(8)]
    for number in range(rounds):
        enough = len(made) + moments.randrange(8, 80)

        def work(client: int, number: int = number, enough: int = enough) -> None:
            with suppress(BotoCoreError, ClientError):  # no answer was given, so nothing was promised
                for count in itertools.count():
                    name = f"/{number}/{client}/{count}"
                    clients[client].create_log_group(logGroupName=name)
                    made.add(name)
                    if count % 4 == 3:
                        going.add(name)  # and, when no answer comes, may have gone
                        clients[client].delete_log_group(logGroupName=name)
                        gone.add(name)
                    if len(made) >= enough:
                        emulator.kill()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(8)))
        emulator.start()
        assert len(made) >= enough
        pages = clients[0].get_paginator("describe_log_groups").paginate()
        held = {group["logGroupName"] for page in pages for group in page["logGroups"]}
        assert made - going - held == set(), "what was answered is lost"
        assert gone & held == set(), "what was deleted is back"


def test_a_kill_amid_eight_clients_loses_no_answered_change(own: Emulator):
    killed_amid(own, 3)


@pytest.mark.long
def test_forty_kills_amid_eight_clients_lose_no_answered_change(own: Emulator):
    killed_amid(own, 40)


# --- memories that cannot be used -----------------------------------------------------------------------------------


def remembered(emulator: Emulator) -> list[str]:
    return [str(one["logGroupName"]) for one in emulator.client("logs").describe_log_groups()["logGroups"]]


@pytest.fixture
def stopped(own: Emulator) -> Emulator:
    """An emulator that was told one thing and killed."""
    own.client("logs").create_log_group(logGroupName="/kept")
    own.kill()
    return own


def in_table(emulator: Emulator, statement: str, *values: Any) -> None:
    """Change the snapshot; its file stays the process's user's."""
    owner = emulator.memory.stat()
    with closing(sqlite3.connect(emulator.memory / "memory.sqlite3")) as table, table:
        table.execute(statement, values)
    assert owner.st_uid == emulator.user.uid


def assert_starts_empty(emulator: Emulator, why: str) -> None:
    """It serves, says once why it is empty, has set the old memory aside, and remembers from now on."""
    emulator.start()
    assert remembered(emulator) == []
    (line,) = [line for line in emulator.log().splitlines() if "starts empty" in line]
    assert why in line
    assert "set aside" in line
    aside = emulator.memory.with_name("control-plane.set-aside")
    assert (aside / "memory.sqlite3").exists()
    emulator.client("logs").create_log_group(logGroupName="/new")
    emulator.killed_and_back()
    assert remembered(emulator) == ["/new"]


def test_a_memory_of_another_moto_is_set_aside_and_the_control_plane_starts_empty(stopped: Emulator):
    in_table(stopped, "update memory set stamp = 'moto 4.0.0, Python 3.11, schema 1'")
    assert_starts_empty(stopped, "it is of moto 4.0.0, Python 3.11, schema 1, and this is moto ")


class Harmful:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_a_state_that_another_code_wrote_is_set_aside_and_the_control_plane_starts_empty(stopped: Emulator):
    in_table(stopped, "update memory set state = ?", pickle.dumps({("ec2", "123456789012", "us-east-1"): {}}))
    assert_starts_empty(stopped, "KeyError: 'amis'")


def test_a_state_that_ends_in_the_middle_leaves_nothing_of_it_behind(stopped: Emulator):
    in_table(stopped, "update memory set state = substr(state, 1, length(state) / 2)")
    assert_starts_empty(stopped, "its memory cannot be used")


def test_a_file_that_is_no_database_is_set_aside_and_the_control_plane_starts_empty(stopped: Emulator):
    for file in stopped.memory.iterdir():
        file.write_bytes(b"no memory at all" * 1000)
    assert_starts_empty(stopped, "file is not a database")


def planted(emulator: Emulator) -> Path:
    """Put into the memory what makes a file when it is unpickled, and name that file."""
    harm = emulator.memory.with_name("harm")
    in_table(emulator, "update memory set state = ?", pickle.dumps(Harmful(harm)))
    return harm


def test_what_is_planted_would_do_harm_if_it_were_read(stopped: Emulator):
    harm = planted(stopped)
    stopped.start()
    assert harm.exists()


def test_a_memory_that_others_could_have_written_is_not_read(stopped: Emulator):
    harm = planted(stopped)
    (stopped.memory / "memory.sqlite3").chmod(0o644)
    assert_starts_empty(stopped, "it is not this user's alone")
    assert not harm.exists()


@pytest.fixture
def on_small_disk(home: StackHome) -> Iterator[Emulator]:
    """An emulator whose memory is on a disk of 3 MiB."""
    small = Emulator(StackHome("small", home.root.with_name("small"), home.sockets))
    small.user.own_folder(small.memory)
    with small_disk(small.memory, small.user):
        try:
            small.start()
            yield small
        finally:
            small.kill()


def test_a_full_disk_refuses_changes_and_the_next_that_is_kept_keeps_them_all(on_small_disk: Emulator):
    logs = on_small_disk.client("logs")
    logs.create_log_group(logGroupName="/before")
    filler = on_small_disk.memory / "filler"
    filler.touch(mode=0o600)
    os.chown(filler, on_small_disk.user.uid, on_small_disk.user.gid)
    with suppress(OSError):
        filler.write_bytes(b"x" * 4 * 1024 * 1024)

    for name in ("/amid", "/amid-too"):
        with pytest.raises(ClientError) as refused:
            logs.create_log_group(logGroupName=name)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507

    filler.unlink()
    logs.create_log_group(logGroupName="/after")
    on_small_disk.killed_and_back()
    assert remembered(on_small_disk) == ["/after", "/amid", "/amid-too", "/before"]
