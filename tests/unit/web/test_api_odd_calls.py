"""What no sound client sends is refused in the API's own words."""

import asyncio
import base64
from pathlib import Path

import pytest

from tests.unit.web.api_world import ANA_TOKEN, running_api
from tests.unit.web.test_api_auth import WITH_TOKENS


def cursor(moment: str) -> str:
    return base64.urlsafe_b64encode(f"{moment} linux-000001".encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"events?after={2**63 - 1}", 200),
        (f"events?after={2**63}", 400),
        (f"events?after={'9' * 60}", 400),
        ("events?since=999999d", 200),
        (f"agents?after={cursor('0001-01-01T00:00:00+14:00')}", 400),
        (f"agents?after={cursor('9999-12-31T23:59:59-14:00')}", 400),
        ("plan?policy=linux&at=0001-01-01T00:00:00%2B14:00", 200),
        ("plan?policy=linux&at=9999-12-31T23:59:59-14:00", 400),
        ("plan?policy=linux&at=9999-12-31T23:59:59Z", 400),
        ("plan?policy=linux&at=2026-11-23T20:30:00", 400),
    ],
)
async def test_numbers_and_times_without_measure_are_answered(tmp_path: Path, path: str, status: int) -> None:
    async with running_api(tmp_path) as api:
        answer = await api.call("GET", path)
    assert answer.status == status, answer
    assert status == 200 or answer.json["code"] in {"bad_parameter", "bad_request"}


@pytest.mark.parametrize("length", ["true", '"60"', "0", "-1", "1.5", "NaN", "315360000", "[60]"])
async def test_a_lever_lasts_for_a_number_of_seconds_or_is_refused(tmp_path: Path, length: str) -> None:
    async with running_api(tmp_path) as api:
        body = f'{{"reason": "x", "for_s": {length}}}'.encode()
        answer = await api.call("POST", "pools/it:pause", data=body, headers={"Content-Type": "application/json"})
        assert (answer.status, api.core.ctx.levers) == (400, {})
    assert answer.json["message"].startswith("body 'for_s': ")


async def test_a_token_in_no_encoding_is_just_not_known(tmp_path: Path) -> None:
    async with running_api(tmp_path, WITH_TOKENS) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n")
        first = await reader.readline()
        writer.close()
    assert first.startswith(b"HTTP/1.1 401 ")


async def test_a_bug_is_answered_without_its_words_and_logged_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_api(tmp_path, WITH_TOKENS) as api:
        monkeypatch.setattr(api.core.ctx, "cooldowns", None)
        answer = await api.call("GET", "status", ANA_TOKEN)
    assert (answer.status, answer.json["code"]) == (500, "failed")
    assert "NoneType" not in str(answer.json)
    said = capsys.readouterr().out
    assert "call_failed" in said
    assert "NoneType" in said
    assert ANA_TOKEN not in said
