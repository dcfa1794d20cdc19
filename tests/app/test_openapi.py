"""The OpenAPI document: valid, complete, and true of what the API answers to anything that can be thrown at it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import orjson
import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lms_app.api.openapi import document
from lms_app.api.resources import resources
from lms_app.domain import passwords
from lms_app.domain.identity import Identity, Role
from lms_app.domain.seeding import School, seed
from tests.app.conftest import Cluster, services_of, start_cluster
from tests.app.servers.moto import MotoServer
from tests.app.servers.postgres import Server

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
NEVER_REVOKED = 2**30
"""A session version that no sign-out of the tests reaches."""
_app: list[Flask] = []


@pytest.fixture(scope="module", autouse=True)
def small_school(postgres_bin: Path, template: Server, file_store: MotoServer) -> Iterator[None]:
    """A school that may be taken apart."""
    cluster: Cluster = start_cluster(postgres_bin, template)
    try:
        app = cluster.app(media_bucket=file_store.bucket, s3_endpoint_url=file_store.url)
        seed(services_of(app).databases, School(users=20, courses=5, password_hash=passwords.UNUSABLE))
        cluster.wait_for_replay()
        _app.append(app)
        yield
    finally:
        _app.clear()
        cluster.close_apps()
        cluster.servers.close()


@cache
def token(role: Role | None) -> str | None:
    if role is None:
        return None
    return services_of(_app[0]).sessions.issue(Identity(1, role, NEVER_REVOKED))[0]


schema = schemathesis.openapi.from_dict(document(resources()))


def examples(number: int) -> settings:
    """Try so many requests for each operation, the same ones each time."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.local
@pytest.mark.parametrize("role", [None, Role.ADMIN], ids=lambda role: role or "nobody")
@schema.parametrize()
@examples(12)
def test_no_request_makes_the_api_fail_or_answer_what_it_does_not_declare(case, role):
    validate_answer(case, role)


@pytest.mark.local
@schema.parametrize()
@examples(3)
def test_what_a_student_is_answered_or_refused_is_declared_as_well(case):
    validate_answer(case, Role.STUDENT)


def validate_answer(case, role: Role | None) -> None:
    case.operation.app = _app[0]
    headers = {"Authorization": f"Bearer {token(role)}"} if role else {}
    response = case.call(headers=headers)
    case.validate_response(response, checks=CHECKS)


def test_the_document_is_valid_openapi():
    validate(document(resources()))


@pytest.mark.local
def test_the_document_is_served_and_names_every_route_of_the_api():
    client = _app[0].test_client()
    served = client.get("/api/openapi.json")
    assert served.status_code == 200
    assert client.get("/api/openapi.json", headers={"If-None-Match": served.headers["ETag"]}).status_code == 304
    paths = orjson.loads(served.data)["paths"]
    declared = {(path, method.upper()) for path, item in paths.items() for method in item}
    routed = {
        (path, method)
        for rule in _app[0].url_map.iter_rules()
        if (path := _template(rule.rule)).startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert declared == routed


def _template(rule: str) -> str:
    parts = rule.split("/")
    return "/".join("{" + part.split(":")[-1].rstrip(">") + "}" if part.startswith("<") else part for part in parts)
