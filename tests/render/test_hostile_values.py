"""Whatever is written into a setting, an address or a path, is refused or stays a value: it never becomes syntax."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.examples import examples
from tests.render.families import families
from watoto_infra.errors import RenderError, SettingsError
from watoto_infra.rendering import use_cases
from watoto_infra.rendering.endpoints import DatabaseEndpoints, Endpoints, is_loopback
from watoto_infra.rendering.inputs import Inputs, Places, Secrets
from watoto_infra.rendering.model import RenderedFile, Verdict
from watoto_infra.servers.kong.check import problems_in
from watoto_infra.servers.registry import family, family_names
from watoto_infra.settings import load_stage
from watoto_infra.templating import Templates, pgpass
from watoto_infra.values.addresses import Endpoint

NASTY = (
    *(
        "a\nb",
        "a\r\nb",
        "a;b",
        "a}b{",
        "../../etc/passwd",
        "/a/../b",
        "x" * 5000,
        "é",
        "日本",
        "\u202e",
        "\u2028",
        '"',
        "'",
    ),
    *("$(id)", "`id`", "${HOME}", "$host", "%p", "\\", "\x00", "{{ 7 * 7 }}", "{% raw %}", "a b", "a#b", "# x", "- x"),
    *("x: y", "&a", "*a", "!!x", "|", "[x", "a,b", "x' OR '1", "*/", "<x>", "\t", "", " ", "\ud800"),
    *("-oProxyCommand=id", "127.0.0.1; x"),
)
HOSTILE = st.one_of(
    st.sampled_from(NASTY),
    st.tuples(st.sampled_from(["a", "/srv/a", "a.example.com", "10.0.0.1"]), st.sampled_from(NASTY)).map("".join),
    st.text(max_size=40),
)
TEMPLATES = Templates()
PROFILE = settings(
    max_examples=examples(quick=40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def text_settings(model: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Paths of all settings that hold text, and whether they hold a list of it."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from text_settings(value, (*path, name))
        elif "str" in str(field.annotation) or isinstance(value, str):
            yield (*path, name), isinstance(value, tuple)


TEXT_SETTINGS = sorted(text_settings(load_stage("phase2").settings))


def shape(files: tuple[RenderedFile, ...]) -> dict[str, Any]:
    """What each file is made of, values left out: keys of documents, directives, sections, lines."""
    return {file.path: _shape_of(file) for file in files}


@cache
def plain_shape(stage_inputs: Any, elsewhere: str | None = None) -> dict[str, Any]:
    """The shape of phase2's own files; ``elsewhere`` is what answers on another machine, where TLS is spoken."""
    inputs = stage_inputs()
    if elsewhere is not None:
        inputs = replace(inputs, endpoints=with_endpoint(inputs.endpoints, elsewhere, host="elsewhere.example"))
    return shape(use_cases.render(families(*family_names()), inputs, TEMPLATES))


def _shape_of(file: RenderedFile) -> Any:
    if file.path.startswith("nginx/"):
        return directives(file.text)
    if file.path.endswith((".yml", ".yaml", ".json")):
        loaded = json.loads(file.text) if file.path.endswith(".json") else yaml.load(file.text, yaml.CSafeLoader)
        return sorted(_keys(loaded))
    return [re.split(r"[ =]", line)[0] for line in file.text.splitlines() if line and line[0] not in "#;"]


