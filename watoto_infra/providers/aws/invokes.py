"""Functions that a program may call while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from watoto_infra.providers.aws.clients import Clients


def get_caller_identity(clients: Clients, _: Mapping[str, Any]) -> dict[str, Any]:
    """Who the provider acts as."""
    found = clients.call("sts", None, "get_caller_identity")
    return {"accountId": found["Account"], "arn": found["Arn"], "userId": found["UserId"], "id": found["Account"]}


FUNCTIONS: dict[str, Callable[[Clients, Mapping[str, Any]], dict[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": get_caller_identity,
}
