"""The broker's own key: mints what agents show at the gateway, seals the real secrets at rest (design D4)."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from broker.domain.ids import AgentId
from broker.errors import StoreUnavailable

_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class Keyring:
    """Derives one key a purpose from the broker key. Nothing minted is ever stored."""

    def __init__(self, broker_key: bytes) -> None:
        """Takes 32 random bytes."""
        self._mint_key = _derive(broker_key, b"agentbroker mint v1")
        self._sign_key = _derive(broker_key, b"agentbroker ownership v1")
        self._seal = AESGCM(_derive(broker_key, b"agentbroker seal v1"))
        self.fingerprint = _derive(broker_key, b"agentbroker fingerprint v1").hex()[:16]
        """Tells keys apart and gives nothing of them away."""

    def mint(self, agent_id: AgentId, attempt: int) -> str:
        """The secret of one attempt of one agent: 64 lower-case hex digits, the same at every call."""
        return hmac.new(self._mint_key, f"{agent_id}:{attempt}".encode(), hashlib.sha256).hexdigest()

    def sign(self, text: str) -> str:
        """A signature by which the broker knows its own mark on what it has made: 64 lower-case hex digits."""
        return hmac.new(self._sign_key, text.encode(), hashlib.sha256).hexdigest()

    def seal(self, secret: str) -> bytes:
        """Encrypts a real secret for the store."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._seal.encrypt(nonce, secret.encode(), None)

    def unseal(self, sealed: bytes) -> str:
        """Decrypts what `seal` made; a `StoreUnavailable` says that the database belongs to another key."""
        try:
            return self._seal.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None).decode()
        except InvalidTag as error:
            raise StoreUnavailable(
                "a secret in the database was sealed with another broker key: restore the keys_dir that belongs to it",
            ) from error


def open_keyring(keys_dir: Path, known: str | None = None) -> Keyring:
    """Reads `broker.key` of `keys_dir`.

    `known` is the fingerprint of the key that the database was made with; None for a new database, and only then a key
    that is missing is made. Raises `StoreUnavailable`, naming the file and the fix, when the key cannot be read, is
    missing or another one, is too short, or others may read it.
    """
    path = keys_dir / "broker.key"
    try:
        keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if known is None and not path.exists():
            _write_new_key(path)
        mode = path.stat().st_mode & 0o777
        key = path.read_bytes()
    except OSError as error:
        raise StoreUnavailable(
            f"{path}: {error.strerror or error}; the broker must be able to read its keys_dir"
        ) from error
    if mode & 0o077:
        raise StoreUnavailable(f"{path}: others may read it (mode {mode:04o}); run: chmod 600 {path}")
    if len(key) != _KEY_BYTES:
        raise StoreUnavailable(f"{path}: holds {len(key)} bytes, not {_KEY_BYTES}; restore it from where it was made")
    keyring = Keyring(key)
    if known not in (None, keyring.fingerprint):
        raise StoreUnavailable(f"{path}: not the key that the database was made with; restore the keys_dir beside it")
    return keyring


def _write_new_key(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # fails if another broker was first; its key then stands
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=purpose).derive(key)
