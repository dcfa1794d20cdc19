"""`/api/openapi.json`: the OpenAPI 3.1 document, made from the endpoints' declarations and their types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import orjson
from flask import Response, current_app
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core.core_schema import TypedDictSchema

from lms_app.api import idempotency
from lms_app.api.contract import ANYONE, Endpoint, Reply, Resource
from lms_app.api.fields import MAX_ID
from lms_app.api.models import Problem
from lms_app.api.responses import JSON, conditional
from lms_app.api.sessions import SESSION_COOKIE
from lms_app.caching import headers
from lms_app.domain.enrollments import ENROLLMENT_ID
from lms_app.errors import PROBLEM_JSON, BadRequestError, InvalidError, LmsError, UnavailableError

RESOURCES = "lms.resources"
"""Where an app keeps the groups of endpoints that it serves: a tuple of ``Resource``."""

resource = Resource("openapi")
REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"<(\w+)(?:\([^)]*\))?:(\w+)>")
_CONVERTERS: dict[str, dict[str, Any]] = {
    "id": {"type": "integer", "minimum": 1, "maximum": MAX_ID},
    "uuid": {"type": "string", "format": "uuid"},
    "enrollment": {"type": "string", "pattern": f"^{ENROLLMENT_ID}$", "description": "`<user>-<course>`"},
}


@resource.endpoint("GET", "/api/openapi.json", ANYONE, "This document", {200: Reply(description="OpenAPI 3.1.")})
def show_openapi() -> Response:
    """Made once a process: the declarations do not change."""
    return conditional(_document(current_app.extensions[RESOURCES]), kept=headers.shared)


@cache
def _document(groups: tuple[Resource, ...]) -> bytes:
    return orjson.dumps(document(groups))


def document(groups: Iterable[Resource]) -> dict[str, Any]:
    """Return the document, as values that JSON can hold."""
    endpoints = [(group.blueprint.name, endpoint) for group in groups for endpoint in group.endpoints]
    paths: dict[str, dict[str, Any]] = {}
    for tag, endpoint in endpoints:
        paths.setdefault(_PARAMETER.sub(r"{\2}", endpoint.rule), {})[endpoint.method.lower()] = _operation(
            tag, endpoint
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Watoto LMS", "version": "1"},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(endpoint for _, endpoint in endpoints),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
            },
        },
    }


class _Schemas(GenerateJsonSchema):
    """Schemas in which an answer has no fields beside those of its TypedDict."""

    def typed_dict_schema(self, schema: TypedDictSchema) -> JsonSchemaValue:
        return super().typed_dict_schema(schema) | {"additionalProperties": False}


def _schemas(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    models: dict[tuple[type[object], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for endpoint in endpoints:
        if endpoint.body is not None:
            models[endpoint.body, "validation"] = None
        for answer in endpoint.replies.values():
            if answer.model is not None:
                models[answer.model, "serialization"] = None
    adapters = [(model.__name__, mode, TypeAdapter(model)) for model, mode in models]
    _, schema = TypeAdapter.json_schemas(adapters, ref_template=REF, schema_generator=_Schemas)
    found: dict[str, Any] = schema["$defs"]
    return found


def _operation(tag: str, endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": [tag],
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint),
        "responses": {str(status): _reply(answer) for status, answer in endpoint.replies.items()},
        "security": [] if endpoint.access is ANYONE else [{"bearer": []}, {"cookie": []}],
    }
    if endpoint.access is not None:
        operation["x-roles"] = sorted(endpoint.access)
    if endpoint.body is not None:
        schema = {"$ref": REF.format(model=endpoint.body.__name__)}
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    if endpoint.binary_body:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    errors: list[type[LmsError]] = [*endpoint.errors, UnavailableError]
    if endpoint.idempotency_key:
        errors += [BadRequestError, InvalidError]
    for error in errors:
        operation["responses"].setdefault(str(error.status), _problem(error))
    if endpoint.method == "GET" and 200 in endpoint.replies:  # noqa: PLR2004
        operation["responses"]["304"] = {"description": "The client has it already (If-None-Match)."}
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _CONVERTERS[converter]}
        for converter, name in _PARAMETER.findall(endpoint.rule)
    ]
    if endpoint.query is not None:
        schema = endpoint.query.model_json_schema()
        parameters += [
            {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": part}
            for name, part in schema["properties"].items()
        ]
    if endpoint.idempotency_key:
        key = {"type": "string", "minLength": 1, "maxLength": idempotency.MAX_KEY}
        parameters.append({"name": idempotency.HEADER, "in": "header", "required": False, "schema": key})
    return parameters


def _reply(answer: Reply) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.model is not None:
        described["content"] = {JSON: {"schema": {"$ref": REF.format(model=answer.model.__name__)}}}
    for media_type in answer.media_types:
        described.setdefault("content", {})[media_type] = {"schema": {"type": "string"}}
    if answer.headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
        }
    return described


def _problem(error: type[LmsError]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": error.title,
        "content": {PROBLEM_JSON: {"schema": {"$ref": REF.format(model=Problem.__name__)}}},
    }
    if issubclass(error, UnavailableError):
        described["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return described
