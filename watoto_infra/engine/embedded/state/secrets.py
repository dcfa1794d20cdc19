"""Pulumi's passphrase secrets provider, so that a state opens with either tool and the same passphrase.

The format is that of Pulumi's ``passphrase`` provider: the key is PBKDF2-HMAC-SHA256 of the passphrase, 1,000,000
rounds over an 8-byte salt, 32 bytes long; a value is ``v1:<base64 nonce>:<base64 ciphertext>``, AES-256-GCM with a
12-byte nonce; the provider's state is ``v1:<base64 salt>:<the encrypted word "pulumi">``, by which a wrong passphrase
is told from a right one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets as random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from watoto_infra.errors import StateError, WrongPassphrase
from watoto_infra.whole_file import write_whole

KDF_ROUNDS = 1_000_000
"""Rounds of the key derivation function (PBKDF2); Pulumi opens a state of no other number."""
SALT_BYTES = 8
KEY_BYTES = 32
NONCE_BYTES = 12
PROOF = "pulumi"

PASSPHRASE_VARIABLE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - a variable's name
PASSPHRASE_FILE_VARIABLE = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105 - a variable's name
PASSPHRASE_VARIABLES = frozenset({PASSPHRASE_VARIABLE, PASSPHRASE_FILE_VARIABLE})
"""They end here: no process that watoto starts gets them."""
PASSPHRASE_HINT = f"set {PASSPHRASE_VARIABLE}, or {PASSPHRASE_FILE_VARIABLE} to a file that holds the passphrase"


class PassphraseCrypter:
    """Encrypts and decrypts with one passphrase and salt; safe to use from many threads.

    The key costs about a third of a second to derive, so that is done when a value is first needed.
    """

    def __init__(self, passphrase: str, salt: str, kdf_rounds: int = KDF_ROUNDS) -> None:
        self.salt = salt
        """The provider's state as a deployment holds it, ``v1:<salt>:<proof>``."""
        self._passphrase = passphrase
        self._kdf_rounds = kdf_rounds
        self._cipher: AESGCM | None = None
        self._derivation = threading.Lock()

    @classmethod
    def new(cls, passphrase: str, kdf_rounds: int = KDF_ROUNDS) -> PassphraseCrypter:
        """Make a crypter with a fresh salt."""
        salt = random.token_bytes(SALT_BYTES)
        cipher = AESGCM(_derive_key(passphrase, salt, kdf_rounds))
        crypter = cls(passphrase, f"v1:{_encode(salt)}:{_encrypt(cipher, PROOF)}", kdf_rounds)
        crypter._cipher = cipher
        return crypter

    def verify(self) -> None:
        """Raise ``WrongPassphrase`` unless the passphrase opens this salt, ``StateError`` if the salt is damaged."""
        self._opened()

    def encrypt(self, plaintext: str) -> str:
        """Encrypt a text. Raises as ``verify`` does."""
        return _encrypt(self._opened(), plaintext)

    def decrypt(self, ciphertext: str) -> str:
        """Decrypt a text. Raises ``StateError`` if it is damaged, else as ``verify`` does."""
        try:
            return _decrypt(self._opened(), ciphertext)
        except (InvalidTag, ValueError) as error:
            raise StateError(
                "a secret in the state cannot be decrypted: its text is damaged",
                hint="bring back an export that is whole: `watoto state import FILE`",
            ) from error

    def _opened(self) -> AESGCM:
        with self._derivation:
            if self._cipher is None:
                self._cipher = _open(self._passphrase, self.salt, self._kdf_rounds)
            return self._cipher


