"""An app server's first boot: what its user data refers to is declared and may be read, and its script really runs."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from lms_app.settings import load_settings
from tests.program.declared import IMAGE, Declared, run, user_data
from watoto_infra.servers.cloud_init import config as cloud_init
from watoto_infra.servers.stage_inputs import for_stage
from watoto_infra.settings import load_stage

SPREAD = {"database": {"shards": 2}, "cache": {"cache": {"shards": 2}}}
STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "phase1": ("phase1", {}),
    "phase2": ("phase2", {}),
    "phase2 with shards": ("phase2", SPREAD),
}


def sharded() -> Declared:
    return run("phase2", overrides=json.dumps(SPREAD))


@pytest.fixture(params=tuple(STAGES.values()), ids=tuple(STAGES))
def stage(request: pytest.FixtureRequest) -> Declared:
    name, overrides = request.param
    return run(name, overrides=json.dumps(overrides))


def script_of(declared: Declared) -> str:
    files = yaml.safe_load(user_data(declared))["write_files"]
    return str(next(file["content"] for file in files if file["path"].endswith("watoto-environment")))


def test_a_servers_first_boot_is_valid_cloud_init_and_shell(tmp_path: Path):
    text = user_data(run("phase2", "aws"))
    document = yaml.safe_load(text)

    assert text.startswith("#cloud-config\n")
    script = script_of(run("phase2", "aws"))
    (tmp_path / "script").write_text(script)
    subprocess.run(["sh", "-n", str(tmp_path / "script")], check=True)
    assert all(isinstance(word, str) for command in document["runcmd"] for word in command)
    containers = [command for command in document["runcmd"] if command[:2] == ["docker", "run"]]
    roles = {" ".join(command[command.index(IMAGE) + 1 :]) for command in containers}
    assert containers[0][-2:] == ["flask", "migrate"]
    assert roles == {
        "",
        "flask migrate",
        "flask worker notification_queue",
        "flask worker analytics_queue",
        "flask relay",
        "flask heartbeat",
    }
    assert [command for command in containers if any("publish" in word for word in command)] == [containers[1]]
    assert "path=/watoto/aws/endpoints\n" in script
    assert "awslogs-group=/watoto/aws/app" in text


PARAMETER = "aws:ssm/parameter:Parameter"


def parameters(declared: Declared) -> dict[str, str]:
    return {one.get("name"): one.get("insecureValue") for one in declared.of(PARAMETER)}


@pytest.mark.parametrize("stage", ["phase2", pytest.param("phase1", marks=pytest.mark.long)])
def test_pods_boot_no_server_so_no_parameters_are_declared_for_one(stage: str):
    pods = run(stage, overrides=json.dumps({"app": {"platform": "kubernetes", "spot": None}}))

    assert PARAMETER not in {one.type for one in pods.resources}


def test_app_servers_find_every_address_in_parameter_store():
    found = parameters(sharded())

    assert set(found) == {
        f"/watoto/local/endpoints/{name}"
        for name in (
            "databases/main",
            "databases/shard1",
            "databases/shard2",
            "cache",
            "state",
            "queue",
            "media-bucket",
        )
    }
    assert found["/watoto/local/endpoints/media-bucket"] == "watoto-media"
    main, shard = (json.loads(found[f"/watoto/local/endpoints/databases/{name}"]) for name in ("main", "shard2"))
    assert main == {
        "primary": "watoto-primary-address:5432/watoto_lms",
        "replicas": [f"watoto-replica-{number}-address:5432/watoto_lms" for number in (1, 2)],
        "secret": "watoto-primary-arn",
        "shards": [],
    }
    assert (shard["secret"], shard["shards"]) == ("watoto-shard-2-arn", [[240, 479]])


def test_one_database_holds_every_logical_shard():
    main = json.loads(parameters(run("phase1"))["/watoto/local/endpoints/databases/main"])
    assert main["shards"] == [[0, 479]]


@pytest.mark.parametrize(("name", "overrides"), STAGES.values(), ids=STAGES.keys())
def test_rendered_user_data_refers_to_what_the_program_declares(name, overrides):
    declared = run(name, overrides=json.dumps(overrides))
    inputs = for_stage(name, load_stage(name, overrides={"app": {"image": IMAGE}, **overrides}).settings)
    ctx = cloud_init.context(inputs)

    secrets = {one.get("name") for one in declared.of("aws:secretsmanager/secret:Secret")}
    assert set(asdict(ctx.references).values()) <= secrets
    assert ctx.log_group in {one.get("name") for one in declared.of("aws:cloudwatch/logGroup:LogGroup")}
    assert {one.startswith(f"{ctx.parameters}/") for one in parameters(declared)} == {True}
    assert f"path={ctx.parameters}\n" in script_of(declared)


def test_the_app_servers_may_read_exactly_their_secrets_and_addresses(stage):
    (policy,) = [one for one in stage.of("aws:iam/rolePolicy:RolePolicy") if one.name == "watoto-backend"]
    allowed = {line["Sid"]: line for line in json.loads(policy.get("policy"))["Statement"]}
    script = script_of(stage)
    pointed_at = {value["secret"] for value in map(as_object, parameters(stage).values()) if value}
    pointed_at |= {name for name in allowed["Secrets"]["Resource"] if f" {name}" in script}

    assert pointed_at == set(allowed["Secrets"]["Resource"])
    path = allowed["Parameters"]["Resource"][0]
    assert path.endswith(":parameter/watoto/local/endpoints")
    assert allowed["Parameters"]["Resource"] == [path, f"{path}/*"]
    granted = [line for line in allowed.values() if "ssm:GetParameter" in json.dumps(line["Action"])]
    assert granted == [allowed["Parameters"]]
    managed = {one.get("policyArn") for one in stage.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")}
    assert not [arn for arn in managed if "SSM" in arn]


def as_object(text: str) -> dict[str, Any]:
    return json.loads(text) if text.startswith("{") else {}


STAND_IN = """#!/usr/bin/env python3
# Stands in for the AWS CLI: answers from what the program declared.
import json, os, sys
kept = json.load(open(os.environ["KEPT"]))
asked = dict(zip(sys.argv[1:], sys.argv[2:]))
if sys.argv[1:3] == ["secretsmanager", "get-secret-value"]:
    print(kept["secrets"][asked["--secret-id"]])
