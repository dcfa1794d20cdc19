"""Kong's own parser where it is installed; else its published schema, as far as these files use it.

No package registry ships that schema, so it is written down here, after the source of Kong Gateway 3.9.1: entities in
kong/db/schema/entities (upstreams, targets, services, routes), plugins in kong/plugins/<name>/schema.lua, what is
allowed without a database included (no policy ``cluster``). A field that exists there and is not used here is refused.
kong.conf has no schema: Kong passes over what it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from watoto_infra.programs import find
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile, Verdict
from watoto_infra.rendering.run import Checker, as_ran

FILE = "kong/kong.yml"
PARSER = Checker("kong", "kong config parse", servers=("kong",))
SCHEMA = Checker("kong", "published schema")


class _Entity(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Statuses = list[Annotated[int, Field(ge=100, le=999)]]
Count = Annotated[int, Field(ge=0, le=255)]
Interval = Annotated[float, Field(ge=0, le=65_535)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]+$")]


class _ActiveHealthy(_Entity):
    interval: Interval
    successes: Count
    http_statuses: Statuses


class _ActiveUnhealthy(_Entity):
    interval: Interval
    http_failures: Count
    tcp_failures: Count
    timeouts: Count
    http_statuses: Statuses


class _Active(_Entity):
    type: Literal["tcp", "http", "https", "grpc", "grpcs"]
    http_path: Annotated[str, Field(pattern="^/")]
    timeout: Interval
    healthy: _ActiveHealthy
    unhealthy: _ActiveUnhealthy


class _PassiveHealthy(_Entity):
    successes: Count
    http_statuses: Statuses


class _PassiveUnhealthy(_Entity):
    http_failures: Count
    tcp_failures: Count
    timeouts: Count
    http_statuses: Statuses


class _Passive(_Entity):
    healthy: _PassiveHealthy
    unhealthy: _PassiveUnhealthy


class _Healthchecks(_Entity):
    active: _Active
    passive: _Passive


class _Target(_Entity):
    target: Annotated[str, Field(pattern=r"^[A-Za-z0-9.\[\]:-]+:\d{1,5}$")]
    weight: Annotated[int, Field(ge=0, le=65_535)]


class _Upstream(_Entity):
    name: Name
    algorithm: Literal["round-robin", "consistent-hashing", "least-connections", "latency"]
    healthchecks: _Healthchecks
    targets: Annotated[list[_Target], Field(min_length=1)]


class _Route(_Entity):
    name: Name
    paths: list[Annotated[str, Field(pattern="^(/|~)")]]
    hosts: list[str] = []
    strip_path: bool
    preserve_host: bool = False
    protocols: list[Literal["http", "https"]]


Milliseconds = Annotated[int, Field(ge=1, le=2_147_483_646)]


class _Service(_Entity):
    name: Name
    protocol: Literal["http", "https"]
    host: str
    port: Annotated[int, Field(ge=0, le=65_535)]
    connect_timeout: Milliseconds
    read_timeout: Milliseconds
    write_timeout: Milliseconds
    retries: Annotated[int, Field(ge=0, le=32_767)]
    routes: list[_Route]


class _Redis(_Entity):
    host: str
    port: Annotated[int, Field(ge=0, le=65_535)]
    database: Annotated[int, Field(ge=0)]
    timeout: Milliseconds
    username: str
    password: str
    ssl: bool = False
    ssl_verify: bool = False
    server_name: str | None = None


class _RateLimitingConfig(_Entity):
    second: Annotated[int, Field(gt=0)]
    limit_by: Literal["consumer", "credential", "ip", "service", "header", "path"]
    policy: Literal["local", "redis"]  # "cluster" needs a database
    fault_tolerant: bool
    hide_client_headers: bool
    redis: _Redis | None = None
    redis_host: str | None = None
    redis_port: int | None = None
    redis_database: int | None = None
    redis_timeout: int | None = None
    redis_username: str | None = None
    redis_password: str | None = None
    redis_ssl: bool = False
    redis_ssl_verify: bool = False
    redis_server_name: str | None = None


class _RateLimiting(_Entity):
    name: Literal["rate-limiting"]
    route: Name | None = None
    config: _RateLimitingConfig


class _SizeConfig(_Entity):
    allowed_payload_size: Annotated[int, Field(gt=0)]
    size_unit: Literal["megabytes", "kilobytes", "bytes"]


class _Size(_Entity):
    name: Literal["request-size-limiting"]
    config: _SizeConfig


class _CorrelationConfig(_Entity):
    header_name: str
    generator: Literal["uuid", "uuid#counter", "tracker"]
    echo_downstream: bool


class _Correlation(_Entity):
    name: Literal["correlation-id"]
    config: _CorrelationConfig


class _PrometheusConfig(_Entity):
    status_code_metrics: bool
    latency_metrics: bool
    upstream_health_metrics: bool


class _Prometheus(_Entity):
    name: Literal["prometheus"]
    config: _PrometheusConfig


_Plugin = Annotated[_RateLimiting | _Size | _Correlation | _Prometheus, Field(discriminator="name")]


class _Document(_Entity):
    format_version: Literal["3.0"] = Field(alias="_format_version")
    upstreams: list[_Upstream]
    services: list[_Service]
    plugins: list[_Plugin]


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Ask Kong itself where it is installed; else compare with its schema and say that this is all."""
    del inputs
    folder = tree / "kong"
    if find("kong") is not None:
        names = [file.path for file in files]
        return (PARSER.by_tool("kong", ["config", "parse", "kong.yml"], names, folder=folder),)
    problems = problems_in((folder / "kong.yml").read_text(encoding="utf-8"))
    if problems:
        return (SCHEMA.judged([FILE], as_ran(problems)),)
    return (SCHEMA.found(Verdict.SCHEMA_ONLY, [FILE], "kong absent, so no plugin was run"),)


def problems_in(text: str) -> list[str]:
    """Compare with the schema, and every route a plugin names with the routes there are."""
    try:
        document = TypeAdapter(_Document).validate_python(yaml.safe_load(text))
    except yaml.YAMLError as error:
        return [f"not YAML: {error}"]
    except ValidationError as error:
        return [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)]
    routes = {route.name for service in document.services for route in service.routes}
    named = [plugin.route for plugin in document.plugins if isinstance(plugin, _RateLimiting) and plugin.route]
    hosts = {upstream.name for upstream in document.upstreams}
    missing = [f"a plugin names route {route}, which is not there" for route in named if route not in routes]
    return missing + [f"service {item.name} has no upstream" for item in document.services if item.host not in hosts]
