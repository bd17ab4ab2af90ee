"""Words that nobody would type, and words that nobody should see as they are."""

from pathlib import Path

import pytest

from tests.unit.cli.asking import run
from tests.unit.web.api_world import running_api

CLEAR, BELL = "\x1b[2J", "\x07"


async def test_no_word_of_a_build_or_a_cloud_moves_a_terminals_cursor(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.ask("linux-000001")
        said = {"reason": f"bad {CLEAR}{BELL}host"}
        await api.call("POST", "agents/linux-000001:terminate", json=said)
        shown = [
            await run(*command, port=api.port)
            for command in (["events"], ["explain", "linux-000001"], ["explain", f"label {CLEAR}"])
        ]
    assert [done.code for done in shown] == [0, 0, 0]
    assert "bad \N{REPLACEMENT CHARACTER}[2J" in shown[0].out
    printed = "".join(done.out + done.err for done in shown)
    assert [sign for sign in ("\x1b", BELL) if sign in printed] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--url", "http://[::1", "status"], 2),
        (["events", "--pool", "\udcff"], 0),
        (["explain", "\udcff"], 5),
        (["agent", "terminate", "\udcff", "--yes"], 5),
        (["token", "create", "two words"], 2),
        (["token", "create", "main"], 0),
    ],
)
async def test_what_cannot_be_is_refused_without_a_traceback(tmp_path: Path, arguments: list[str], code: int) -> None:
    async with running_api(tmp_path) as api:
        done = await run(*arguments, port=api.port)
    assert done.code == code, done
    assert "Traceback" not in done.err
