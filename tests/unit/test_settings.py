"""A stage's settings: what the shipped stages say, how layers merge, and what follows from single values."""

from __future__ import annotations

import shutil
import subprocess
import sys
from ipaddress import IPv4Network
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from watoto_infra.settings import DataClass, load_stage, scale_override, settings_root
from watoto_infra.settings.merge import DEFAULT, Layers
from watoto_infra.settings.network import Nat, NetworkSettings
from watoto_infra.settings.schema import json_schema
from watoto_infra.settings.source_image import source_image
from watoto_infra.settings.windows import DAYS, daily_minutes, days_later, overlap, weekly_minutes
from watoto_infra.settings.yaml_file import parse

STAGES = ("phase1", "phase2", "phase3")


def test_phase2_has_the_guides_sizes():
    app = load_stage("phase2").settings.app

    assert (app.min_size, app.max_size, app.desired) == (2, 10, 3)
    assert (app.cooldown_seconds, app.health_grace_seconds) == (300, 300)
    assert load_stage("phase2").settings.network.zones == ("us-east-1a", "us-east-1b", "us-east-1c")
    assert load_stage("phase2").settings.database.replicas == 2


@pytest.mark.parametrize(
    ("stage", "usage"),
    [
        ("phase1", (100, 500, 50_000, 1)),
        ("phase2", (1_000, 5_000, 500_000, 10)),
        ("phase3", (10_000, 50_000, 5_000_000, 100)),
    ],
)
def test_each_stage_is_sized_for_the_guides_level_of_use(stage, usage):
    assert tuple(load_stage(stage).settings.usage.model_dump().values()) == usage


@pytest.mark.parametrize("stage", STAGES)
def test_the_objectives_are_the_guides_in_every_stage(stage):
    objectives = load_stage(stage).settings.objectives

    assert (objectives.api_ms, objectives.simple_query_ms, objectives.complex_query_ms) == (200, 100, 500)
    assert (objectives.upload_ms, objectives.report_ms) == (2_000, 10_000)
    assert (objectives.requests_per_second, objectives.error_rate_percent) == (1_000, 0.1)
    assert objectives.availability_percent == 99.9
    in_minutes = {one: objectives.recovery.of(one) for one in DataClass}
    assert {one.value: (goal.rto_minutes, goal.rpo_minutes) for one, goal in in_minutes.items()} == {
        "critical": (60, 5),
        "important": (240, 60),
        "standard": (1440, 1440),
    }


def test_protection_is_on_unless_the_target_is_local():
    image = {"app": {"image": "lms@sha256:" + "1" * 64}}

    assert load_stage("phase1", target="aws", overrides=image).settings.protection
    assert not load_stage("phase1", target="local").settings.protection


def test_each_value_knows_where_it_was_set():
    origins = load_stage("phase3", overrides={"queue": {"username": "someone"}}).origins

    def line_of(file: str, text: str) -> int:
        lines = (settings_root() / file).read_text().splitlines()
        return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(text))

    assert str(origins["database.replicas"]) == f"stacks/phase2.yaml:{line_of('stacks/phase2.yaml', 'replicas')}"
    assert str(origins["database.shards"]) == f"stacks/phase3.yaml:{line_of('stacks/phase3.yaml', 'shards')}"
    assert (
        str(origins["protection"])
        == f"stacks/overlays/local.yaml:{line_of('stacks/overlays/local.yaml', 'protection')}"
    )
    assert str(origins["network.zones"]) == f"stacks/phase1.yaml:{line_of('stacks/phase1.yaml', 'zones')}"
    assert str(origins["queue.username"]) == "override"
    assert str(origins["database.name"]) == "default"
    assert str(origins["app.image"]) == "digest of src/lms_app"


def test_a_scaled_app_holds_its_number():
    app = load_stage("phase2", overrides=scale_override(7)).settings.app

    assert app.desired == 7
    assert app.hold_desired


def test_a_stage_of_ones_own_can_extend_another(tmp_path):
    shutil.copytree(settings_root() / "stacks", tmp_path / "stacks")
    (tmp_path / "stacks" / "phase1-replica.yaml").write_text("extends: phase1\ndatabase: {replicas: 1}\n")

    loaded = load_stage("phase1-replica", root=tmp_path)

    assert loaded.settings.database.replicas == 1
    assert loaded.settings.app.max_size == 2


def test_the_local_image_is_the_digest_of_the_source_tree(tmp_path):
    shutil.copytree(settings_root() / "stacks", tmp_path / "stacks")
    tree = tmp_path / "src" / "lms_app"
    (tree / "__pycache__").mkdir(parents=True)
    (tree / "app.py").write_text("one")
    first = load_stage("phase2", root=tmp_path).settings.app.image

    (tree / "__pycache__" / "app.pyc").write_text("a cache is no source")
    assert load_stage("phase2", root=tmp_path).settings.app.image == first == source_image(tree)

    (tree / "app.py").write_text("two")
    second = load_stage("phase2", root=tmp_path).settings.app.image
    assert second != first
    (tree / "app.py").rename(tree / "apq.py")
    assert load_stage("phase2", root=tmp_path).settings.app.image not in (first, second)


