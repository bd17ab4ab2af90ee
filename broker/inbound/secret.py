"""How a controller makes the secrets of its agents, keeps the key to them, and hides one in a .jnlp file.

Sources: jenkins.slaves.JnlpAgentReceiver, jenkins.security.HMACConfidentialKey and DefaultConfidentialStore,
jenkins.slaves.EncryptedSlaveAgentJnlpFile (Jenkins core), hudson.remoting.Launcher (Remoting).
"""

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.decrepit.ciphers.modes import CFB8
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7

from broker.inbound.blocks import Malformed

_MAGIC: Final = b"::::MAGIC::::"
_AES_BYTES: Final = 16


def node_secret(key: bytes, name: str) -> str:
    """The secret of the node of that name: 64 lower-case hex digits, the same for ever under the controller's key."""
    return hmac.new(key, name.encode(), hashlib.sha256).hexdigest()


def read_key_file(data: bytes, master_key: str) -> bytes:
    """The key in `secrets/jenkins.slaves.JnlpSlaveAgentProtocol.secret` of a Jenkins home; `master_key` is the text
    of `secrets/master.key`. Raises `Malformed` if they do not belong together."""
    aes = hashlib.sha256(master_key.strip().encode()).digest()[:_AES_BYTES]
    decryptor = Cipher(AES(aes), ECB()).decryptor()  # noqa: S305  # Jenkins' choice
    unpadder = PKCS7(AES.block_size).unpadder()
    try:
        padded = decryptor.update(data) + decryptor.finalize()
        text = unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        text = b""
    if not text.endswith(_MAGIC):
        raise Malformed("the file of the key was not written under this master.key")
    return text.removesuffix(_MAGIC)


def hide_jnlp(xml: bytes, secret: str, iv: bytes) -> bytes:
    """A .jnlp file as agents get it that are started with -jnlpUrl: only who knows the secret can read it.

    `iv`: 16 random bytes. Raises ValueError for a secret that is not hex.
    """
    encryptor = _jnlp_cipher(secret, iv).encryptor()
    return iv + encryptor.update(xml) + encryptor.finalize()


def read_jnlp(data: bytes, secret: str) -> bytes:
    """What `hide_jnlp` hid; bytes without sense under another secret. Raises `Malformed` if it is too short."""
    if len(data) < _AES_BYTES:
        raise Malformed("the .jnlp file has no beginning")
    decryptor = _jnlp_cipher(secret, data[:_AES_BYTES]).decryptor()
    return decryptor.update(data[_AES_BYTES:]) + decryptor.finalize()


def _jnlp_cipher(secret: str, iv: bytes) -> Cipher[CFB8]:
    return Cipher(AES(bytes.fromhex(secret)[:_AES_BYTES]), CFB8(iv))
