"""A stack's secrets on their way from Secrets Manager into rendered files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from tests.program.declared import run
from tests.render.families import families
from watoto_infra.cli.app import app
from watoto_infra.cli.sessions_aws import AwsStack
from watoto_infra.errors import RenderError, StateError
from watoto_infra.rendering import throwaway, use_cases
from watoto_infra.rendering.inputs import Secrets
from watoto_infra.rendering.secrets import secrets_of, when_needed
from watoto_infra.servers.cloud_init import config as cloud_init
from watoto_infra.servers.registry import family_names
from watoto_infra.servers.stage_inputs import for_stage
from watoto_infra.settings import load_stage
from watoto_infra.templating import Templates
from watoto_infra.values.outputs import StackOutputs

VALUE = "secret-{}-Q9"


@pytest.fixture(scope="module")
def outputs() -> StackOutputs:
    """What phase3, which has everything, exports."""
    return StackOutputs.from_outputs(run("phase3").outputs)


@pytest.fixture
def kept(outputs, monkeypatch) -> Iterator[None]:
    """An account whose Secrets Manager holds what the program puts there."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    declared = run("phase3")
    values = {one.get("secretId"): one.get("secretString") for one in declared.of(VERSION)}
    with mock_aws():
        client = boto3.client("secretsmanager", region_name=outputs.region)
        for one in declared.of("aws:secretsmanager/secret:Secret"):
            text = values[f"{one.name}-id"].replace("generated-password", VALUE.format(one.name))
            client.create_secret(Name=f"{one.name}-arn", SecretString=text)
        yield


VERSION = "aws:secretsmanager/secretVersion:SecretVersion"


def test_every_secret_that_a_family_asks_for_is_declared_and_read(outputs, kept):
    asked: set[str] = set()

    class Recording(dict[str, str]):
        def get(self, name, default=None):
            asked.add(name)
            return super().get(name, default)

    secrets = secrets_of(outputs)
    settings = load_stage("phase3", overrides={"app": {"image": f"registry.example/lms@sha256:{'0' * 64}"}}).settings
    inputs = for_stage("phase3", settings, outputs=outputs, secrets=Secrets(Recording(secrets.values)))
    use_cases.render(families(*family_names()), inputs, Templates())

    assert {"database", "database-shard2", "replicator", "backup-cipher", "redis-state-monitor"} <= asked
    assert asked <= set(secrets.values)


def test_each_password_is_the_one_kept_under_its_own_name(outputs, kept):
    values = secrets_of(outputs).values

    assert values["database"] == VALUE.format("watoto-primary")
    assert values["database-shard1"] == VALUE.format("watoto-shard-1")
    assert values["redis-state"] == VALUE.format("watoto-state")
    assert values["queue"] == VALUE.format("watoto-broker")
    assert values["app-key"] == VALUE.format("watoto-app")
    assert values["backup-cipher"] == VALUE.format("watoto-backup-cipher")


def test_a_stack_on_aws_is_rendered_with_its_own_addresses_and_secrets(outputs, kept, monkeypatch, tmp_path):
    image = {"image": f"registry.example/lms@sha256:{'0' * 64}"}
    exported = run("phase3").outputs

    class Engine:
        """Stands in for the official engine, which needs an account."""

        def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
            assert not show_secrets
            return exported

        def export_state(self) -> dict[str, Any]:
            return {"version": 3, "deployment": {"resources": []}}

    monkeypatch.setattr(AwsStack, "last_stage", "phase3")
    monkeypatch.setattr(AwsStack, "overrides", lambda _: {"app": image, "gateway": image})
    monkeypatch.setattr(AwsStack, "engine", lambda _: Engine())
    done = CliRunner().invoke(
        app, ["render", "all", "--target", "aws", "--stack", "production", "--out", str(tmp_path / "out")]
    )

    assert done.exit_code == 0, done.stderr
    pooled = (tmp_path / "out/pgbouncer/pgbouncer.ini").read_text()
    assert "host=watoto-primary-address port=5432" in pooled
    assert f"user=watoto_user password={VALUE.format('watoto-shard-2')}" in pooled
    assert (tmp_path / "out/pgbouncer/pgbouncer.ini").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "out/cloud-init").exists(), "pods boot no server of ours"


def test_a_secret_that_is_gone_is_named_with_what_to_do(outputs, kept):
    client = boto3.client("secretsmanager", region_name=outputs.region)
    client.delete_secret(SecretId=outputs.queue.secret.arn, ForceDeleteWithoutRecovery=True)

    with pytest.raises(RenderError, match=outputs.queue.secret.name) as caught:
        secrets_of(outputs)
    assert "ResourceNotFoundException" in caught.value.message
    assert "watoto up" in str(caught.value.hint)


def test_a_control_plane_that_does_not_answer_is_one_error_and_only_where_a_secret_is_needed(outputs):
    secrets = when_needed(lambda: secrets_of(outputs, f"http://127.0.0.1:{throwaway.free_port()}"))
    inputs = for_stage("phase3", load_stage("phase3").settings, outputs=outputs, secrets=secrets)

    assert use_cases.render(families("nginx", "prometheus"), inputs, Templates())
    with pytest.raises(RenderError, match="cannot read the secret"):
        use_cases.render(families("redis"), inputs, Templates())


def test_a_stack_made_before_a_secret_was_declared_says_to_bring_it_up(outputs, kept):
    older = outputs.model_copy(update={"secrets": {"app": outputs.secrets["app"]}})

    with pytest.raises(StateError, match="backup_cipher") as caught:
        secrets_of(older)
    assert "watoto up" in str(caught.value.hint)


def test_the_app_may_not_read_what_servers_know_each_other_by():
    declared = run("phase2", overrides=json.dumps({"database": {"shards": 2}}))
    (policy,) = [one for one in declared.of("aws:iam/rolePolicy:RolePolicy") if one.name == "watoto-backend"]
    readable = next(line for line in json.loads(policy.get("policy"))["Statement"] if line["Sid"] == "Secrets")

    assert {"watoto-app-arn", "watoto-primary-arn", "watoto-shard-2-arn"} <= set(readable["Resource"])
    assert not {"watoto-accounts-arn", "watoto-backup-cipher-arn"} & set(readable["Resource"])


def test_a_stacks_servers_are_rendered_with_the_image_it_runs_not_the_one_that_would_be_built_now(outputs):
    inputs = for_stage("phase3", load_stage("phase3").settings, outputs=outputs)
    assert inputs.settings.app.image != "registry.example/lms@sha256:1"
    running = replace(inputs, image="registry.example/lms@sha256:1")

    assert inputs.image == outputs.app.image
    assert cloud_init.context(running).image == "registry.example/lms@sha256:1"
