"""The environment of the LMS: checked as a whole, before anything starts, and no secret is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from lms_app.settings import Settings, SettingsError, load_settings
from tests.app.platform.conftest import environment


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.faults


def test_every_missing_variable_is_named_at_once():
    told = "\n".join(faults({}))
    for name in ("LMS_SECRET_KEY", "LMS_REDIS_CACHE_URL", "LMS_REDIS_STATE_URL", "LMS_AMQP_URL"):
        assert f"{name} is required (or {name}_FILE)" in told


@pytest.mark.parametrize("name", [n for n, field in Settings.model_fields.items() if "Secret" in str(field.annotation)])
def test_no_secret_has_a_default(name: str):
    field = Settings.model_fields[name]
    assert field.is_required() or field.default in {None, ()}


def test_a_misspelt_variable_is_an_error_and_not_a_default():
    assert faults(environment(redis_cahce_url="redis://x")) == [
        "LMS_REDIS_CAHCE_URL is not a setting of the LMS; is it misspelt?"
    ]


def test_a_secret_can_stand_in_a_file(tmp_path: Path):
    file = tmp_path / "key"
    file.write_text("s" * 40 + "\n")
    given = environment() | {"LMS_SECRET_KEY_FILE": str(file)}
    del given["LMS_SECRET_KEY"]
    assert load_settings(given).secret_key.get_secret_value() == "s" * 40


def test_a_value_given_twice_is_an_error(tmp_path: Path):
    assert faults(environment() | {"LMS_SECRET_KEY_FILE": str(tmp_path)}) == [
        "LMS_SECRET_KEY_FILE: LMS_SECRET_KEY is given too; set one of them"
    ]


def test_a_file_that_cannot_be_read_is_named_by_its_variable(tmp_path: Path):
    given = environment() | {"LMS_MAIL_URL_FILE": str(tmp_path / "none")}
    assert "LMS_MAIL_URL_FILE: cannot read the file: No such file or directory" in faults(given)


@given(value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=29))
def test_a_wrong_secret_is_refused_and_never_shown(value: str):
    for name in ("secret_key", "amqp_url", "redis_cache_url"):
        if value.startswith(("redis", "amqp", "unix")):
            continue
        told = "\n".join(faults(environment(**{name: f"\t{value}\t"})))
        assert f"LMS_{name.upper()}" in told
        assert f"\t{value}\t" not in told


def test_settings_do_not_show_secrets_when_printed():
    settings = load_settings(environment(amqp_url="amqp://lms:hunter22@127.0.0.1//"))
    assert "hunter22" not in repr(settings) + str(settings)
    assert isinstance(settings.amqp_url, SecretStr)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"amqp_url": "http://x"}, "LMS_AMQP_URL: must start with amqp:// or amqps://"),
        ({"shard_map": "{"}, "LMS_SHARD_MAP: is not JSON"),
        ({"shard_map": "{}"}, "LMS_SHARD_MAP[catalogue]: field required"),
        ({"db_pool_size": "21"}, "LMS_DB_POOL_SIZE: input should be less than or equal to 20"),
        ({"job_retry_delays_s": ""}, "LMS_JOB_RETRY_DELAYS_S"),
        ({"mail_url": "mailto:me"}, "LMS_MAIL_URL: must start with smtp://"),
        ({"web_workers": "many"}, "LMS_WEB_WORKERS: input should be a valid integer"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_and_what_is_allowed(values: dict[str, str], told: str):
    assert told in "\n".join(faults(environment(**values)))


def test_one_database_is_a_shard_map_with_one_entry():
    assert load_settings(environment()).shards().user_databases() == ("main",)


def test_databases_are_given_one_way_only():
    both = environment(database_replica_urls="postgresql://r")
    del both["LMS_DATABASE_PRIMARY_URL"]
    assert "give either LMS_DATABASE_PRIMARY_URL or LMS_SHARD_MAP, and not both" in faults(both)
