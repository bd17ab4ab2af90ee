"""Whatever a value is, on a host it is that value and nothing more."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.backends.ssh.over_ssh import command_of
from broker.backends.ssh.shell import exports, masked, quote, script_of
from broker.errors import BackendRejected

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
HOSTILE = st.one_of(
    TEXT,
    st.text("'\"\\$`!;&|<>(){}[]*?~# \n\t\r-", max_size=30),
    st.sampled_from(["$(touch /tmp/owned)", "`id`", "'; exit 7; '", "-n", "--", "\\", "a\n: end\nb", "%s\\n", "${x"]),
)
NAME = st.from_regex(r"AB_[A-Za-z0-9_]{0,10}", fullmatch=True)


def run(script: str, shell: str = "/bin/sh", stdin: bytes = b"") -> str:
    """As sshd runs it: by a login shell that gets one word."""
    command = [shell, "-c", command_of(script)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=20)
    assert done.stderr == b""
    return done.stdout.decode()


@settings(max_examples=60, deadline=None)
@given(HOSTILE, HOSTILE)
def test_a_value_at_the_head_of_a_script_is_just_that_value(first: str, second: str) -> None:
    script = script_of("""printf '%s\\001%s' "$first" "$second"\n""", first=first, second=second)
    assert run(script) == f"{first}\x01{second}"


@settings(max_examples=60, deadline=None)
@given(st.lists(HOSTILE, max_size=4))
def test_words_that_go_through_eval_are_just_those_words(words: list[str]) -> None:
    script = script_of(
        """eval "set -- $words"\nprintf '%s\\001' $# "$@"\n""", words=" ".join(quote(word) for word in words)
    )
    assert run(script) == "".join(f"{word}\x01" for word in (str(len(words)), *words))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAME, HOSTILE, max_size=4))
def test_variables_that_come_over_stdin_are_just_those_variables(variables: dict[str, str]) -> None:
    names = " ".join(variables)
    script = script_of(
        """env=$(cat)
case $env in *": end") ;; *) exit 9 ;; esac
eval "$env"
for name in $names; do sh -c 'eval "printf \\"%s\\\\001\\" \\"\\$$0\\""' "$name"; done
""",
        names=names,
    )
    told = run(script, stdin=f"{exports(variables)}: end\n".encode())
    assert told == "".join(f"{value}\x01" for value in variables.values())


def test_every_login_shell_that_is_there_runs_the_same() -> None:
    for shell in ("/bin/sh", "/bin/bash"):
        assert run("printf '%s' \"$((6 * 7))!\"", shell) == "42!"


def test_what_no_shell_can_take_is_refused() -> None:
    with pytest.raises(BackendRejected, match="NUL"):
        quote("a\0b")
    for name in ("a-b", "1a", "", "a;b", "é"):
        with pytest.raises(BackendRejected, match="no name of a variable"):
            exports({name: "x"})


@given(st.text("abc*\n", min_size=4, max_size=12).filter(lambda text: text.strip() == text and "\n" not in text))
def test_a_secret_is_in_no_line_that_is_told(secret: str) -> None:
    assert masked(f"x {secret}{secret} y", {"S": secret}) == "x ****** y"