@pytest.mark.parametrize("stage", STAGES)
def test_the_schema_accepts_the_shipped_stages(stage):
    jsonschema.Draft202012Validator.check_schema(json_schema())
    document = yaml.safe_load((settings_root() / "stacks" / f"{stage}.yaml").read_text())

    jsonschema.validate(document, json_schema())


@pytest.mark.parametrize(
    "wrong",
    [
        {"databse": {}},
        {"database": {"replicas": -1}},
        {"app": {"image": "lms:latest"}},
        {"database": {"backup_window": "noon"}},
        {"network": {"nat": "two"}},
        {"cache": {"state": {"eviction": "sometimes"}}},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, json_schema())


def test_stages_are_found_in_an_installed_package_too(tmp_path):
    source = Path(__file__).parents[2]
    package = tmp_path / "site" / "watoto_infra"
    for room in ("settings", "values"):
        shutil.copytree(source / "watoto_infra" / room, package / room)
    for name in ("__init__.py", "errors.py"):
        shutil.copy(source / "watoto_infra" / name, package)
    shutil.copytree(source / "stacks", package / "_data" / "stacks")

    code = "from watoto_infra.settings import *; print(stage_names(), load_stage('phase2').settings.app.max_size)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "site", capture_output=True, text=True, check=True
    )

    assert run.stdout == "['phase1', 'phase2', 'phase3'] 10\n"


def test_settings_do_not_import_pulumi():
    code = "import sys, watoto_infra.settings; sys.exit(any(name.startswith('pulumi') for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=settings_root()).returncode == 0


@given(
    cidr=st.sampled_from(["10.20.0.0/16", "172.16.64.0/18", "192.168.0.0/20"]),
    extra=st.integers(min_value=4, max_value=8),
    zones=st.integers(min_value=2, max_value=4),
)
def test_subnets_lie_in_the_network_and_apart_and_stay_when_a_zone_is_added(cidr, extra, zones):
    prefix = IPv4Network(cidr).prefixlen + extra
    names = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"]

    def subnets(count: int) -> dict[tuple[str, str], IPv4Network]:
        network = NetworkSettings(cidr=cidr, subnet_prefix=prefix, zones=tuple(names[:count]), nat=Nat.NONE)
        return {(tier, zone): IPv4Network(one) for tier, row in network.subnets.items() for zone, one in row.items()}

    few = subnets(zones)
    blocks = sorted(few.values())
    assert all(block.subnet_of(IPv4Network(cidr)) and block.prefixlen == prefix for block in blocks)
    assert not any(first.overlaps(second) for first, second in pairwise(blocks))
    assert len(blocks) == 4 * zones
    assert few.items() <= subnets(4).items()


@pytest.mark.parametrize(("nat", "count"), [(Nat.NONE, 0), (Nat.SINGLE, 1), (Nat.ONE_PER_AZ, 3)])
def test_there_are_as_many_nat_gateways_as_asked_for(nat, count):
    network = NetworkSettings(zones=("us-east-1a", "us-east-1b", "us-east-1c"), nat=nat)

    assert len(network.nat_zones) == count


CLOCK = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59))
DAILY = st.builds(lambda start, end: f"{start}-{end}", CLOCK, CLOCK)
WEEKLY = st.builds(
    lambda day, start, last, end: f"{day}:{start}-{last}:{end}",
    st.sampled_from(DAYS),
    CLOCK,
    st.sampled_from(DAYS),
    CLOCK,
)


@given(DAILY, WEEKLY)
def test_windows_overlap_when_they_have_a_minute_in_common(daily, weekly):
    day_start, day_length = daily_minutes(daily)
    week_start, week_length = weekly_minutes(weekly)
    assume(day_length and week_length)  # empty windows are refused before
    every_day = {(day * 1440 + day_start + minute) % 10080 for day in range(7) for minute in range(day_length)}
    once_a_week = {(week_start + minute) % 10080 for minute in range(week_length)}

    assert overlap(daily, weekly) == bool(every_day & once_a_week)


@given(WEEKLY, st.integers(0, 20))
def test_a_window_some_days_later_is_as_long(weekly, days):
    start, length = weekly_minutes(weekly)

    assert weekly_minutes(days_later(weekly, days)) == ((start + days * 1440) % 10080, length)


NESTED = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3), max_leaves=8
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), NESTED, max_size=3)


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


@given(st.lists(MAPPINGS, min_size=1, max_size=4))
def test_every_merged_value_comes_from_the_last_layer_that_set_it(documents):
    layers = Layers()
    for number, document in enumerate(documents):
        layers.lay(document, f"layer {number}")

    for path, value in leaves(layers.values):
        origin = layers.set_at(path)
        assert origin is not None
        assert (path, value) in list(leaves(documents[int(origin.source.split()[1])]))
        later = documents[int(origin.source.split()[1]) + 1 :]
        assert not any(found == path for document in later for found, _ in leaves(document))


def test_a_list_replaces_a_list_and_an_empty_map_changes_nothing():
    layers = Layers()
    layers.lay_file(parse("a: [1, 2]\nb: {c: 1}\n", "one"))
    layers.lay_file(parse("a: [3]\n\nb: {}\n", "two"))

    assert layers.values["a"] == [3]
    assert str(layers.set_at(("a",))) == "two:1"
    assert layers.set_at(("nothing",)) is None
    assert str(DEFAULT) == "default"
