"""The log: what a line looks like, and what never gets into one."""

import io
import json
import logging

import pytest
import structlog

from broker.telemetry import events, log

SECRET = "1f" * 32


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def test_a_json_line_has_time_level_event_and_fields_in_this_order(out: io.StringIO) -> None:
    log.configure("json", "info", out)
    events.AGENT_CHANGED_PHASE.emit(agent_id="a1", phase="online")
    line = json.loads(out.getvalue())
    assert list(line) == ["ts", "level", "event", "agent_id", "phase"]
    assert (line["level"], line["event"], line["phase"]) == ("info", "agent_changed_phase", "online")
    assert line["ts"].endswith("Z")


def test_a_console_line_names_event_and_fields(out: io.StringIO) -> None:
    log.configure("console", "info", out)
    events.GATEWAY_LINKED.emit(gateway="g1")
    assert "gateway_linked" in out.getvalue()
    assert "gateway=g1" in out.getvalue()


@pytest.mark.parametrize("name", ["label", "message"])
def test_what_others_have_written_does_not_reach_a_terminal_as_orders(out: io.StringIO, name: str) -> None:
    log.configure("console", "info", out)
    structlog.get_logger().info("label_unmatched", **{name: "\x1b[2J\x00linux\x9b1m"})
    assert all(c.isprintable() for c in out.getvalue().rstrip("\n"))
    assert "[2J" in out.getvalue()


def test_what_is_below_the_level_is_not_written(out: io.StringIO) -> None:
    log.configure("json", "warning", out)
    events.AGENT_CHANGED_PHASE.emit()
    events.LAUNCH_FAILED.emit()
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["launch_failed"]


def test_lines_of_libraries_go_the_same_way_from_warning_up(out: io.StringIO) -> None:
    log.configure("json", "debug", out)
    logging.getLogger("grpc").info("chatter")
    logging.getLogger("grpc").warning("slow %s", "peer")
    line = json.loads(out.getvalue())
    assert (line["event"], line["logger"], line["level"]) == ("slow peer", "grpc", "warning")


@pytest.mark.parametrize("name", ["secret", "sealed_secret", "token", "cookie", "Authorization"])
def test_a_field_that_speaks_of_a_secret_is_hidden(out: io.StringIO, name: str) -> None:
    log.configure("json", "info", out)
    structlog.get_logger().info("thing", **{name: SECRET})
    assert SECRET not in out.getvalue()
    assert json.loads(out.getvalue())[name] == log.HIDDEN


@pytest.mark.parametrize("log_format", list(log.LogFormat))
def test_a_traceback_does_not_show_the_values_of_variables(out: io.StringIO, log_format: log.LogFormat) -> None:
    log.configure(log_format, "info", out)
    try:
        hidden = "".join(["1f"] * 32)
        raise ValueError(str(len(hidden)))
    except ValueError:
        events.CALL_FAILED.emit(exc_info=True)
        logging.getLogger("aiohttp").exception("boom")
    assert out.getvalue().count("ValueError: 64") == 2
    assert SECRET not in out.getvalue()


def test_setting_it_up_again_replaces_the_first(out: io.StringIO) -> None:
    log.configure("json", "info", io.StringIO())
    log.configure("json", "info", out)
    logging.getLogger("grpc").warning("once")
    assert len(out.getvalue().splitlines()) == 1
