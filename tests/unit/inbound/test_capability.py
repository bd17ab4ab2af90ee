"""What each side of a channel tells first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.blocks import Malformed, block
from broker.inbound.capability import USUAL, is_capability, mask_of, read_capability

DECODED = (
    "aced00057372001a687564736f6e2e72656d6f74696e672e4361706162696c6974790000000000000001"
    "0200014a00046d61736b787000000000000001fe"
)


def test_the_usual_capability_has_the_bytes_of_java() -> None:
    assert block(USUAL.encode())[:2].hex() == "0054"
    assert mask_of(USUAL) == 0x1FE
    assert read_capability(USUAL.encode()) == USUAL


def test_another_mask_is_seen() -> None:
    assert mask_of(USUAL[:-3] + "v4=") != mask_of(USUAL)


@pytest.mark.parametrize("data", [b"", b"a b", USUAL.encode() + b"\r\nX: y", b"\xff", b"A" * 5000, b"==="])
def test_what_could_not_stand_in_a_header_is_malformed(data: bytes) -> None:
    assert not is_capability(data.decode("latin-1"))
    with pytest.raises(Malformed):
        read_capability(data)


@pytest.mark.parametrize("text", ["", "rO0ABQ==", "rO0ABQ", USUAL + "AAAA", "x" + USUAL[1:], "é"])
def test_another_class_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        mask_of(text)


@given(st.binary())
def test_any_bytes_are_a_capability_or_malformed(data: bytes) -> None:
    try:
        text = read_capability(data)
        mask_of(text)
    except Malformed:
        return
    assert text.isascii()
