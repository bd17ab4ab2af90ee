from itertools import islice
from pathlib import Path

import pytest

from broker.demo.agent import parse, retry_waits, seconds
from broker.demo.channel import Address


def test_arguments_are_those_of_agent_jar(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("abc\n")
    options = parse(["-url", "http://h/", "-secret", f"@{tmp_path / 'secret'}", "-webSocket", "-name", "n"])
    assert options == {"url": "http://h/", "secret": "abc", "webSocket": "", "name": "n"}


def test_attempts_are_1_3_7_and_then_10_seconds_apart() -> None:
    assert list(islice(retry_waits(), 6)) == [1, 3, 7, 10, 10, 10]


@pytest.mark.parametrize(("text", "expected"), [("30s", 30), ("10m", 600), ("1h", 3600), ("5", 5)])
def test_durations_have_a_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_a_base_url_keeps_its_path_and_ends_in_a_slash() -> None:
    address = Address("http://localhost:8080/c/ctl7")
    assert (address.host, address.port, address.path) == ("localhost", 8080, "/c/ctl7/")
    assert (Address("https://ci.example").port, Address("https://ci.example").path) == (443, "/")


def test_what_is_no_http_url_is_refused() -> None:
    with pytest.raises(ValueError, match="not an http URL"):
        Address("agents:7073")
