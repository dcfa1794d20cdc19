"""Every mistake in a stage gets one clear line that says where, which key, which value and what is allowed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from watoto_infra.errors import ExitCode, SettingsError, UsageError, WatotoError
from watoto_infra.settings import StageSettings, load_stage, settings_root, stage_names
from watoto_infra.settings.problems import section_model

DIGEST = "registry.example.com/lms@sha256:" + "0" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(settings_root() / "stacks", tmp_path / "stacks")
    return tmp_path


def write(root: Path, text: str, name: str = "school") -> None:
    (root / "stacks" / f"{name}.yaml").write_text(text)


def refused(root: Path, text: str) -> SettingsError:
    write(root, text)
    with pytest.raises(SettingsError) as caught:
        load_stage("school", root=root)
    assert_clear(caught.value)
    return caught.value


def assert_clear(error: WatotoError) -> None:
    assert "\n" not in error.message
    assert len(error.message) < 400
    assert error.hint
    assert "\n" not in error.hint
    assert "Traceback" not in error.message
    assert "pydantic" not in error.message


CASES = {
    "an unknown section": (
        "databse: {replicas: 1}",
        'stacks/school.yaml:2: databse is {"replicas": 1}, but there is no such key',
        "did you mean database?",
    ),
    "an unknown key": (
        "database:\n  replica: 2",
        "stacks/school.yaml:3: database.replica is 2, but there is no such key",
        "did you mean database.replicas?",
    ),
    "a key like no other": (
        "queue:\n  zzz: 2",
        "stacks/school.yaml:3: queue.zzz is 2, but there is no such key",
        "allowed here: engine_version, deployment",
    ),
    "a word for a number": (
        "database:\n  replicas: two",
        'stacks/school.yaml:3: database.replicas is "two"; allowed: a whole number',
        "docs/reference/settings.md",
    ),
    "a number in quotes": (
        'database:\n  replicas: "2"',
        'stacks/school.yaml:3: database.replicas is "2"; allowed: a whole number',
        "",
    ),
    "a fraction": ("database:\n  replicas: 1.5", "database.replicas is 1.5; allowed: a whole number", ""),
    "a number for true or false": (
        "database:\n  multi_az: 1",
        "stacks/school.yaml:3: database.multi_az is 1; allowed: true or false",
        "",
    ),
    "a list for a section": ("database: [1]", "stacks/school.yaml:2: database is [1]; allowed: a section", ""),
    "nothing for a section": ("database:", "stacks/school.yaml:2: database is empty; allowed: a section", ""),
    "a text for a list": ("network:\n  zones: us-east-1a", 'network.zones is "us-east-1a"; allowed: a list', ""),
    "replicas below zero": (
        "database:\n  replicas: -1",
        "stacks/school.yaml:3: database.replicas is -1; allowed: 0 or more",
        "",
    ),
    "more replicas than RDS has": ("database: {replicas: 16}", "database.replicas is 16; allowed: 15 or less", ""),
    "min above desired": (
        "app: {min_size: 4}",
        "stacks/phase2.yaml:16: app.desired is 3; allowed: app.min_size (4) to app.max_size (10)",
        "",
    ),
    "desired above max": (
        "app:\n  desired: 11",
        "stacks/school.yaml:3: app.desired is 11; allowed: app.min_size (2) to app.max_size (10)",
        "",
    ),
    "min above max": (
        "app:\n  min_size: 20",
        "school.yaml:3: app.min_size is 20; allowed: at most app.max_size (10)",
        "",
    ),
    "a network too small for its subnets": (
        "network:\n  cidr: 10.0.0.0/24",
        'school.yaml:3: network.cidr is "10.0.0.0/24"; allowed: a /16 or wider, to hold 16 subnets of /20',
        "",
    ),
    "a network wider than AWS allows": (
        "network: {cidr: 10.0.0.0/8}",
        'network.cidr is "10.0.0.0/8"; allowed: a /16',
        "",
    ),
    "a network with host bits": (
        "network: {cidr: 10.0.0.1/16}",
        'network.cidr is "10.0.0.1/16"; allowed: an IPv4 network without host bits',
        "",
    ),
    "the same zone twice": (
        "network: {zones: [us-east-1a, us-east-1a]}",
        'network.zones is ["us-east-1a", "us-east-1a"]; allowed: each zone once',
        "",
    ),
    "one zone only": (
        "network: {zones: [us-east-1a]}",
        'network.zones is ["us-east-1a"]; allowed: a list of at least 2',
        "",
    ),
    "zones of another region": ("region: eu-west-1", "stacks/phase1.yaml:6: network.zones is", ""),
    "an unknown kind of NAT": (
        "network: {nat: two}",
        "network.nat is \"two\"; allowed: 'none', 'single' or 'one_per_az'",
        "",
    ),
    "backup and maintenance at the same time": (
        'database:\n  backup_window: "03:00-04:00"',
        'is "03:00-04:00"; allowed: a window that does not overlap maintenance_window (sun:03:30-sun:04:30)',
        "",
    ),
    "cache snapshots during maintenance": (
        'cache: {snapshot_window: "05:00-06:00"}',
        'cache.snapshot_window is "05:00-06:00"; allowed: a window that does not overlap maintenance_window',
        "",
    ),
    "a window that is no window": (
        "database: {backup_window: noon}",
        'database.backup_window is "noon"; allowed: HH:MM-HH:MM',
        "",
    ),
    "a window of ten minutes": (
        'database: {backup_window: "01:00-01:10"}',
        'database.backup_window is "01:00-01:10"; allowed: a window of 30 minutes',
        "",
    ),
    "an image by tag": (
        "app:\n  image: registry.example.com/lms:latest",
        'school.yaml:3: app.image is "registry.example.com/lms:latest"; allowed: repository@sha256:<64 hex digits>',
        "",
    ),
    "less storage at most than at first": (
        "database: {max_storage_gib: 50}",
        "database.max_storage_gib is 50; allowed: storage_gib (100) or more",
        "",
    ),
    "replicas without backups": (
        "database: {backup_retention_days: 0}",
        "database.backup_retention_days is 0; allowed: 1 or more, since there are replicas",
        "",
    ),
    "shards without replicas": (
        "cache: {cache: {shards: 2, replicas: 0}}",
        "cache.cache.replicas is 0; allowed: 1 or more, since there are several shards",
        "",
    ),
    "state that is evicted": (
        "cache: {state: {eviction: allkeys-lru}}",
        'cache.state.eviction is "allkeys-lru"; allowed: noeviction or volatile-lru',
        "",
    ),
    "a cluster of too small brokers": (
        "queue: {instance_type: mq.t3.micro}",
        'queue.instance_type is "mq.t3.micro"; allowed: mq.m5.large or larger',
        "",
    ),
    "a host name without certificate": (
        "edge: {aliases: [lms.example.org]}",
        'edge.aliases is ["lms.example.org"]; allowed: no alias without edge.certificate_arn',
        "",
    ),
    "a CDN that is off as front door": (
        "edge: {enabled: false}",
        'stage school: edge.front_door is "cdn"; allowed: load_balancer, since edge.enabled is false',
        "",
    ),
    "a web ACL before nothing": (
        "edge: {enabled: false, front_door: load_balancer}",
        "edge.waf is true; allowed: false, since edge.enabled is false",
        "",
    ),
    "an answer awaited for longer than the interval": (
        "load_balancer: {health_check: {timeout_seconds: 10}}",
        "load_balancer.health_check.timeout_seconds is 10; allowed: less than interval_seconds (10)",
        "",
    ),
    "slow start with the wrong algorithm": (
        "load_balancer: {slow_start_seconds: 30}",
        "load_balancer.slow_start_seconds is 30; allowed: 0, unless algorithm is round_robin",
        "",
    ),
    "a date": (
        "description: 2026-01-01",
        "stacks/school.yaml:2: is not YAML: a value of kind date; write texts in quotes",
        "",
    ),
    "no number": ("objectives: {error_rate_percent: .nan}", "objectives.error_rate_percent is", ""),
    "a number out of this world": ("usage: {database_gib: 1e999}", "usage.database_gib is", ""),
    "a tab": ("database:\n\treplicas: 1", "stacks/school.yaml:3: is not YAML: found character '\\t'", "indentation"),
    "a bracket left open": ("database: {replicas: 1", "stacks/school.yaml:3: is not YAML: expected", "indentation"),
    "a key twice": (
        "protection: true\nprotection: false",
        "school.yaml:3: is not YAML: the key protection is there twice",
        "",
    ),
    "an alias": (
        "app: &a {}\nqueue: *a",
        "stacks/school.yaml:2: is not YAML: anchors and aliases are not used here",
        "",
    ),
    "a key that is a list": ("[a]: 1", "stacks/school.yaml:2: is not YAML: a key must be a word", ""),
    "Python in YAML": ("description: !!python/object:os.system x", "stacks/school.yaml:2: is not YAML: could not", ""),
}


@pytest.mark.parametrize(("text", "message", "hint"), CASES.values(), ids=CASES.keys())
def test_a_mistake_in_a_stage_is_one_line_with_place_key_value_and_what_is_allowed(root, text, message, hint):
    error = refused(root, f"extends: phase2\n{text}\n")

    assert message in error.message
    assert hint in str(error.hint)


def test_a_stage_that_says_too_little_is_told_the_first_key_it_lacks(root):
    error = refused(root, "description: nothing else\n")

    assert error.message == "stage school: usage is not set"
    assert "stacks/school.yaml" in str(error.hint)
    assert "more problems" in str(error.hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "stacks/school.yaml: holds no mapping"),
        ("just text\n", "stacks/school.yaml: holds no mapping"),
        ("extends: phase9\n", 'stacks/school.yaml:1: extends is "phase9"; allowed: the name of another stage'),
        ("extends: school\n", "stacks/school.yaml:1: extends goes in a circle: school -> school"),
        ("extends: [phase2]\n", 'stacks/school.yaml:1: extends is ["phase2"]'),
        ("a: " + "[" * 2000 + "]" * 2000 + "\n", "stacks/school.yaml: is nested too deeply"),
    ],
)
def test_a_file_that_is_no_stage_is_refused_by_name(root, text, message):
    assert message in refused(root, text).message


def test_a_circle_of_stages_is_named(root):
    write(root, "extends: two\n", "one")
    write(root, "extends: one\n", "two")

    with pytest.raises(SettingsError, match=r"stacks/two\.yaml:1: extends goes in a circle: one -> two -> one"):
        load_stage("one", root=root)


def test_files_that_cannot_be_read_are_named(root):
    (root / "stacks" / "folder.yaml").mkdir()
    (root / "stacks" / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (root / "stacks" / "gone.yaml").symlink_to(root / "nowhere")

    for stage, reason in [("folder", "Is a directory"), ("binary", "it is not UTF-8 text"), ("gone", "No such file")]:
        with pytest.raises(SettingsError, match=rf"stacks/{stage}\.yaml: cannot be read: {reason}") as caught:
            load_stage(stage, root=root)
        assert_clear(caught.value)


@pytest.mark.parametrize("stage", ["phase9", "", "../phase2", "Pulumi.aws", "overlays/local", "phase2.yaml"])
def test_a_stage_that_does_not_exist_is_a_usage_error_that_lists_the_stages(stage):
    with pytest.raises(UsageError, match="there is no stage") as caught:
        load_stage(stage)

    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.hint == "stages: phase1, phase2, phase3"


def test_a_target_that_does_not_exist_is_a_usage_error():
    with pytest.raises(UsageError, match="there is no target 'gcp'"):
        load_stage("phase2", target="gcp")


def test_an_override_that_does_not_fit_says_that_it_is_an_override():
    with pytest.raises(SettingsError) as caught:
        load_stage("phase2", overrides={"app": {"desired": 40}})

    assert caught.value.message == "override: app.desired is 40; allowed: app.min_size (2) to app.max_size (10)"


@pytest.mark.parametrize("override", [{"app": object()}, {"app": {"desired": {1, 2}}}, {"app": b"x"}])
def test_an_override_that_is_no_plain_data_is_refused(override):
    with pytest.raises(SettingsError, match="an override is not plain data"):
        load_stage("phase2", overrides=override)


def test_the_aws_target_wants_an_image_by_digest(root):
    with pytest.raises(
        SettingsError, match=r"app\.image is not set; allowed on the aws target: repository@sha256"
    ) as caught:
        load_stage("phase2", target="aws", root=root)
    assert "stacks/overlays/aws.yaml" in str(caught.value.hint)

    write(root, "extends: phase2\napp:\n  image: source\n")
    with pytest.raises(SettingsError, match=r'stacks/school\.yaml:3: app\.image is "source"'):
        load_stage("school", target="aws", root=root)

    write(root, f"extends: phase2\napp:\n  image: {DIGEST}\n")
    assert load_stage("school", target="aws", root=root).settings.app.image == DIGEST


def load_or_refuse(root: Path) -> None:
    try:
        loaded = load_stage("school", root=root)
    except SettingsError as error:
        assert_clear(error)
    else:
        assert isinstance(loaded.settings, StageSettings)


@pytest.fixture(scope="module")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzzed")
    shutil.copytree(settings_root() / "stacks", root / "stacks")
    return root


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=150)
def test_whatever_text_stands_in_a_stage_file_it_loads_or_is_refused_clearly(shared_root, text):
    (shared_root / "stacks" / "school.yaml").write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    load_or_refuse(shared_root)


@given(st.binary(max_size=100))
@settings(deadline=None, max_examples=80)
def test_whatever_bytes_stand_in_a_stage_file_it_loads_or_is_refused_clearly(shared_root, content):
    (shared_root / "stacks" / "school.yaml").write_bytes(b"extends: phase2\n" + content)
    load_or_refuse(shared_root)


def key_paths(model=StageSettings, path=()):
    for name, field in model.model_fields.items():
        yield (*path, name)
        section = section_model(field.annotation)
        if section is not None:
            yield from key_paths(section, (*path, name))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=30)
    | st.sampled_from(["10.0.0.0/28", "00:00-23:59", "mon:00:00-sun:23:59", "0.0.0.0/0", "db.x.y", "us-east-1a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(key_paths())), ANYTHING)
@settings(deadline=None, max_examples=300)
def test_whatever_value_stands_at_any_key_it_loads_or_is_refused_clearly(shared_root, path, value):
    document = value
    for key in reversed(path):
        document = {key: document}
    text = yaml.safe_dump({"extends": "phase2", **document}, allow_unicode=True)
    (shared_root / "stacks" / "school.yaml").write_text(text, encoding="utf-8")
    load_or_refuse(shared_root)


def test_no_helper_file_is_taken_for_a_stage(root):
    (root / "stacks" / "Pulumi.aws.yaml").write_text("config: {}\n")

    assert stage_names(root) == ["phase1", "phase2", "phase3"]
