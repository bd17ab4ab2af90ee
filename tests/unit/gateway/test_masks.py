"""The fast way to mask does what the plain one does."""

from hypothesis import given
from hypothesis import strategies as st

from broker.gateway.masks import fast_masked
from broker.inbound.frames import masked


def test_compiled_code_is_at_hand() -> None:
    assert fast_masked is not masked


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_both_ways_to_mask_give_the_same(payload: bytes, mask: bytes) -> None:
    assert fast_masked(bytearray(payload), mask) == masked(payload, mask)
    assert masked(masked(payload, mask), mask) == payload
