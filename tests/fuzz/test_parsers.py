"""Whatever comes, a parser understands it or refuses it, in whatever pieces, and keeps no more than it says."""

import random

import pytest

from tests.fuzz.mutations import CANARY, mutated, pieces
from tests.fuzz.parsers import PARSERS, Parser

EXAMPLES = 4000


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_any_bytes_are_understood_or_refused(parser: Parser) -> None:
    chance, understood = random.Random(parser.name), 0
    for number, data in enumerate(mutated(parser.seeds, EXAMPLES, parser.name)):
        whole = outcome(parser, [data], number)
        assert outcome(parser, pieces(data, chance), number) == whole, f"example {number}: {data[:200]!r}"
        understood += whole != "refused"
    assert understood > 0


def outcome(parser: Parser, parts: list[bytes], number: int) -> object:
    try:
        return parser.parse(parts)
    except parser.refuses as refusal:
        error: BaseException | None = refusal
        while error is not None:
            assert CANARY[:12] not in f"{error}", "an error shows a secret"
            error = error.__cause__ or error.__context__
        return "refused"
    except Exception as error:
        error.add_note(f"example {number}: {b''.join(parts)[:300]!r}")
        raise