elif sys.argv[1:3] == ["ssm", "get-parameters-by-path"]:
    path = asked["--path"] + "/"
    print(json.dumps([[name, value] for name, value in kept["parameters"].items() if name.startswith(path)]))
else:
    sys.exit(f"not stood in for: {sys.argv[1:]}")
"""


MAIN = "/watoto/local/endpoints/databases/main"


def first_boot(declared: Declared, folder: Path, **lost: str) -> subprocess.CompletedProcess[str]:
    """Run the script with what the program declared; ``lost`` names a secret or parameter that is not there."""
    texts = {one.get("secretId"): one.get("secretString") for one in declared.of(VERSION)}
    secrets = {f"{name.removesuffix('-id')}-arn": text for name, text in texts.items() if name != lost.get("secret")}
    secrets = {name: text.replace("generated-password", PASSWORD) for name, text in secrets.items()}
    kept = {name: value for name, value in parameters(declared).items() if name != lost.get("parameter")}
    (folder / "kept.json").write_text(json.dumps({"secrets": secrets, "parameters": kept}))
    (folder / "aws").write_text(STAND_IN)
    (folder / "aws").chmod(0o755)
    (folder / "script").write_text(script_of(declared).replace("/etc/watoto", str(folder / "etc")))
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "KEPT": str(folder / "kept.json")}
    return subprocess.run(
        ["sh", str(folder / "script")], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


PASSWORD = "generated-password-" + "x" * 21
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"


@pytest.mark.local
def test_the_script_writes_an_environment_that_the_lms_takes(stage, tmp_path, require_binary):
    require_binary("jq")
    done = first_boot(stage, tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")

    file = tmp_path / "etc/lms.env"
    assert file.stat().st_mode & 0o777 == 0o600
    variables = dict(line.split("=", 1) for line in file.read_text().splitlines())
    settings = load_settings({name: value for name, value in variables.items() if name.startswith("LMS_")})
    shards = settings.shards()
    main = shards.databases[shards.catalogue]
    owner = f"postgresql://watoto_user:{PASSWORD}@"
    assert main.primary_url.get_secret_value() == f"{owner}watoto-primary-address:5432/watoto_lms?sslmode=require"
    replicas = len(stage.outputs["databases"]) - 1
    if len(shards.databases) == 1:
        assert len(main.replica_urls) == replicas
    else:
        assert set(shards.user_databases()) == set(shards.databases) - {shards.catalogue}
    assert settings.amqp_url.get_secret_value().startswith(f"amqps://watoto_user:{PASSWORD}@broker:5671/")
    assert settings.media_bucket == "watoto-media"


@pytest.mark.local
@pytest.mark.parametrize(
    "lost",
    [
        {"secret": "watoto-broker-id"},
        {"secret": "watoto-app-id"},
        {"secret": "watoto-primary-id"},
        {"parameter": MAIN},
        {"parameter": "/watoto/local/endpoints/queue"},
    ],
)
def test_a_server_that_cannot_read_what_it_needs_writes_no_environment(lost, tmp_path, require_binary):
    require_binary("jq")
    done = first_boot(run("phase2"), tmp_path, **lost)
    assert done.returncode != 0
    assert not (tmp_path / "etc/lms.env").exists()


@pytest.mark.local
def test_mail_is_sent_from_where_the_stage_says_and_by_nobody_else(tmp_path, require_binary):
    require_binary("jq")
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:watoto/mail-AbCdEf"
    declared = run("phase2", "aws", overrides=json.dumps({"app": {"mail_secret_arn": arn}}))
    text = user_data(declared)

    assert f"LMS_MAIL_URL=$(secret {arn})\n" in text
    assert "LMS_MAIL_URL=$LMS_MAIL_URL\n" in text
    assert [command[-1] for command in yaml.safe_load(text)["runcmd"] if "email_queue" in command] == ["email_queue"]
    (policy,) = [one for one in declared.of("aws:iam/rolePolicy:RolePolicy") if one.name == "watoto-backend"]
    readable = next(line for line in json.loads(policy.get("policy"))["Statement"] if line["Sid"] == "Secrets")
    assert arn in readable["Resource"]
