"""An agent without an image is Java with the jar that the gateway has."""

import asyncio
import subprocess
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from aiohttp import web

from broker.demo.clouds.vms.vms import Vms
from broker.domain.instance import InstanceState
from broker.testing.factories import make_template
from tests.contract.ssh_rig import SshRig
from tests.vms import BLOCK

MAIN = """
public class Main {
    public static void main(String[] arguments) throws Exception {
        for (String word : arguments) System.out.println("<" + word + ">");
        System.out.println(System.getProperty("odd"));
        System.exit(5);
    }
}
"""


@pytest.fixture(scope="module")
def jar(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Tells its arguments."""
    folder = tmp_path_factory.mktemp("jar")
    (folder / "Main.java").write_text(MAIN)
    subprocess.run(["javac", "-d", folder, folder / "Main.java"], check=True, timeout=60)
    with zipfile.ZipFile(folder / "agent.jar", "w") as made:
        made.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: Main\n")
        made.write(folder / "Main.class", "Main.class")
    return Path(folder / "agent.jar").read_bytes()


@asynccontextmanager
async def gateway(vms: Vms, jar: bytes, asked: list[str]) -> AsyncIterator[str]:
    """What serves the jar, at an address that the machines reach."""

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=jar) if len(asked) > 1 else web.Response(status=503)

    app = web.Application()
    app.router.add_get("/main/jnlpJars/agent.jar", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    address = await vms.listen_in(IPv4Network(BLOCK))
    await web.TCPSite(runner, address, 8080).start()
    try:
        yield f"http://{address}:8080/main/"
    finally:
        await runner.cleanup()


async def test_the_jar_is_fetched_once_for_all_agents_of_a_host_and_tried_again_while_it_cannot_be_had(
    vms: Vms, jar: bytes
) -> None:
    rig = await SshRig.on(vms, ssh={"user": "jenkins"}, runner={"command": [], "java_opts": ["-Dodd=two  'words"]})
    place = await rig.prepared()
    asked: list[str] = []
    async with gateway(vms, jar, asked) as url:
        for n in (1, 2):
            template = make_template(remote_fs="work")
            spec = replace(rig.spec(place, n), url=url, template=template, websocket=True)
            ref = await rig.backend.launch(spec)
            seen = await rig.wait_for(ref, InstanceState.STOPPED)
            assert seen is not None
            assert seen.exit_code == 5
            base = place.facts["base"]
            home = f"{base}/agents/{spec.name}-1"
            told = [line for line in seen.last_lines if not line.startswith(("agentbroker:", "curl:"))]
            assert told[:9] == [
                *("<-url>", f"<{url}>", "<-secret>", f"<@{home}/secret>", "<-name>", f"<{spec.name}>"),
                *("<-webSocket>", "<-workDir>", f"<{home}/remote/work>"),
            ]
            assert told[-1] == "two  'words"
    assert len(asked) == 2
    await rig.close()


async def test_a_jar_that_cannot_be_had_ends_the_agent_with_words(vms: Vms) -> None:
    rig = await SshRig.on(vms, runner={"command": []})
    place = await rig.prepared()
    spec = replace(rig.spec(place), url="http://127.0.0.1:9/main/")
    slept = rig.vm.path("/usr/local/bin/sleep")
    slept.write_text("#!/bin/sh\nexec /bin/sleep 0.01\n")
    slept.chmod(0o755)
    ref = await rig.backend.launch(spec)
    async with asyncio.timeout(60):
        seen = await rig.wait_for(ref, InstanceState.STOPPED, limit_s=50)
    assert seen is not None
    assert seen.exit_code == 69
    assert seen.last_lines[-1] == "cannot fetch http://127.0.0.1:9/main/jnlpJars/agent.jar"
    await rig.close()
