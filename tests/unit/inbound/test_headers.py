"""The JSON of headers, as Java writes it and stricter than Java reads it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.blocks import Malformed, block
from broker.inbound.headers import COOKIE, read_headers, write_headers

VECTORS = [
    ({}, "00027b7d"),
    (
        {"Node-Name": "a1", "Secret-Key": "0f"},
        "00247b224e6f64652d4e616d65223a226131222c225365637265742d4b6579223a223066227d",
    ),
    ({"Node-Name": 'q"\\\né\x01'}, "001f7b224e6f64652d4e616d65223a22715c225c5c5c6ec3a95c7530303031227d"),
    (
        {COOKIE: "0" * 64},
        "005f" + b'{"JnlpAgentProtocol.cookie":"'.hex() + "30" * 64 + "227d",
    ),
]


@pytest.mark.parametrize(("headers", "raw"), VECTORS)
def test_headers_have_the_bytes_of_java_and_are_read_from_them(headers: dict[str, str], raw: str) -> None:
    assert block(write_headers(headers)).hex() == raw
    assert read_headers(bytes.fromhex(raw)[2:]) == headers


def test_controls_are_escaped_as_java_does_and_nothing_else() -> None:
    raw = write_headers({"a": "\b\t\f\n\r\x1f/\x7f\u2028\U0001f600", "b": None})
    assert raw == b'{"a":"\\b\\t\\f\\n\\r\\u001f/\x7f\xe2\x80\xa8\xf0\x9f\x98\x80","b":null}'


def test_space_null_and_needless_escapes_are_read() -> None:
    assert read_headers(b' {"a" : null , "b":"\\u00e9\\/"} \n') == {"a": None, "b": "é/"}
    assert read_headers(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"a"',
        b"null",
        b'{"a":1}',
        b'{"a":NaN}',
        b'{"a":true}',
        b'{"a":"x",}',
        b'{"a":{}}',
        b'{"a":["b"]}',
        b'{"a":"b"',
        b'{"a":"b"}x',
        b'{"a":"b","a":"c"}',
        b'{"a":"\n"}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":null}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\x80"}',
        b"\xef\xbb\xbf{}",
        b"[" * 8000,
        b'{"a":' * 1600,
        b'{"a":' + b"9" * 8000 + b"}",
    ],
)
def test_anything_else_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_headers(raw)


def test_an_error_holds_nothing_of_what_was_sent() -> None:
    with pytest.raises(Malformed) as caught:
        read_headers(b'{"Secret-Key":"canary"')
    assert "canary" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_half_a_surrogate_pair_is_not_written() -> None:
    with pytest.raises(ValueError, match="surrogate") as caught:
        write_headers({"a": "canary\ud800"})
    assert "canary" not in repr(caught.value)


@given(st.dictionaries(st.text(), st.none() | st.text()))
def test_what_is_written_is_read(headers: dict[str, str | None]) -> None:
    assert read_headers(write_headers(headers)) == headers


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\u0nal e1-', max_size=60).map(str.encode))
def test_any_bytes_are_headers_or_malformed(raw: bytes) -> None:
    try:
        headers = read_headers(raw)
    except Malformed:
        return
    assert json.loads(raw) == headers
