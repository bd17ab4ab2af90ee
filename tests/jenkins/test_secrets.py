"""No secret is anywhere but in `secrets/` and where core shows it, with all loggers of ours at ALL."""

import subprocess
import urllib.error
import urllib.request

import pytest

from tests.jenkins.controller import Controller, wait_for
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(400)]

LOUD = """
import java.util.logging.*
def handler = new FileHandler('%s')
handler.level = Level.ALL
handler.formatter = new SimpleFormatter()
['agentbroker', 'io.agentbroker', 'io.agentbroker.shaded.grpc.okhttp.OkHttpClientTransport'].each {
    Logger.getLogger(it).level = Level.ALL
    Logger.getLogger(it).addHandler(handler)
}
System.setProperty('agentbroker.test.loud', 'true')
"""
SECRETS = """
jenkins.model.Jenkins.get().nodes.each { println it.nodeName + ' ' + it.toComputer().jnlpMac }
"""
PAGES = (
    "computer/{n}/", "computer/{n}/api/json?depth=2", "computer/{n}/log", "computer/{n}/systemInfo",
    "computer/{n}/configure", "computer/{n}/load-statistics", "computer/api/json?depth=2", "cloud/agentbroker/",
    "manage/cloud/agentbroker/", "systemInfo", "threadDump", "log/all", "api/json?depth=2", "queue/api/json?depth=2",
    "job/secret/1/consoleText", "job/secret/1/api/json?depth=2", "manage/log/all",
)  # fmt: skip


def page(controller: Controller, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(controller._request(path), timeout=30) as reply:
            return reply.status, str(reply.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return error.code, str(error.read().decode(errors="replace"))


def test_no_secret_is_in_a_log_a_file_a_page_or_a_process_though_all_our_loggers_are_at_all(rig: Rig) -> None:
    controller, loud = rig.controller, rig.root / "loud.log"
    controller.script(LOUD % loud)
    controller.create_job("secret", "linux", "env; sleep 15")
    controller.build("secret", 2)
    wait_for("a build runs", lambda: any(not node["offline"] for node in controller.nodes().values()), 60)
    real = dict(line.split() for line in controller.script(SECRETS).splitlines())
    minted = {path.read_text().strip() for path in rig.stack.search.agents_root.glob("*/secret")}
    secrets = {**dict(real.items()), "token": rig.stack.token}
    secrets |= {f"minted-{number}": text for number, text in enumerate(sorted(minted))}
    assert len(real) >= 1
    assert minted, "the agents' own secrets are not where this test looks"
    processes = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    places = {
        "ps": processes,
        "stacks": controller.script("Thread.allStackTraces.each { k, v -> println k; println v }"),
    }
    name = next(iter(real))
    launch = f"computer/{name}/"
    for path in PAGES:
        code, text = page(controller, path.format(n=name))
        assert code in {200, 404}, f"{path}: {code}"
        places[path.format(n=name)] = text
    controller.finished("secret", 2)
    places["loud"] = loud.read_text(errors="replace")
    assert "agentbroker" in places["loud"]
    places["log"] = controller.log()
    for file in controller.home.rglob("*"):
        if (
            file.is_file()
            and "secrets" not in file.relative_to(controller.home).parts
            and file.stat().st_size < 5_000_000
        ):
            places[str(file)] = file.read_text(errors="replace")
    found = {
        (kind, place)
        for kind, secret in secrets.items()
        for place, text in places.items()
        if secret in text and not (place == launch and kind in real)  # core shows it to who may connect agents
    }
    assert found == set()