def _keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _keys(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _keys(inner, f"{path}[{index}]")
    else:
        yield path


def directives(text: str) -> Counter[str]:
    """First words of nginx's directives, by nginx's own rules on quotes, comments, `;`, `{` and `}`."""
    found: Counter[str] = Counter()
    words: list[str] = []
    for match in re.finditer(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[;{}]|(?:\\.|[^\s;{}\"'#])+", text):
        word = match[0]
        if word.startswith("#") and not words:
            continue
        if word in ";{}":
            if words:
                found[words[0]] += 1
            words = []
        else:
            words.append(word)
    return found


def rendered_or_refused(inputs: Inputs) -> tuple[RenderedFile, ...] | None:
    try:
        return use_cases.render(families(*family_names()), inputs, TEMPLATES)
    except RenderError as refused:
        if "\n" in refused.message:
            pytest.fail(f"not one line: {refused.message}")
        return None


def accepted_by_the_parsers(files: tuple[RenderedFile, ...]) -> None:
    """The parsers that are quick enough to be asked each time."""
    with tempfile.TemporaryDirectory(prefix="watoto-hostile-") as name:
        tree = Path(name)
        for file in files:
            use_cases.place(tree, file)
        (tree / "prefix").mkdir()
        nginx = tree / "nginx/load-balancer/nginx.conf"
        commands = [
            ["nginx", "-t", "-q", "-p", f"{tree}/prefix/", "-c", str(nginx), "-e", "stderr"],
            ["promtool", "check", "config", str(tree / "prometheus/prometheus.yml")],
            ["amtool", "check-config", str(tree / "alertmanager/alertmanager.yml")],
            ["sh", "-n", str(tree / "backup/logical-dump.sh")],
        ]
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        assert problems_in((tree / "kong/kong.yml").read_text()) == []


@pytest.fixture(scope="module")
def tools(require_binary):
    for name in ("nginx", "promtool", "amtool"):
        require_binary(name)


@pytest.mark.local
@given(data=st.data(), value=HOSTILE)
@PROFILE
def test_a_hostile_setting_is_refused_or_stays_a_value(tools, stage_inputs, data, value):
    path, is_list = data.draw(st.sampled_from(TEXT_SETTINGS))
    overrides: Any = [value] if is_list else value
    for key in reversed(path):
        overrides = {key: overrides}
    try:
        inputs = stage_inputs(**overrides)
    except SettingsError:
        return
    files = rendered_or_refused(inputs)
    if files is not None:
        accepted_by_the_parsers(files)


PLACES = [field.name for field in fields(Places) if field.name not in {"certificate", "certificate_key"}]


@pytest.mark.local
@given(field=st.sampled_from(PLACES), value=HOSTILE)
@PROFILE
def test_a_hostile_path_is_refused_or_stays_a_value(tools, stage_inputs, field, value):
    plain = stage_inputs()
    files = rendered_or_refused(replace(plain, places=replace(plain.places, **{field: value})))
    if files is not None:
        assert shape(files) == plain_shape(stage_inputs)
        accepted_by_the_parsers(files)


DECLARED = ("front_door", "cache", "state", "queue")
LISTENING = ("pgbouncer", "prometheus", "alertmanager", "nginx-exporter")


def with_endpoint(endpoints: Endpoints, place: str, **changes: Any) -> Endpoints:
    """The addresses with one endpoint changed: a declared one, or the only one on a server's port."""
    if place in DECLARED:
        return replace(endpoints, **{place: replace(getattr(endpoints, place), **changes)})
    (endpoint,) = endpoints.listening[place]
    return replace(endpoints, listening={**endpoints.listening, place: (replace(endpoint, **changes),)})


@pytest.mark.local
@given(place=st.sampled_from([*DECLARED, *LISTENING]), part=st.sampled_from(["host", "name"]), value=HOSTILE)
@PROFILE
def test_a_hostile_address_is_refused_or_stays_a_value(stage_inputs, place, part, value):
    plain = stage_inputs()
    files = rendered_or_refused(replace(plain, endpoints=with_endpoint(plain.endpoints, place, **{part: value})))
    if files is not None:
        stays = part == "name" or is_loopback(value)
        assert shape(files) == plain_shape(stage_inputs, None if stays else place)


@given(part=st.sampled_from(["host", "name"]), value=HOSTILE)
@PROFILE
def test_a_hostile_server_of_a_group_is_refused_or_stays_a_value(stage_inputs, part, value):
    plain = stage_inputs()
    server = replace(Endpoint("127.0.0.1", 8001, "app1"), **{part: value})
    database = replace(Endpoint("127.0.0.1", 5432, "primary"), **{part: value})
    for endpoints in (
        replace(plain.endpoints, app_servers=(server, *plain.endpoints.app_servers[1:])),
        replace(plain.endpoints, databases=(DatabaseEndpoints(database, plain.endpoints.databases[0].replicas),)),
    ):
        files = rendered_or_refused(replace(plain, endpoints=endpoints))
        if files is not None:
            assert {file.path.count("..") for file in files} == {0}
            mine = {path: made for path, made in shape(files).items() if not path.startswith("postgresql/")}
            assert mine == {
                path: made for path, made in plain_shape(stage_inputs).items() if not path.startswith("postgresql/")
            }


@given(value=HOSTILE.filter(bool))
@PROFILE
def test_a_hostile_name_of_bucket_region_or_origin_is_refused_or_stays_a_value(stage_inputs, value):
    plain = stage_inputs()
    for change in ({"backups_bucket": value}, {"region": value}, {"s3_endpoint": value}, {"media_origins": (value,)}):
        files = rendered_or_refused(replace(plain, endpoints=replace(plain.endpoints, **change)))
        if files is not None and "s3_endpoint" not in change:
            assert shape(files) == plain_shape(stage_inputs)


SECRETS = (
    *("database", "database-shard1", "database-shard2", "replicator", "postgresql-monitor", "queue", "backup-cipher"),
    *(f"redis-{role}{account}" for role in ("cache", "state") for account in ("", "-replica", "-monitor")),
)


@given(value=HOSTILE.filter(lambda text: len(text) > 3 and not text.startswith("\ud800")))
@PROFILE
def test_a_hostile_password_is_refused_or_stays_a_value_in_a_file_of_its_owner_alone(stage_inputs, value):
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    secrets = Secrets(dict.fromkeys(SECRETS, f"<{value}>"))
    files = rendered_or_refused(replace(stage_inputs("phase3"), secrets=secrets))
    for file in files or ():
        masked = secrets.mask(file.text)
        if masked != file.text:
            assert file.mode == 0o600, file.path
        for shown in (f"<{value}>", pgpass(f"<{value}>")):
            assert shown not in masked, "a secret would be shown"


def test_every_family_says_invalid_when_its_server_refuses_a_file(stage_inputs, require_binary):
    require_binary("nginx")
    inputs = stage_inputs()
    files = [
        replace(file, text=file.text.replace("least_conn;", "least_connections;"))
        for file in use_cases.render(families("nginx"), inputs, TEMPLATES)
    ]
    findings = use_cases.check(families("nginx"), files, inputs)
    refused = [finding for finding in findings if finding.verdict is Verdict.INVALID]
    assert "unknown directive" in refused[0].detail
    assert family("nginx")
