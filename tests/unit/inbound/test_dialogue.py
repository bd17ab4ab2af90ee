"""JNLP4-connect after TLS, both sides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.blocks import MAX_HEADERS, Malformed, block
from broker.inbound.capability import USUAL
from broker.inbound.dialogue import BYE, OK, Accepted4, AgentHello, ClientDialogue, Refused4, ServerDialogue
from broker.inbound.headers import COOKIE, NODE_NAME, SECRET_KEY, write_headers

HEADERS = bytes.fromhex("00247b224e6f64652d4e616d65223a226131222c225365637265742d4b6579223a223066227d")
HELLO = AgentHello(name="a1", secret="0f")
AUTHORIZATION_FAILURE = bytes.fromhex("001c4552524f523a20417574686f72697a6174696f6e206661696c757265")
CAPABILITY = block(USUAL.encode())
OUR_HEADERS = block(write_headers({COOKIE: "0" * 64}))


def greeted(data: bytes = HEADERS) -> ServerDialogue:
    dialogue = ServerDialogue()
    assert dialogue.feed(data) is not None
    return dialogue


def test_words_have_the_bytes_that_java_writes() -> None:
    assert bytes.fromhex("00024f4b") == OK
    assert bytes.fromhex("0003425945") == BYE


@pytest.mark.parametrize("cut", range(len(HEADERS)))
def test_an_agent_split_anywhere_is_heard(cut: int) -> None:
    dialogue = ServerDialogue()
    assert dialogue.feed(HEADERS[:cut]) is None
    assert dialogue.feed(HEADERS[cut:]) == HELLO


def test_an_agent_that_comes_back_shows_its_cookie() -> None:
    shown = {NODE_NAME: "a1", SECRET_KEY: "0f", COOKIE: "ab" * 32, "Later-Version": None}
    hello = ServerDialogue().feed(block(write_headers(shown)))
    assert hello == AgentHello(name="a1", secret="0f", cookie="ab" * 32)
    assert "0f" not in repr(hello)
    assert "abab" not in repr(hello)


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {NODE_NAME: "a1"},
        {NODE_NAME: "a1", SECRET_KEY: None},
        {NODE_NAME: "a1", SECRET_KEY: ""},
        {NODE_NAME: "a 1", SECRET_KEY: "0f"},
        {NODE_NAME: "a/1", SECRET_KEY: "0f"},
        {NODE_NAME: "a" * 129, SECRET_KEY: "0f"},
        {NODE_NAME: "a1\n", SECRET_KEY: "0f"},
        {NODE_NAME: "a1", SECRET_KEY: "ä"},
        {NODE_NAME: "a1", SECRET_KEY: "0" * 257},
        {NODE_NAME: "a1", SECRET_KEY: "0f", COOKIE: "abc"},
        {NODE_NAME: "a1", SECRET_KEY: "0f", COOKIE: "ab" * 65},
    ],
)
def test_an_agent_that_shows_something_else_is_malformed_and_can_be_refused(shown: dict[str, str | None]) -> None:
    dialogue = ServerDialogue()
    with pytest.raises(Malformed):
        dialogue.feed(block(write_headers(shown)))
    assert dialogue.refuse("no") == b"\0\2{}\0\x09ERROR: no"


def test_headers_over_the_limit_are_not_waited_for() -> None:
    with pytest.raises(Malformed):
        ServerDialogue().feed((MAX_HEADERS + 1).to_bytes(2, "big"))
    with pytest.raises(Malformed):
        ClientDialogue().feed(b"\xff\xff")


def test_an_accepted_agent_gets_our_headers_and_the_ok() -> None:
    assert greeted().accept("0" * 64) == OUR_HEADERS + OK


@pytest.mark.parametrize("cut", range(len(OK + CAPABILITY)))
def test_the_agents_ok_split_anywhere_is_heard_and_its_capability_is_kept(cut: int) -> None:
    dialogue = greeted()
    dialogue.accept("00")
    stream = OK + CAPABILITY
    confirmed = dialogue.confirmed(stream[:cut])
    assert confirmed == (cut >= len(OK))
    if confirmed:
        assert dialogue.surplus == stream[len(OK) : cut]
    else:
        assert dialogue.confirmed(stream[cut:])
        assert dialogue.surplus == CAPABILITY


def test_headers_ok_and_capability_in_one_record_are_told_apart() -> None:
    dialogue = greeted(HEADERS + OK + CAPABILITY)
    dialogue.accept("00")
    assert dialogue.confirmed(b"")
    assert dialogue.surplus == CAPABILITY


def test_an_agent_that_refuses_us_is_not_let_in() -> None:
    for word in (b"ERROR: I do not like you", b"FATAL: x"):
        dialogue = greeted()
        dialogue.accept("00")
        with pytest.raises(Malformed):
            dialogue.confirmed(block(word))


def test_any_other_word_of_the_agent_counts_as_ok() -> None:
    dialogue = greeted()
    dialogue.accept("00")
    assert dialogue.confirmed(block(b"FINE"))


def test_a_refusal_has_headers_first_and_is_one_line() -> None:
    assert greeted().refuse("Authorization failure") == b"\0\2{}" + AUTHORIZATION_FAILURE
    assert greeted().refuse("a\nb\x1b") == b"\0\2{}" + block(b"ERROR: a b")
    assert len(greeted().refuse("x" * 100_000)) < 1100


@pytest.mark.parametrize("cut", range(9))
def test_a_refused_agent_has_heard_it_with_its_bye(cut: int) -> None:
    dialogue = greeted()
    dialogue.refuse("no")
    assert not dialogue.confirmed((OK + BYE)[:cut])
    assert dialogue.confirmed((OK + BYE)[cut:])


def test_a_refused_agent_has_heard_it_with_nine_bytes_whatever_they_are() -> None:
    dialogue = greeted()
    dialogue.refuse("no")
    assert dialogue.confirmed(b"?" * 100_000)
    assert greeted(HEADERS + OK + BYE).refuse("no")
    for said in (BYE, BYE + b"?", b"??" + BYE):
        alone = greeted()
        alone.refuse("no")
        assert alone.confirmed(said)


def test_a_controller_is_shown_name_secret_and_the_cookie_only_if_there_is_one() -> None:
    assert ClientDialogue().start("a1", "0f", "") == HEADERS
    shown = block(write_headers({NODE_NAME: "a1", SECRET_KEY: "0f", COOKIE: "ab"}))
    assert ClientDialogue().start("a1", "0f", "ab") == shown


def heard(*pieces: bytes) -> tuple[Accepted4 | Refused4 | None, bytes]:
    """What a controller's bytes come to, and all that is sent to it meanwhile."""
    dialogue, sent, answer = ClientDialogue(), b"", None
    for piece in pieces:
        assert answer is None
        answer = dialogue.feed(piece)
        sent += dialogue.pending()
    assert dialogue.pending() == b""
    return answer, sent