@dataclass(frozen=True)
class PassphraseSource:
    """Where a stack's passphrase comes from: the environment, a file it names, or the stack's own file.

    ``own_file`` is only given for targets that may do without the user's passphrase (the local one): a random one is
    made there, readable by its owner alone. ``kdf_rounds`` is what one guess of the passphrase costs: Pulumi's number,
    unless a test that opens many stacks asks for fewer.
    """

    environment: Mapping[str, str]
    own_file: Path | None = None
    kdf_rounds: int = KDF_ROUNDS

    def crypter(self, salt: str) -> PassphraseCrypter:
        """Give the crypter of a state with this salt. Raises as ``read`` does; the salt is only tried by ``verify``."""
        return PassphraseCrypter(self.read(), salt, self.kdf_rounds)

    def new_crypter(self) -> PassphraseCrypter:
        """Make the crypter of a new state. Raises as ``read_or_make`` does."""
        return PassphraseCrypter.new(self.read_or_make(), self.kdf_rounds)

    def read(self) -> str:
        """Give the passphrase. Raises ``WrongPassphrase`` when there is none or its file cannot be read."""
        if PASSPHRASE_VARIABLE in self.environment:
            return self.environment[PASSPHRASE_VARIABLE]
        named = self.environment.get(PASSPHRASE_FILE_VARIABLE)
        if named:
            return _read_passphrase_file(Path(named))
        if self.own_file is None:
            raise WrongPassphrase("no passphrase for the stack's secrets was given", hint=PASSPHRASE_HINT)
        if not self.own_file.exists():
            raise WrongPassphrase(
                f"the stack's passphrase file is missing: {self.own_file}",
                hint=f"put the file back, or {PASSPHRASE_HINT}",
            )
        return _read_passphrase_file(self.own_file)

    def read_or_make(self) -> str:
        """Give the passphrase of a stack that has no secrets yet, making the stack's own file where that is allowed.

        Raises ``WrongPassphrase`` as ``read`` does, ``StateError`` when the file cannot be written.
        """
        given = PASSPHRASE_VARIABLE in self.environment or self.environment.get(PASSPHRASE_FILE_VARIABLE)
        if not given and self.own_file is not None and not self.own_file.exists():
            _write_new_passphrase(self.own_file)
        return self.read()


def _read_passphrase_file(path: Path) -> str:
    """Read a passphrase file as Pulumi does: the whole text without surrounding white space."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongPassphrase(f"cannot read the passphrase file {path}: {error}", hint=PASSPHRASE_HINT) from error


def _write_new_passphrase(path: Path) -> None:
    """Write a random passphrase so that a reader sees all of it or no file at all."""
    try:
        write_whole(path, random.token_urlsafe(KEY_BYTES) + "\n")
    except OSError as error:
        raise StateError(f"cannot write the stack's passphrase file {path}: {error.strerror}") from error


def _open(passphrase: str, state: str, kdf_rounds: int) -> AESGCM:
    version, _, rest = state.partition(":")
    salt, _, proof = rest.partition(":")
    try:
        if version != "v1":
            raise ValueError(f"unknown version {version!r}")
        cipher = AESGCM(_derive_key(passphrase, _decode(salt), kdf_rounds))
        opened = _decrypt(cipher, proof)
    except ValueError as error:
        raise StateError(f"the state's encryption salt is damaged: {error}") from error
    except InvalidTag as error:
        raise WrongPassphrase("the passphrase does not open this stack's secrets", hint=PASSPHRASE_HINT) from error
    if opened != PROOF:
        raise WrongPassphrase("the passphrase does not open this stack's secrets", hint=PASSPHRASE_HINT)
    return cipher


@lru_cache(maxsize=2)
def _derive_key(passphrase: str, salt: bytes, rounds: int) -> bytes:
    """Derive once what a command needs twice: its plan opens the state, and so does the run that carries it out."""
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, rounds, KEY_BYTES)


def _encrypt(cipher: AESGCM, plaintext: str) -> str:
    nonce = random.token_bytes(NONCE_BYTES)
    return f"v1:{_encode(nonce)}:{_encode(cipher.encrypt(nonce, plaintext.encode(), None))}"


def _decrypt(cipher: AESGCM, ciphertext: str) -> str:
    version, _, rest = ciphertext.partition(":")
    nonce, _, data = rest.partition(":")
    if version != "v1":
        raise ValueError(f"unknown version {version!r}")
    return cipher.decrypt(_decode(nonce), _decode(data), None).decode()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
