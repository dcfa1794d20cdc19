"""boto3 clients against one endpoint, and the service's errors in our words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from watoto_infra.providers.aws.emulator import NOT_IMPLEMENTED, is_bare_page
from watoto_infra.values.addresses import EMULATOR_CREDENTIALS

GLOBAL_REGION = "us-east-1"
"""Requests to services without regions (IAM, CloudFront) are signed for this region."""

CLIENT_ERROR = 4
"""First digit of the HTTP status of an answer that blames the request."""

READING = ("describe_", "get_", "list_", "head_")
"""Prefixes of the methods that change nothing."""


UNDECIDED = frozenset({"RequestTimeout", "RequestTimeoutException"})
"""Codes of answers that leave open whether the service did what was asked, although they blame the request."""


class ServiceError(Exception):
    """A call failed. ``code`` is the service's error code, ``words`` its own message.

    ``refused``: the service answered that it will not do it, so this call had no effect.
    """

    def __init__(self, operation: str, code: str, words: str, *, refused: bool = False) -> None:
        super().__init__(f"{operation}: {code}: {words}")
        self.operation = operation
        self.code = code
        self.words = words
        self.refused = refused


class NotImplementedByEmulatorError(ServiceError):
    """The emulator has no such operation; nothing was done."""


class Clients:
    """One boto3 client per service and region, made on first use and shared by all threads.

    The endpoint is the target's. On loopback timeouts are short, so that an emulator that is gone is noticed at once.
    Only calls that change nothing are tried a second time: a create whose answer was lost may have been done.
    """

    def __init__(self, endpoint: str, region: str) -> None:
        self.endpoint = endpoint
        self.region = region
        self._session = boto3.session.Session(
            aws_access_key_id=EMULATOR_CREDENTIALS, aws_secret_access_key=EMULATOR_CREDENTIALS, region_name=region
        )
        self._config = Config(
            connect_timeout=2,
            read_timeout=60,
            retries={"total_max_attempts": 1},
            max_pool_connections=32,
            s3={"addressing_style": "path"},
            # Checksums in trailers cost a second pass and protect nothing on loopback.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._made: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def get(self, service: str, region: str | None = None) -> Any:
        """Give the client of ``service``; the provider's own region unless another is named."""
        key = (service, region or self.region)
        if key not in self._made:
            with self._lock:  # sessions must not be used by two threads at once
                if key not in self._made:
                    self._made[key] = self._session.client(  # type: ignore[call-overload]
                        service, region_name=key[1], endpoint_url=self.endpoint, config=self._config
                    )
        return self._made[key]

    @cached_property
    def account(self) -> str:
        """The number of the account behind the endpoint."""
        return str(self.call("sts", None, "get_caller_identity")["Account"])

    def call(self, service: str, region: str | None, operation: str, **arguments: Any) -> dict[str, Any]:
        """Make one call.

        Raises ``NotImplementedByEmulatorError`` where moto has no such operation, else ``ServiceError``.
        """
        method = getattr(self.get(service, region), operation)
        try:
            answer: dict[str, Any] = _twice(method, arguments) if operation.startswith(READING) else method(**arguments)
        except ClientError as error:
            told = error.response.get("Error", {})
            code, words = str(told.get("Code", "")), str(told.get("Message", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            refused = status // 100 == CLIENT_ERROR and code not in UNDECIDED
            raise self._refusal(service, operation, code, words, refused=refused) from error
        except ResponseParserError as error:
            raise self._refusal(service, operation, "unreadable answer", str(error)) from error
        except BotoCoreError as error:
            raise ServiceError(operation, type(error).__name__, " ".join(str(error).split())) from error
        answer.pop("ResponseMetadata", None)
        return answer

    @staticmethod
    def _refusal(service: str, operation: str, code: str, words: str, *, refused: bool = False) -> ServiceError:
        bare = is_bare_page(words) or code == words == "404" or (code, words) == ("404", "Not Found")
        if bare and (service, operation) in NOT_IMPLEMENTED:
            return NotImplementedByEmulatorError(operation, "NotImplemented", "the emulator does not implement it")
        if is_bare_page(words):
            return ServiceError(operation, code, "the emulator failed on this request (its log says why)")
        return ServiceError(operation, code, " ".join(words.split()), refused=refused)


def _twice(method: Callable[..., dict[str, Any]], arguments: dict[str, Any]) -> dict[str, Any]:
    """Call, and once more when the connection broke."""
    try:
        return method(**arguments)
    except HTTPClientError:
        return method(**arguments)