@pytest.mark.parametrize("cut", range(len(OUR_HEADERS + OK)))
def test_an_acceptance_split_anywhere_is_heard(cut: int) -> None:
    stream = OUR_HEADERS + OK
    answer, sent = heard(stream[:cut], stream[cut:] + CAPABILITY)
    assert answer == Accepted4(cookie="0" * 64, surplus=CAPABILITY)
    assert sent == OK


@pytest.mark.parametrize("cut", range(len(OUR_HEADERS + AUTHORIZATION_FAILURE)))
def test_a_refusal_split_anywhere_is_heard_and_confirmed(cut: int) -> None:
    stream = OUR_HEADERS + AUTHORIZATION_FAILURE
    answer, sent = heard(stream[:cut], stream[cut:])
    assert answer == Refused4(text="Authorization failure", bad_secret=True)
    assert sent == OK + BYE


def test_the_controllers_headers_are_answered_before_its_word_has_come() -> None:
    assert heard(OUR_HEADERS) == (None, OK)


@pytest.mark.parametrize(
    ("word", "refused"),
    [
        ("ERROR: Unknown client name: a1", Refused4(text="Unknown client name: a1", unknown_name=True)),
        (
            "ERROR: a1 is already connected to this controller. Rejecting this connection.",
            Refused4(
                text="a1 is already connected to this controller. Rejecting this connection.",
                connected=True,
            ),
        ),
        ("FATAL: go\naway", Refused4(text="go away")),
        ("ERROR: ", Refused4(text="no words")),
    ],
)
def test_a_refusal_says_why(word: str, refused: Refused4) -> None:
    assert heard(b"\0\2{}" + block(word.encode()))[0] == refused


@pytest.mark.parametrize("headers", [{}, {COOKIE: None}, {COOKIE: "not hex"}])
def test_a_controller_without_a_useful_cookie_is_a_controller(headers: dict[str, str | None]) -> None:
    assert heard(block(write_headers(headers)) + OK)[0] == Accepted4(cookie="")


def test_a_controller_with_malformed_headers_is_malformed() -> None:
    with pytest.raises(Malformed):
        ClientDialogue().feed(block(b"[]"))


@given(st.lists(st.binary(max_size=100)))
def test_any_bytes_are_an_agent_or_malformed(pieces: list[bytes]) -> None:
    dialogue = ServerDialogue()
    for piece in pieces:
        try:
            if dialogue.feed(piece) is not None:
                return
        except Malformed:
            return


@given(st.lists(st.binary(max_size=100)), st.booleans())
def test_any_bytes_confirm_or_are_malformed(pieces: list[bytes], refused: bool) -> None:
    dialogue = greeted()
    _ = dialogue.refuse("no") if refused else dialogue.accept("00")
    for piece in pieces:
        try:
            if dialogue.confirmed(piece):
                return
        except Malformed:
            assert not refused
            return
    assert len(b"".join(pieces)) < 9 or not refused


@given(st.booleans(), st.lists(st.binary(max_size=100)))
def test_any_bytes_are_a_controllers_word_or_malformed(headers: bool, pieces: list[bytes]) -> None:
    dialogue = ClientDialogue()
    if headers:
        dialogue.feed(OUR_HEADERS)
    for piece in pieces:
        try:
            if dialogue.feed(piece) is not None:
                return
        except Malformed:
            return
