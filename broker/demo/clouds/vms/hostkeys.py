"""The host keys of a virtual machine: made here, for that takes no process."""

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ecdsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

TYPES: Final = ("ecdsa", "ed25519")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeys:
    """One of each type, in the order in which cloud-init prints them."""

    public: tuple[str, ...]
    """`TYPE BASE64`, as known_hosts has them."""
    private: tuple[bytes, ...] = field(repr=False)
    """In OpenSSH's form."""

    @classmethod
    def new(cls) -> "HostKeys":
        """Keys that nobody has seen."""
        keys = (new_ecdsa(SECP256R1()), Ed25519PrivateKey.generate())
        return cls(
            public=tuple(
                key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() for key in keys
            ),
            private=tuple(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()) for key in keys),
        )

    def files(self, comment: str) -> dict[str, bytes]:
        """By name in /etc/ssh."""
        named = zip(TYPES, self.private, self.public, strict=True)
        found = {}
        for name, private, public in named:
            found[f"ssh_host_{name}_key"] = private
            found[f"ssh_host_{name}_key.pub"] = f"{public} {comment}\n".encode()
        return found
