"""What the config says against files of hosts: keys, scripts, user data; with the place and what to do."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from broker.config.hosts_uses import Hosts
from broker.config.load import check_text

CANARY = "canary-of-a-passphrase"
LOCKED = "id has a passphrase, which nobody is there to type (take it off: ssh-keygen -p -N '' -f id)"
HEAD = """version: 1
gateway: { websocket: { advertise: wss://agents.example.com } }
backends: { machines: { type: ssh-hosts }, ali: { type: alibaba-ecs, region: cn-hangzhou, auto_network: true } }
pools:
"""
PEM, SSH = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
PKCS8, OLD = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
NO_PASSPHRASE = serialization.NoEncryption()
PASSPHRASE = serialization.BestAvailableEncryption(CANARY.encode())


def told(pool: str, base: Path) -> list[str]:
    """What is said of a pool: place, code and message with the help behind it."""
    found = check_text(f"{HEAD}  it: {pool}\n", "broker.yaml", base, env={}, starting=False).diagnostics
    return [
        f"{one.span}: {one.code}: {one.message}" + "".join(f" ({note.text})" for note in one.notes)
        for one in found.items
    ]


def with_key(base: Path, content: str | bytes) -> list[str]:
    """What is said of a machine whose key stands in the file `id`."""
    key = base / "id"
    key.write_bytes(content if isinstance(content, bytes) else content.encode())
    key.chmod(0o600)
    return told("{ backend: machines, hosts: { a: 10.0.0.1 }, ssh: { private_key_file: id } }", base)


GOOD = {
    "ed25519": ed25519.Ed25519PrivateKey.generate().private_bytes(PEM, SSH, NO_PASSPHRASE),
    "ecdsa": ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, NO_PASSPHRASE),
    "rsa": rsa.generate_private_key(65537, 2048).private_bytes(PEM, OLD, NO_PASSPHRASE),
}
PUBLIC = ed25519.Ed25519PrivateKey.generate().public_key()


@pytest.mark.parametrize("kind", GOOD)
def test_a_whole_key_passes_in_each_form_with_any_line_ends(kind: str, tmp_path: Path) -> None:
    assert with_key(tmp_path, GOOD[kind]) == []
    assert with_key(tmp_path, GOOD[kind].replace(b"\n", b"\r\n")) == []


@pytest.mark.parametrize(
    "content",
    [
        rsa.generate_private_key(65537, 2048).private_bytes(PEM, OLD, PASSPHRASE),
        rsa.generate_private_key(65537, 2048).private_bytes(PEM, PKCS8, PASSPHRASE),
    ],
    ids=["PEM", "PKCS 8"],
)
def test_a_key_with_a_passphrase_is_an_error_of_the_check(content: bytes, tmp_path: Path) -> None:
    assert with_key(tmp_path, content) == [f"5:77: bad-ssh-key: {LOCKED}"]


def test_a_key_of_openssh_with_a_passphrase_is_an_error_of_the_check(tmp_path: Path) -> None:
    made = tmp_path / "made"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", CANARY, "-f", str(made)], check=True, timeout=30)
    assert with_key(tmp_path, made.read_bytes()) == [f"5:77: bad-ssh-key: {LOCKED}"]


def test_a_broken_key_is_an_error_of_the_check(tmp_path: Path) -> None:
    half = GOOD["rsa"].decode().replace("A", "", 3)
    help_ = "(copy it again, with its line breaks; 'ssh-keygen -y -f id' reads a whole one)"
    assert with_key(tmp_path, half) == [f"5:77: bad-ssh-key: id is a broken key {help_}"]
    assert "id is not whole" in with_key(tmp_path, GOOD["rsa"][:300])[0]
    assert "id is not whole" in with_key(tmp_path, GOOD["ed25519"].replace(b"\n", b" "))[0]
    assert "id is empty" in with_key(tmp_path, "\n")[0]
    assert "id is no private key" in with_key(tmp_path, "hello")[0]
    assert "puttygen id -O private-openssh" in with_key(tmp_path, "PuTTY-User-Key-File-3: ssh-ed25519\n")[0]


def test_a_public_key_in_the_place_of_the_private_one_is_said(tmp_path: Path) -> None:
    openssh = PUBLIC.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    pem = PUBLIC.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for content in (openssh, pem):
        assert with_key(tmp_path, content) == [
            "5:77: bad-ssh-key: id is a public key (name the private one, without '.pub')"
        ]


def test_a_key_that_this_user_cannot_read_is_an_error_of_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hosts, "read", lambda hosts, name, most: None)
    found = with_key(tmp_path, GOOD["rsa"])
    assert len(found) == 1
    assert "bad-ssh-key: id cannot be read (let user" in found[0]


def test_the_key_of_a_jump_host_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "id").write_bytes(GOOD["ecdsa"])
    (tmp_path / "jump").write_text("ssh-rsa AAAA")
    for name in ("id", "jump"):
        (tmp_path / name).chmod(0o600)
    jump = "jump_host: { address: bastion, private_key_file: jump }"
    found = told(f"{{ backend: ali, image_id: m-1, ssh: {{ private_key_file: id, {jump} }} }}", tmp_path)
    assert found == ["5:116: bad-ssh-key: jump is a public key (name the private one, without '.pub')"]


def of_script(base: Path, content: bytes, way: str) -> list[str]:
    (base / "init.sh").write_bytes(content)
    (base / "id").write_bytes(GOOD["ecdsa"])
    (base / "id").chmod(0o600)
    start = "start_by: cloud-assistant" if way == "assistant" else "ssh: { private_key_file: id }"
    return told(f"{{ backend: ali, image_id: m-1, init: {{ script_file: init.sh }}, {start} }}", base)


def test_a_script_is_text_with_a_first_line_that_says_what_runs_it(tmp_path: Path) -> None:
    assert of_script(tmp_path, b"#!/bin/sh\nls\n", "ssh") == []
    assert "warning" not in of_script(tmp_path, b"ls\n", "ssh")[0]
    assert "no-shebang: init.sh does not say what runs it" in of_script(tmp_path, b"ls\n", "ssh")[0]
    assert "sed -i 's/\\r$//' init.sh" in of_script(tmp_path, b"#!/bin/sh\r\nls\r\n", "ssh")[0]
    assert "init.sh is not text" in of_script(tmp_path, b"\x7fELF\0\xff", "ssh")[0]
    assert "init.sh is empty" in of_script(tmp_path, b"", "ssh")[0]


def test_a_script_is_no_larger_than_its_way_takes(tmp_path: Path) -> None:
    script = b"#!/bin/sh\n" + b"#" * 20_000
    assert of_script(tmp_path, script, "ssh") == []
    assert (
        "larger than the 16 KiB that an init script may have by Cloud Assistant"
        in of_script(tmp_path, script, "assistant")[0]
    )
    assert "larger than the 1024 KiB" in of_script(tmp_path, script * 60, "ssh")[0]


def test_a_script_that_is_not_there_is_said(tmp_path: Path) -> None:
    pool = "{ backend: ali, image_id: m-1, start_by: cloud-assistant, init: { script_file: init.sh } }"
    assert told(pool, tmp_path) == ["5:86: no-file: cannot read init.sh: No such file or directory"]


def test_user_data_has_32_kib_at_most(tmp_path: Path) -> None:
    file = tmp_path / "data"
    pool = "{ backend: ali, image_id: m-1, start_by: cloud-assistant, user_data_file: data }"
    file.write_bytes(b"#" * 32 * 1024)
    assert told(pool, tmp_path) == []
    file.write_bytes(b"#" * (32 * 1024 + 1))
    assert "larger than the 32 KiB" in told(pool, tmp_path)[0]


def test_a_password_from_a_file_is_looked_at_and_never_told(tmp_path: Path) -> None:
    file = tmp_path / "password"
    pool = "{ backend: ali, image_id: m-1, os: windows, start_by: cloud-assistant, password_file: password }"
    file.write_text("canary\n")
    file.chmod(0o600)
    (found,) = told(pool, tmp_path)
    assert "bad-password" in found
    assert "canary" not in found
    file.write_text("Canary-31337\n")
    assert told(pool, tmp_path) == []
