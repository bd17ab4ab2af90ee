"""`agentbroker doctor` as people and programs call it."""

import asyncio
import json
import os
import ssl
import sys
from pathlib import Path

from broker.demo.authority import Authority
from broker.inbound.discovery import Page
from tests.integration.doctor.liar import HEALTHY, Liar, controller, said

HASH = "0" * 64


async def run(*arguments: str) -> tuple[int, str, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AGENTBROKER")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "broker", *arguments, stdout=-1, stderr=-1, env=environment
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def config(directory: Path, url: str) -> str:
    file = directory / "broker.yaml"
    file.write_text(
        f"version: 1\ncontrollers:\n  main:\n    url: {url}\n    token_sha256: '{HASH}'\n"
        "gateway:\n  websocket:\n    listen: 127.0.0.1:9\n"
    )
    return str(file)


async def test_a_sound_controller_ends_with_0_and_a_line_for_each_check(tmp_path: Path) -> None:
    async with controller().running() as jenkins:
        code, out, err = await run("doctor", "--controller", "main", "--config", config(tmp_path, jenkins.url))
        assert code == 0, out + err
        assert "controller main  ✔ address" in out
        assert "0 failed" in out


async def test_a_failed_check_ends_with_7_and_says_what_to_do(tmp_path: Path) -> None:
    async with Liar(HEALTHY | {Page.LOGIN: said(401)}).running() as liar:
        code, out, _ = await run("doctor", "--controller", "main", "--config", config(tmp_path, liar.url))
        assert code == 7
        assert "✖ jenkins" in out
        assert "help: let agents' pages through without a login" in out


async def test_a_controllers_certificate_is_checked_against_the_ca_of_its_config_too(tmp_path: Path) -> None:
    authority = Authority()
    pair = authority.issue(tmp_path / "jenkins", "jenkins")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    async with Liar(HEALTHY, tls).running() as liar:
        file = Path(config(tmp_path, liar.url))
        ca = f"    ca_file: {authority.write(tmp_path / 'ca.crt')}\ngateway:"
        file.write_text(file.read_text().replace("gateway:", ca))
        _, out, _ = await run("doctor", "--controller", "main", "--config", str(file))
        assert "✔ certificate" in out
        authority.write(tmp_path / "ca.crt").unlink()
        code, out, _ = await run("doctor", "--controller", "main", "--config", str(file))
        assert (code, "ca.crt" in out) == (7, True)


async def test_without_an_option_all_is_looked_at_and_programs_get_json(tmp_path: Path) -> None:
    async with controller().running() as jenkins:
        code, out, _ = await run("doctor", "--config", config(tmp_path, jenkins.url), "-o", "json")
        assert code == 7
        items = json.loads(out)["items"]
        assert {item["subject"] for item in items} == {"controller main", "gateway", "gateway for main"}
        assert [item["name"] for item in items if item["status"] == "failed"] == ["address"]


async def test_a_check_of_the_config_asks_online_too_once_nothing_is_wrong(tmp_path: Path) -> None:
    async with controller().running() as jenkins:
        file = config(tmp_path, jenkins.url)
        code, out, _ = await run("config", "check", "--online", file)
        assert code == 7
        assert "✔ websocket" in out
        assert "✖ address" in out
        (tmp_path / "broker.yaml").write_text("version: 2\n")
        code, out, _ = await run("config", "check", "--online", file)
        assert code == 3
        assert "✔" not in out
    code, _, _ = await run("config", "check", "--online", "--json", file)
    assert code == 2


async def test_a_controller_that_is_not_configured_ends_with_5_and_names_those_that_are(tmp_path: Path) -> None:
    code, _, err = await run("doctor", "--controller", "mian", "--config", config(tmp_path, "http://127.0.0.1:9/"))
    assert code == 5
    assert "configured: main" in err


async def test_a_config_that_is_wrong_ends_with_3(tmp_path: Path) -> None:
    (tmp_path / "broker.yaml").write_text("version: 2\n")
    code, _, _ = await run("doctor", "--config", str(tmp_path / "broker.yaml"))
    assert code == 3


async def test_a_secret_without_its_node_is_wrong_usage(tmp_path: Path) -> None:
    code, _, _ = await run("doctor", "--secret-file", str(tmp_path / "secret"))
    assert code == 2
