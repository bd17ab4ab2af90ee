"""URLs are shown to all who may read, so they hold no password; one that does is refused and never printed."""

from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from broker.config.load import check_text
from broker.config.nodes import read
from broker.config.schema import schema
from broker.config.show import effective
from tests.unit.config.test_load import SMALLEST

DATABASE = "server:\n  database:\n    url: {}\n"
CONTROLLER = "controllers:\n  main:\n    url: {}\n    token_sha256: " + "a" * 64 + "\n"
ADVERTISE = "gateway:\n  websocket:\n    advertise: {}\n"
REFUSED = (
    (DATABASE, "postgresql://a:canary@h/x"),
    (DATABASE, "postgresql://a:x/canary@h/x"),
    (DATABASE, "postgresql://a:x#canary@h/x"),
    (DATABASE, "postgresql://a:x?canary@h/x"),
    (DATABASE, "postgresql://a:x@canary@h/x"),
    (DATABASE, "postgresql://a@h/x?sslmode=require&sslpassword=canary"),
    (DATABASE, "postgresql://a@h/x?PASSWORD=canary"),
    (DATABASE, "a:canary@h/x"),
    (DATABASE, "mysql://a:canary@h/x"),
    (CONTROLLER, "http://a:canary@h/"),
    (CONTROLLER, "http://canary@h/"),
    (CONTROLLER, "ssh://a:canary@h/"),
    (ADVERTISE, "wss://a:canary@h/"),
)
GOOD = (
    (DATABASE, "postgresql://a@h:5432/x?sslmode=verify-full&sslrootcert=/etc/ca.pem"),
    (DATABASE, "postgresql://a@h1:5432,h2:5432/x?target_session_attrs=read-write"),
    (DATABASE, "postgresql://postgres@/test_1?host=/tmp/pg&port=5432"),
    (CONTROLLER, "https://h:8443/ci/@me/"),
    (ADVERTISE, "wss://h:8443"),
)


def errors_of(text: str) -> tuple[str, list[str]]:
    """All that is ever printed of a text, and the errors that the schema has."""
    checked = check_text(SMALLEST + text, "broker.yaml", Path(), env={}, starting=False)
    found = checked.diagnostics
    printed = f"{found.render()}{found.as_objects()}{found.as_github()}"
    if checked.file is not None:
        printed += str(effective(checked.file, defaults=True))
    tree = read(SMALLEST + text, found, lambda text, _span, _path: (text, False))
    assert tree is not None
    by_schema = [error.message for error in Draft7Validator(schema()).iter_errors(tree.plain())]
    assert bool(by_schema) == bool(found.errors)
    return printed, by_schema


@pytest.mark.parametrize(("text", "url"), REFUSED)
def test_a_url_with_a_password_is_refused_and_not_printed(text: str, url: str) -> None:
    printed, by_schema = errors_of(text.format(url))
    assert by_schema
    assert "canary" not in printed


@pytest.mark.parametrize(("text", "url"), GOOD)
def test_a_url_without_one_is_taken(text: str, url: str) -> None:
    assert errors_of(text.format(url))[1] == []


def test_a_password_with_percents_is_a_password() -> None:
    text = SMALLEST + DATABASE.format("postgresql://a@h/x?%70assword=canary")
    found = check_text(text, "broker.yaml", Path(), env={}, starting=False).diagnostics
    assert "error[bad-database-url]: a database's URL must not hold the password" in found.render()


def test_a_password_of_a_variable_is_not_printed() -> None:
    env = {"AGENTBROKER_SERVER__DATABASE__URL": "postgresql://a:x/canary@h/x", "URL": "http://a:canary@h/"}
    found = check_text(SMALLEST + CONTROLLER.format("${URL}"), "broker.yaml", Path(), env=env, starting=False)
    assert found.diagnostics.errors == 2
    assert "canary" not in found.diagnostics.render()
