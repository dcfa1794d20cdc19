"""What every settings model shares: strictness, and one way of saying that values do not fit together."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

NOT_ALLOWED = "not_allowed"
"""Type of the errors made by ``not_allowed``; their context holds ``key``, ``value`` and ``allowed``."""


class Strict(BaseModel):
    """A frozen part of a stage: an unknown key, a value of another type and a non-finite number are errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


def not_allowed(key: str, value: Any, allowed: str) -> PydanticCustomError:
    """An error for a validator to raise: ``key`` (a path below the model) holds ``value``; ``allowed`` says what fits.

    ``key`` is empty when the validator belongs to the field itself.
    """
    return PydanticCustomError(NOT_ALLOWED, "allowed: {allowed}", {"key": key, "value": value, "allowed": allowed})


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""A PostgreSQL database or role name that needs no quoting."""

CertificateArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/.+$")]
