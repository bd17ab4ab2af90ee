"""Keeps what a host is told secret from the records of its cloud: Cloud Assistant keeps each command's text.

A host makes a key of its own, in memory where it can, whose private half never leaves it. The broker seals with the
public one; the host opens with openssl. The cloud's records have the sealed text alone.
"""

import base64
import os
from typing import Final

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from broker.domain.reason import Reason
from broker.errors import BackendRejected

_ROUNDS: Final = 10_000
"""What `openssl enc -pbkdf2` does by itself. The passphrase is random: they need not make guessing slow."""
_AES_BLOCK: Final = 128

FOLDER: Final = """\
umask 077
d=/dev/shm; [ -d "$d" ] && [ -w "$d" ] || d=/tmp
d="$d/agentbroker-$(id -u)"
mkdir -p "$d" && [ -O "$d" ] && chmod 700 "$d" || { echo "agentbroker: $d is not ours" >&2; exit 97; }
"""
"""POSIX sh: `$d` is a directory that only its user may read."""
PUBLIC_KEY: Final = (
    FOLDER
    + """\
command -v openssl >/dev/null || { echo "agentbroker: no openssl on this host" >&2; exit 96; }
[ -s "$d/key" ] || { openssl genrsa -out "$d/key.$$" 2048 2>/dev/null && mv "$d/key.$$" "$d/key"; } || exit 95
openssl rsa -in "$d/key" -pubout 2>/dev/null
"""
)
"""Prints the public half in PEM; makes the key if there is none."""
OPEN: Final = """\
printf %s "$1" | openssl base64 -d -A | openssl pkeyutl -decrypt -inkey "$d/key" \
-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -out "$2.pass" || exit 94
openssl enc -d -aes-256-cbc -pbkdf2 -base64 -A -pass "file:$2.pass" -in "$2.sealed" -out "$2.stdin" || exit 94
rm -f "$2.pass" "$2.sealed"
"""
"""POSIX sh: `$1` is the sealed passphrase, `$2` what the files are called; `$2.stdin` is what was sealed."""


def seal(public_pem: str, text: bytes) -> tuple[str, str]:
    """The passphrase for that key alone, and the text under the passphrase; both in base64."""
    try:
        key = load_pem_public_key(public_pem.encode())
    except ValueError as error:
        raise BackendRejected("NoPublicKey", "the host's key cannot be read", Reason.SETUP_FAILED) from error
    if not isinstance(key, RSAPublicKey):
        raise BackendRejected("NoPublicKey", "the host's key is no RSA key", Reason.SETUP_FAILED)
    passphrase, salt = base64.b64encode(os.urandom(32)), os.urandom(8)
    made = PBKDF2HMAC(algorithm=hashes.SHA256(), length=48, salt=salt, iterations=_ROUNDS).derive(passphrase)
    padder = padding.PKCS7(_AES_BLOCK).padder()
    padded = padder.update(text) + padder.finalize()
    encryptor = Cipher(algorithms.AES(made[:32]), modes.CBC(made[32:])).encryptor()
    sealed = b"Salted__" + salt + encryptor.update(padded) + encryptor.finalize()
    oaep = rsa_padding.OAEP(mgf=rsa_padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    return base64.b64encode(key.encrypt(passphrase, oaep)).decode(), base64.b64encode(sealed).decode()
