"""The processes beside the app servers are the same on every target, and none of them is forgotten anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lms_app.job_kinds import Queue
from tests.local.topologies import place_files, temporary_home, topology_of
from watoto_infra.derived.background import BACKGROUND, jobs
from watoto_infra.derived.names import QUEUES, WORKERS
from watoto_infra.servers.lms import process as lms
from watoto_infra.servers.topology import Topology
from watoto_infra.settings import load_stage
from watoto_infra.supervision.service import Service, Task

ROOT = Path(__file__).parents[2]
NAMES = {"worker-email", "worker-notification", "worker-analytics", "relay", "heartbeat"}


@pytest.fixture(scope="module")
def topology():
    with temporary_home() as home:
        topology = topology_of(home, "phase2")
        place_files(topology, "gunicorn")
        yield topology


def services(topology: Topology) -> dict[str, Service]:
    return {unit.name: unit for unit in lms.units(topology) if isinstance(unit, Service)}


def test_every_background_process_is_in_the_list():
    assert {process.name for process in BACKGROUND} == NAMES
    assert {process.arguments[1] for process in BACKGROUND if process.arguments[0] == "worker"} == set(QUEUES)


def test_this_machine_runs_every_background_process_with_what_it_is_told_elsewhere(topology: Topology):
    here = services(topology)
    for process in BACKGROUND:
        assert here[process.name].command[2:] == ("flask", *process.arguments)


def test_instances_and_pods_run_every_one_that_can_start_there():
    with_mail = {"app": {"mail_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:mail"}}
    assert set(jobs(load_stage("phase2").settings.app)) == NAMES - {"worker-email"}
    assert set(jobs(load_stage("phase2", overrides=with_mail).settings.app)) == NAMES


def test_every_process_of_the_lms_stands_still_while_rows_move_between_databases(topology: Topology):
    connected = {
        name
        for name, service in services(topology).items()
        if any(re.fullmatch(r"LMS_(DATABASE_PRIMARY_URL|SHARD_MAP)_FILE", key) for key in service.environment)
    }
    assert connected == {*NAMES, "app1", "app2", "app3"}
    assert {name for name, service in services(topology).items() if service.uses_database} == connected
    moving = [unit for unit in lms.units(topology) if isinstance(unit, Task) and unit.stops_database_users]
    assert [task.name for task in moving] == [lms.PLACEMENT]


def test_every_worker_has_the_queue_that_the_lms_publishes_its_jobs_to():
    assert set(QUEUES) == {f"{worker}_queue" for worker in WORKERS} == {queue.value for queue in Queue}
