"""The certificates that agents are told to trust."""

import os
from pathlib import Path

import pytest

from broker.demo.authority import Authority
from broker.tls import Authorities, TlsUnusable, authorities_in


def test_a_bundle_is_told_certificate_by_certificate(tmp_path: Path) -> None:
    one, two = Authority("one").pem, Authority("two").pem
    (tmp_path / "ca.crt").write_bytes(b"# comment\n" + one + b"\nanother:\n" + two)
    assert authorities_in(tmp_path / "ca.crt")() == (one.decode(), two.decode())


def test_without_a_file_nothing_is_told() -> None:
    assert authorities_in(None)() == ()


def test_a_renewed_file_counts_and_a_broken_one_leaves_what_was_there(tmp_path: Path) -> None:
    file, old, new = tmp_path / "ca.crt", Authority("old").pem, Authority("new").pem
    file.write_bytes(old)
    told = Authorities(file, "gateway.tls.ca_file")
    file.write_text("half a certificate")
    assert told.current() == (old.decode(),)
    file.write_bytes(new)
    os.utime(file, (1, 1))
    assert told.current() == (new.decode(),)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_certificates_is_told_with_its_key(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca.crt").write_text(content)
    with pytest.raises(TlsUnusable, match=r"gateway\.tls\.ca_file: .*ca\.crt cannot be used"):
        authorities_in(tmp_path / "ca.crt")
