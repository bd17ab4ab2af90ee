"""How a controller makes and hides the secrets of its agents."""

import hashlib

import pytest

from broker.inbound.blocks import Malformed
from broker.inbound.secret import hide_jnlp, node_secret, read_jnlp, read_key_file

KEY = bytes(range(32))
SECRET = "00f2be5ce25720984334d870c1c7d553f2ef1279eb33dac307113b9bb73cdbb9"
KEY_FILE = bytes.fromhex(
    "3ed7a25999ce797fb723c7592655f73da446fa7205c4bfd735d3a0744f2a1d72ca3f123965f80288bafd72dc92721c4c"
)
JNLP = (
    f"<jnlp><application-desc><argument>{SECRET}</argument><argument>agent1</argument></application-desc></jnlp>"
).encode()


def test_a_secret_is_that_of_jenkins() -> None:
    assert node_secret(KEY, "agent1") == SECRET
    assert node_secret(KEY, "Agent1") != SECRET


def test_the_key_is_read_as_jenkins_keeps_it() -> None:
    assert read_key_file(KEY_FILE, "ab" * 128) == KEY
    assert read_key_file(KEY_FILE, "ab" * 128 + "\n") == KEY


@pytest.mark.parametrize("data", [b"", KEY_FILE[:-1], KEY_FILE[:-16], bytes(48)])
def test_another_file_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_key_file(data, "ab" * 128)
    with pytest.raises(Malformed):
        read_key_file(KEY_FILE, "cd" * 128)


def test_a_jnlp_file_is_hidden_as_by_jenkins() -> None:
    hidden = hide_jnlp(JNLP, SECRET, bytes(range(16)))
    assert len(hidden) == 178
    assert hashlib.sha256(hidden).hexdigest() == "af199b6446486e16fdeda484edf4e4cd1186f529c5f3cd3b27a18f70ce464bd0"
    assert read_jnlp(hidden, SECRET) == JNLP
    assert read_jnlp(hidden, "11" * 32) != JNLP
    with pytest.raises(Malformed):
        read_jnlp(hidden[:15], SECRET)
