"""`watoto render` of a stack that is up: its own addresses and its own secrets, in files."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.stack.driver import Driver

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def kept(phase2: Driver) -> dict[str, str]:
    """Every text in the stack's Secrets Manager by name, as a plain boto3 client gets it."""
    client = phase2.aws("secretsmanager")
    names = [secret["Name"] for secret in client.list_secrets()["SecretList"]]
    return {name: client.get_secret_value(SecretId=name)["SecretString"] for name in names}


@pytest.fixture(scope="module")
def passwords(kept: dict[str, str]) -> set[str]:
    """Every password among them."""
    texts = {word for text in kept.values() for word in re.findall(r"[A-Za-z0-9]{40}", text)}
    assert len(texts) > len(kept)
    return texts


@pytest.fixture(scope="module")
def tree(phase2: Driver, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("rendered")
    phase2.ok("render", "all", "--out", str(out))
    return out


def test_the_files_hold_the_stacks_own_addresses(phase2: Driver, tree: Path):
    outputs = phase2.json("outputs", "--json")
    main, *replicas = outputs["databases"]
    pooled = (tree / "pgbouncer/pgbouncer.ini").read_text()

    assert f"watoto_lms = host={main['address']} port={main['port']} dbname" in pooled
    for number, replica in enumerate(replicas, start=1):
        assert f"watoto_lms_ro{number} = host={replica['address']} port={replica['port']} dbname" in pooled
    assert f"bind {outputs['caches']['state']['primary']['address']}\n" in (tree / "redis/state/redis.conf").read_text()
    assert f"bucket={outputs['buckets']['backups']['name']}\n" in (tree / "backup/logical-dump.sh").read_text()


def test_the_files_hold_the_secrets_that_secrets_manager_keeps(kept: dict[str, str], tree: Path):
    accounts = json.loads(kept["watoto/service-accounts"])
    owner = json.loads(kept["watoto/database/watoto-primary"])["password"]
    cache = (tree / "redis/cache/redis.conf").read_text()

    assert f"user app reset on #{hashlib.sha256(kept['watoto/cache/cache'].encode()).hexdigest()} " in cache
    assert f"#{hashlib.sha256(accounts['redis-cache-monitor'].encode()).hexdigest()} " in cache
    assert f"repo1-cipher-pass={kept['watoto/backup/cipher']}\n" in (tree / "backup/pgbackrest.conf").read_text()
    assert f":watoto_lms:watoto_user:{owner}\n" in (tree / "backup/pgpass").read_text()
    replication = (tree / "postgresql/replica1/pgpass").read_text()
    assert len(re.findall(rf":replication:replicator:{accounts['replicator']}$", replication, re.MULTILINE)) == 3
    assert '"watoto_user" "SCRAM-SHA-256$' in (tree / "pgbouncer/userlist.txt").read_text()
    assert json.loads((tree / "rabbitmq/definitions.json").read_text())["users"][0]["password_hash"]


def test_only_their_owner_may_read_files_with_secrets(tree: Path, passwords: set[str]):
    given_away = passwords | {hashlib.sha256(password.encode()).hexdigest() for password in passwords}
    modes = {path: path.stat().st_mode & 0o777 for path in tree.rglob("*") if path.is_file()}
    holding = {path for path in modes if any(text in path.read_text() for text in given_away)}

    assert {path.name for path in holding} == {"redis.conf", "pgpass", "pgbackrest.conf"}
    assert {modes[path] for path in holding} == {0o600}
    for name in ("pgbouncer/userlist.txt", "rabbitmq/definitions.json"):
        assert modes[tree / name] == 0o600
    assert modes[tree / "nginx/load-balancer/nginx.conf"] == 0o644


def test_stdout_shows_no_secret_and_nothing_made_from_one(phase2: Driver, tree: Path, passwords: set[str]):
    shown = phase2.ok("render", "all")

    assert "[secret]" in shown
    secret_lines = (tree / "pgbouncer/userlist.txt").read_text().split('"')[3::4]
    hashes = [json.loads((tree / "rabbitmq/definitions.json").read_text())["users"][0]["password_hash"]]
    hashes += [hashlib.sha256(password.encode()).hexdigest() for password in passwords]
    assert [text for text in (*passwords, *hashes, *secret_lines) if text in shown] == []


def test_a_difference_to_what_is_in_place_is_shown_without_secrets(phase2: Driver, tree: Path, passwords: set[str]):
    assert "nothing differs" in phase2.ok("render", "all", "--diff", str(tree))

    changed = tree / "redis/cache/redis.conf"
    was = changed.read_text()
    changed.write_text(was.replace("maxmemory-policy", "# maxmemory-policy"))
    shown = phase2.ok("render", "redis", "--diff", str(tree))
    changed.write_text(was)
    assert "+maxmemory-policy allkeys-lru" in shown
    assert [password for password in passwords if password in shown] == []


@pytest.mark.parametrize("family", ["redis", "pgbouncer"])
def test_the_real_servers_take_a_stacks_files(phase2: Driver, family: str):
    done = phase2.run("render", family, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "invalid" not in done.stdout
    assert "valid" in done.stdout


@pytest.mark.long
def test_the_real_servers_take_every_file_of_a_stack(phase2: Driver, tmp_path: Path):
    done = phase2.run("render", "all", "--check", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "invalid" not in done.stdout
    assert (tmp_path / "out/kong/kong.yml").exists()


def test_without_the_control_plane_what_needs_no_secret_is_rendered_and_what_does_says_so(phase2: Driver):
    nowhere = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}
    cut_off = Driver(phase2.home, phase2.stack, environment=nowhere)

    assert "upstream backend_servers" in cut_off.ok("render", "nginx")
    refused = cut_off.run("render", "redis")
    assert refused.returncode == 1
    assert "cannot read the secret" in refused.stderr
    assert "watoto status" in refused.stderr
    assert refused.stdout == ""


def test_a_stage_that_is_named_is_rendered_without_the_stack(phase2: Driver):
    shown = phase2.ok("render", "pgbouncer", "--stage", "phase2")
    assert "watoto_lms = host=127.0.0.1 port=5432" in shown
    assert "[secret]" not in shown


def test_parameter_store_holds_the_addresses_that_the_outputs_name(phase2: Driver):
    outputs = phase2.json("outputs", "--json")
    answer = phase2.aws("ssm").get_parameters_by_path(Path="/watoto/local/endpoints", Recursive=True)
    found = {one["Name"].removeprefix("/watoto/local/endpoints/"): one["Value"] for one in answer["Parameters"]}
    main, *replicas = outputs["databases"]

    database = json.loads(found.pop("databases/main"))
    assert database["primary"] == f"{main['address']}:{main['port']}/watoto_lms"
    assert database["replicas"] == [f"{one['address']}:{one['port']}/watoto_lms" for one in replicas]
    assert database["secret"] == main["secret"]["arn"]
    caches = {role: f"{one['primary']['address']}:{one['primary']['port']}" for role, one in outputs["caches"].items()}
    broker = outputs["queue"]["endpoints"][0].partition("://")[2]
    assert found == {**caches, "queue": broker, "media-bucket": outputs["buckets"]["media"]["name"]}
