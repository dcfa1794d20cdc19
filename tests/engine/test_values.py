"""Property values in a deployment and on the screen."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pulumi
import pytest
from hypothesis import given, settings
from pulumi.provider.experimental.property_value import PropertyValue, ResourceReference

from tests.engine.passphrases import CHEAP_ROUNDS
from tests.engine.states import values
from tests.examples import examples
from watoto_infra.engine.embedded.state.secrets import PassphraseCrypter
from watoto_infra.engine.embedded.state.signatures import (
    ASSET_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN_SENTINEL,
    plain_json,
)
from watoto_infra.engine.embedded.state.values import (
    Masking,
    from_json,
    from_plain,
    plain,
    to_json,
)
from watoto_infra.errors import StateError, UnsupportedFeature
from watoto_infra.values.contracts import SECRET_MARK, UNKNOWN_MARK

CRYPTER = PassphraseCrypter.new("x", CHEAP_ROUNDS)


def comparable(value: PropertyValue):
    """NaN is equal to nothing, itself included, so values are compared by what they print as."""
    held = value.value
    if isinstance(held, tuple):
        return value.is_secret, [comparable(item) for item in held]
    if isinstance(held, Mapping):
        return value.is_secret, {key: comparable(item) for key, item in held.items()}
    return value.is_secret, repr(held)


@settings(max_examples=examples(quick=100))
@given(values)
def test_a_value_comes_back_from_a_deployment_as_it_went_in(value):
    document = json.loads(json.dumps(to_json(value, CRYPTER), allow_nan=False))
    assert comparable(from_json(document, CRYPTER)) == comparable(value)


@settings(max_examples=examples(quick=100))
@given(values)
def test_no_secret_is_in_clear_in_a_deployment(value):
    marked = PropertyValue({"outer": PropertyValue([value, PropertyValue("xyzzy-planted")], is_secret=True)})
    assert "xyzzy-planted" not in json.dumps(to_json(marked, CRYPTER))
    assert "xyzzy-planted" not in json.dumps(plain(marked))


@settings(max_examples=examples(quick=100))
@given(values)
def test_a_deployment_is_shown_without_the_sdk_as_it_is_shown_with_it(value):
    document = json.loads(json.dumps(to_json(value, CRYPTER), allow_nan=False))
    assert repr(plain_json(document)) == repr(plain(from_json(document, Masking())))


@pytest.mark.parametrize(
    "held",
    [
        pulumi.StringAsset("hello"),
        pulumi.FileAsset("/no/such/page.html"),
        pulumi.RemoteAsset("https://example.com/page.html"),
        ResourceReference("urn:pulumi:s::p::t:t:T::n", PropertyValue("id-1"), "1.2.3"),
        -math.inf,
    ],
)
def test_so_is_what_has_a_signature(held):
    document = to_json(PropertyValue(held), CRYPTER)
    assert plain_json(document) == plain(PropertyValue(held))


def test_a_secret_has_pulumis_form():
    document = to_json(PropertyValue({"a": PropertyValue("x")}, is_secret=True), CRYPTER)
    assert document[SIGNATURE_KEY] == SECRET_SIGNATURE
    assert json.loads(CRYPTER.decrypt(document["ciphertext"])) == {"a": "x"}


def test_a_secret_exported_in_clear_is_read_as_a_secret():
    document = {SIGNATURE_KEY: SECRET_SIGNATURE, "plaintext": '"open"'}
    assert from_json(document, CRYPTER) == PropertyValue("open", is_secret=True)


def test_whole_numbers_are_written_without_a_point_as_pulumi_writes_them():
    assert json.dumps(to_json(PropertyValue([PropertyValue(3.0), PropertyValue(0.5)]), CRYPTER)) == "[3, 0.5]"


def test_unknowns_use_pulumis_sentinel():
    assert to_json(PropertyValue.computed(), CRYPTER) == UNKNOWN_SENTINEL


def test_what_is_not_a_number_survives():
    document = json.loads(json.dumps(to_json(PropertyValue(-math.inf), CRYPTER), allow_nan=False))
    assert from_json(document, CRYPTER).value == -math.inf


def test_a_text_asset_carries_the_hash_of_its_content():
    document = to_json(PropertyValue(pulumi.StringAsset("hello")), CRYPTER)
    assert document == {
        SIGNATURE_KEY: ASSET_SIGNATURE,
        "hash": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "text": "hello",
    }
    read = from_json(document, CRYPTER).value
    assert isinstance(read, pulumi.StringAsset)
    assert read.text == "hello"


def test_a_file_asset_keeps_its_path_and_the_hash_of_the_file(tmp_path):
    file = tmp_path / "page.html"
    file.write_text("hello")
    document = to_json(PropertyValue(pulumi.FileAsset(str(file))), CRYPTER)
    assert document["hash"].startswith("2cf24dba")
    read = from_json(document, CRYPTER).value
    assert isinstance(read, pulumi.FileAsset)
    assert read.path == str(file)


def test_a_resource_reference_survives():
    reference = PropertyValue(ResourceReference("urn:pulumi:s::p::t:t:T::n", PropertyValue("id-1"), "1.2.3"))
    assert from_json(to_json(reference, CRYPTER), CRYPTER) == reference


def test_an_archive_is_refused_by_name():
    with pytest.raises(UnsupportedFeature, match="archive"):
        to_json(PropertyValue(pulumi.FileArchive("/tmp")), CRYPTER)


@pytest.mark.parametrize(
    "document",
    [
        {SIGNATURE_KEY: "no such signature"},
        {SIGNATURE_KEY: SECRET_SIGNATURE},
        {SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": 7},
        {SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": "v1:AAAA:AAAA"},
        {SIGNATURE_KEY: SECRET_SIGNATURE, "plaintext": "{"},
        {SIGNATURE_KEY: "8ad145fe-0d11-4827-bfd7-1abcbf086f5c", "value": "zz"},
        {SIGNATURE_KEY: ["a", "list"]},
    ],
)
def test_a_damaged_special_value_is_a_state_error(document):
    with pytest.raises(StateError):
        from_json(document, CRYPTER)
    if document[SIGNATURE_KEY] != SECRET_SIGNATURE:  # what is secret is not looked at
        with pytest.raises(StateError):
            plain_json(document)


def test_the_screen_shows_marks_for_secrets_and_unknowns():
    value = PropertyValue(
        {
            "a": PropertyValue("s", is_secret=True),
            "b": PropertyValue.computed(),
            "c": PropertyValue([PropertyValue(2.0)]),
        }
    )
    assert plain(value) == {"a": SECRET_MARK, "b": UNKNOWN_MARK, "c": [2]}
    assert plain(value, show_secrets=True)["a"] == "s"


def test_plain_json_becomes_a_value_and_comes_back():
    document = {"a": [1, 2.5, None, True, "x"], "b": {}}
    assert plain(from_plain(document)) == document


def test_without_the_passphrase_secrets_are_masked_and_nothing_can_be_written():
    document = to_json(PropertyValue("s", is_secret=True), CRYPTER)
    assert from_json(document, Masking()) == PropertyValue(SECRET_MARK, is_secret=True)
    with pytest.raises(StateError):
        to_json(PropertyValue("s", is_secret=True), Masking())
