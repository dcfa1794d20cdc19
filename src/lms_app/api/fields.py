"""The values that requests are made of, and the kinds of models that check them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from lms_app.domain.pages import MAX_LIMIT
from lms_app.errors import InvalidError


def storable(text: str) -> str:
    """Return the text. Raises ValueError when PostgreSQL cannot store it."""
    if "\x00" in text:
        raise ValueError("the character NUL cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair is no character") from None
    return text


def _lower(text: str) -> str:
    return text.lower()


MAX_ID = 10**18 - 1
"""The routes take 18 digits; so many fit a bigint."""
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(storable)]
Prose = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(storable)]
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,188}$"),
    AfterValidator(storable),
    AfterValidator(_lower),
]
Password = Annotated[str, StringConstraints(min_length=12, max_length=200), AfterValidator(storable)]


class Given(BaseModel):
    """A request's body or query: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Change(Given):
    """What is to change of a thing: fields that are left out, or null, stay as they are."""

    def require_a_field(self) -> None:
        """Raise InvalidError when there is nothing to change."""
        if not self.model_dump(exclude_none=True):
            raise InvalidError("name at least one field to change")


class PageQuery(Given):
    """Which page."""

    limit: int = Field(20, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=300, description="`next` of the page before.")
