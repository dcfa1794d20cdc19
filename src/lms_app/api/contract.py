"""How an endpoint is declared: its route, who may call it, what it takes and what it answers, in one place.

Routing, authorisation, validation and the OpenAPI document are made from the declaration, so they cannot contradict
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from flask import Blueprint, Response, g, request
from pydantic import BaseModel, ValidationError

from lms_app.api.sessions import current_identity
from lms_app.domain.identity import Identity, Role
from lms_app.errors import (
    BadRequestError,
    ForbiddenError,
    InvalidError,
    LmsError,
    NotFoundError,
    NotSignedInError,
    TooLargeError,
    UnsupportedMediaTypeError,
    invalid,
)

M = TypeVar("M", bound=BaseModel)
View = Callable[..., Response]
Access = frozenset[Role] | None
ANYONE: Access = None
SIGNED_IN: Access = frozenset(Role)
STAFF: Access = frozenset({Role.TEACHER, Role.ADMIN})
ADMINS: Access = frozenset({Role.ADMIN})


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer that an endpoint gives: JSON of the type `model` (a TypedDict or pydantic model), text, or no body."""

    description: str
    model: type[object] | None = None
    media_types: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One operation of the API, as declared."""

    method: str
    rule: str
    name: str
    access: Access
    summary: str
    replies: Mapping[int, Reply]
    errors: tuple[type[LmsError], ...]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    binary_body: bool = False
    idempotency_key: bool = False


class Resource:
    """A group of endpoints: a blueprint, and the declarations that it was made from."""

    def __init__(self, name: str) -> None:
        self.blueprint = Blueprint(name, __name__)
        self.endpoints: list[Endpoint] = []

    def endpoint(
        self,
        method: str,
        rule: str,
        access: Access,
        summary: str,
        replies: Mapping[int, Reply],
        *,
        query: type[BaseModel] | None = None,
        body: type[BaseModel] | None = None,
        binary_body: bool = False,
        idempotency_key: bool = False,
        errors: tuple[type[LmsError], ...] = (),
    ) -> Callable[[View], View]:
        """Declare a view. It is called with the path's values, and with `query` and `body` where models are given."""

        def register(view: View) -> View:
            declared = Endpoint(
                method=method,
                rule=rule,
                name=view.__name__,
                access=access,
                summary=summary,
                replies=replies,
                errors=errors
                + _usual_errors(access, rule, takes_values=query is not None or body is not None, body=body),
                query=query,
                body=body,
                binary_body=binary_body,
                idempotency_key=idempotency_key,
            )
            self.endpoints.append(declared)
            self.blueprint.add_url_rule(rule, view.__name__, _guarded(view, declared), methods=[method])
            return view

        return register


def _usual_errors(access: Access, rule: str, *, takes_values: bool, body: object) -> tuple[type[LmsError], ...]:
    errors: list[type[LmsError]] = []
    if access is not None:
        errors += [NotSignedInError]
        if access != SIGNED_IN:
            errors += [ForbiddenError]
    if "<" in rule:
        errors += [NotFoundError]
    if body is not None:
        errors += [BadRequestError, TooLargeError, UnsupportedMediaTypeError]
    if takes_values:
        errors += [InvalidError]
    return tuple(errors)


def _guarded(view: View, declared: Endpoint) -> View:
    access, query, body = declared.access, declared.query, declared.body

    def call(**arguments: Any) -> Response:
        if access is not None:
            require(access)
        if query is not None:
            arguments["query"] = _read_query(query)
        if body is not None:
            arguments["body"] = _read_body(body)
        return view(**arguments)

    return call


def require(access: frozenset[Role]) -> Identity:
    """Return who is signed in. Raises NotSignedInError, and ForbiddenError when the role is not in `access`."""
    identity = current_identity()
    if identity is None:
        raise NotSignedInError("send a bearer token or the session cookie")
    if identity.role not in access:
        raise ForbiddenError(f"this needs the role {' or '.join(sorted(access))}")
    g.identity = identity
    return identity


def me() -> Identity:
    """Return who is signed in. Only for views whose endpoint requires a role: `require` has noted the identity."""
    identity: Identity = g.identity
    return identity


def _read_query(model: type[M]) -> M:
    try:
        return model.model_validate(request.args.to_dict() if request.query_string else {})
    except ValidationError as error:
        raise invalid(error, "query") from None


def _read_body(model: type[M]) -> M:
    if request.mimetype != "application/json":
        raise UnsupportedMediaTypeError
    try:
        value = orjson.loads(request.get_data(cache=True))
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error, "body") from None
