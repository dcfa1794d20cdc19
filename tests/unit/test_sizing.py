"""How a machine is shared out among a stage's servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watoto_infra.derived.machines import Machine, of_instance_type
from watoto_infra.errors import ServiceFailed
from watoto_infra.local.sizing import share_out, this_machine
from watoto_infra.settings import load_stage

STAGES = {name: load_stage(name).settings for name in ("phase1", "phase2", "phase3")}


def servers(stage: str) -> tuple[int, int]:
    settings = STAGES[stage]
    database = settings.database
    databases = 1 + database.replicas + database.shards * (1 + database.shard_replicas)
    return databases, sum(1 + group.replicas for group in settings.cache.groups.values())


@given(stage=st.sampled_from(sorted(STAGES)), gib=st.integers(8, 4096), cores=st.integers(1, 256))
def test_no_server_gets_more_than_it_declares_and_all_together_no_more_than_there_is(stage, gib, cores):
    settings, machine = STAGES[stage], Machine(cores, gib * 1024)

    shares = share_out(settings, machine)

    databases, caches = servers(stage)
    assert shares.database.memory_mib <= of_instance_type(settings.database.instance_class).memory_mib
    assert shares.queue.memory_mib <= of_instance_type(settings.queue.instance_type).memory_mib
    shared = shares.database.memory_mib * databases + shares.cache.memory_mib * caches + shares.queue.memory_mib
    assert shared < machine.memory_mib
    assert shares.app.cores >= 1
    assert shares.app.cores * settings.app.desired <= max(cores, settings.app.desired)


def test_a_stage_that_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(
        ServiceFailed, match=r"needs about 3,\d{3} MiB .* which has 2,048: 3 PostgreSQL servers"
    ) as told:
        share_out(STAGES["phase2"], Machine(2, 2048))

    assert "lower app.desired" in (told.value.hint or "")


def test_the_user_is_told_how_much_smaller_the_rehearsal_is():
    note = share_out(STAGES["phase2"], Machine(2, 24_000)).note

    assert note.startswith("sized for this machine (2 cores, 24,000 MiB): each PostgreSQL server 2,800 MiB of the")


def test_this_machine_has_processors_and_memory():
    machine = this_machine()

    assert machine.cores >= 1
    assert machine.memory_mib > 256
