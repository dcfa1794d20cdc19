"""Pulumi's passphrase provider."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.passphrases import CHEAP_ROUNDS
from tests.examples import examples
from watoto_infra.engine.embedded.state.secrets import (
    PASSPHRASE_FILE_VARIABLE,
    PASSPHRASE_VARIABLE,
    PassphraseCrypter,
    PassphraseSource,
)
from watoto_infra.errors import StateError, WrongPassphrase

WRITTEN_BY_PULUMI = "v1:g+vKgdS+8jE=:v1:MW4AK8LKuPzUhMzB:DBXX5MODqqq0AccPodn1tKYeRH1KUg=="
"""The salt that the official CLI made for the passphrase "correct horse"."""

CRYPTER = PassphraseCrypter.new("correct horse")


def test_what_the_official_cli_encrypted_is_decrypted():
    crypter = PassphraseCrypter("correct horse", WRITTEN_BY_PULUMI)
    assert crypter.decrypt("v1:4b86RDhfpnY9T/a5:esTOyaASDlRoNl+4lU5o7tSJC9Vwv3rg/E2g") == 'Grüße "x"'


@pytest.mark.parametrize("passphrase", ["", "correct horse ", "Correct horse"])
def test_a_wrong_passphrase_is_told_at_once(passphrase):
    with pytest.raises(WrongPassphrase) as caught:
        PassphraseCrypter(passphrase, WRITTEN_BY_PULUMI).verify()
    assert caught.value.exit_code == 12
    assert PASSPHRASE_VARIABLE in (caught.value.hint or "")


def test_a_new_salt_opens_with_its_passphrase_and_no_other():
    PassphraseCrypter("correct horse", CRYPTER.salt).verify()
    with pytest.raises(WrongPassphrase):
        PassphraseCrypter("wrong", CRYPTER.salt).verify()


def test_two_salts_and_two_encryptions_of_one_text_differ():
    assert PassphraseCrypter.new("x").salt != PassphraseCrypter.new("x").salt
    assert CRYPTER.encrypt("same") != CRYPTER.encrypt("same")


@settings(max_examples=examples(quick=100))
@given(st.text())
def test_every_text_comes_back(text):
    assert CRYPTER.decrypt(CRYPTER.encrypt(text)) == text


@pytest.mark.parametrize("salt", ["", "v1", "v2:AAAA:x", "v1:not base64:v1:a:b", "v1:AAAA:v1:AAAA:AAAA", "v1:AAAA:"])
def test_a_damaged_salt_is_an_error_with_one_line(salt):
    with pytest.raises((StateError, WrongPassphrase)) as caught:
        PassphraseCrypter("x", salt).verify()
    assert "\n" not in caught.value.message


@settings(max_examples=examples(quick=100))
@given(st.data())
def test_a_changed_ciphertext_is_never_decrypted(data):
    ciphertext = CRYPTER.encrypt("a secret")
    position = data.draw(st.integers(0, len(ciphertext) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda char: char != ciphertext[position]))
    changed = ciphertext[:position] + other + ciphertext[position + 1 :]
    try:
        opened = CRYPTER.decrypt(changed)
    except StateError:
        return
    assert opened == "a secret"  # the last bits of a base64 text carry nothing


def test_a_source_derives_keys_as_pulumi_does_unless_told_otherwise():
    environment = {PASSPHRASE_VARIABLE: "correct horse"}
    PassphraseSource(environment).crypter(WRITTEN_BY_PULUMI).verify()
    with pytest.raises(WrongPassphrase):
        PassphraseSource(environment, kdf_rounds=CHEAP_ROUNDS).crypter(WRITTEN_BY_PULUMI).verify()
    cheap = PassphraseSource(environment, kdf_rounds=CHEAP_ROUNDS)
    cheap.crypter(cheap.new_crypter().salt).verify()


class TestWhereThePassphraseComesFrom:
    def test_the_variable_comes_first_even_when_empty(self, tmp_path):
        (tmp_path / "own").write_text("from own file")
        environment = {PASSPHRASE_VARIABLE: "", PASSPHRASE_FILE_VARIABLE: "/nonexistent"}
        assert PassphraseSource(environment, tmp_path / "own").read() == ""

    def test_then_the_file_it_names_without_its_line_end(self, tmp_path):
        (tmp_path / "named").write_text("from file\n")
        assert PassphraseSource({PASSPHRASE_FILE_VARIABLE: str(tmp_path / "named")}).read() == "from file"

    def test_a_named_file_that_cannot_be_read_is_not_passed_over(self, tmp_path):
        source = PassphraseSource({PASSPHRASE_FILE_VARIABLE: str(tmp_path / "none")}, tmp_path / "own")
        with pytest.raises(WrongPassphrase, match="none"):
            source.read_or_make()
        assert not (tmp_path / "own").exists()

    def test_the_stacks_own_one_is_random_and_for_its_owner_alone(self, tmp_path):
        source = PassphraseSource({}, tmp_path / "own")
        made = source.read_or_make()
        assert len(made) >= 32
        assert (tmp_path / "own").stat().st_mode & 0o777 == 0o600
        assert source.read_or_make() == source.read() == made
        assert PassphraseSource({}, tmp_path / "other").read_or_make() != made

    def test_a_lost_own_file_is_not_made_anew_for_a_stack_that_has_secrets(self, tmp_path):
        with pytest.raises(WrongPassphrase, match="missing"):
            PassphraseSource({}, tmp_path / "own").read()
        assert not (tmp_path / "own").exists()

    def test_without_any_the_hint_names_the_variables(self):
        with pytest.raises(WrongPassphrase) as caught:
            PassphraseSource({}).read_or_make()
        assert PASSPHRASE_FILE_VARIABLE in (caught.value.hint or "")
