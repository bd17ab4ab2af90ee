"""The fuzzers find what they are for: bugs of three kinds, each planted in a copy of the tree, within their budget."""

from typing import Final

import pytest

from tests.mutants.__main__ import Copy
from tests.mutants.patches import Mutant

_PARSERS: Final = "tests/fuzz/test_parsers.py"
_LISTENERS: Final = "tests/fuzz/test_listeners.py"
PLANTED: Final = (
    Mutant(
        guard="a length that is not capped",
        file="broker/inbound/blocks.py",
        old="if size > self._limit:",
        new="if False:",
        tests=(_PARSERS,),
    ),
    Mutant(
        guard="a read past a block",
        file="broker/inbound/blocks.py",
        old="found = bytes(rest[_LENGTH:end])",
        new="found = bytes(rest[_LENGTH : end + 1])",
        tests=(_PARSERS,),
    ),
    Mutant(
        guard="no limit after nine bytes of silence",
        file="broker/gateway/door_tcp.py",
        old="preamble.feed(await leg.read_exactly(preamble.wants(), until))",
        new="preamble.feed(await leg.read_exactly(preamble.wants(), until + 3600))",
        tests=(_LISTENERS,),
    ),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.guard)
def test_a_planted_bug_is_found(bug: Mutant, copy: Copy) -> None:
    verdict = copy.try_out(bug)
    assert verdict.caught_by.startswith(bug.tests), verdict.problem
