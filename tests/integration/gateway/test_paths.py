"""Several controllers behind one gateway: each has a path of its own, and one that is away holds up no other."""

import asyncio
from pathlib import Path

from broker.gateway.link import Controllers
from broker.gateway.settings import GatewaySettings
from broker.inbound.discovery import Page
from tests.integration.gateway.world import FakeController, World, upgrade

PATHS = {"/c/main/": "main", "/mobile/ci/": "mobile"}


def under(path: str, name: str, secret: str) -> bytes:
    return upgrade(name, secret).replace(b"/c/main/", path.encode(), 1)


async def test_each_agent_is_led_to_the_controller_of_its_path(tmp_path: Path) -> None:
    world, mobile = World(tmp_path), FakeController()
    async with mobile.running():
        main = world.controller
        minted = world.mint("a1")
        main.port = await _port(main)
        mobile.nodes["m1"] = main.nodes["a1"]
        world.doorkeeper.agents["m1"] = world.doorkeeper.agents["a1"]
        urls = {"main": main.url, "mobile": mobile.url}
        async with world.running(controllers=urls, paths=PATHS):
            agent = await world.connect(under("/mobile/ci/", "m1", minted))
            assert agent.head.status == 101
            assert await agent.say(b"abc") == b"ABC"
            assert (list(mobile.live), list(main.live)) == (["m1"], [])
            assert [knock.controller for knock in world.doorkeeper.knocks] == ["mobile"]


async def test_every_path_answers_discovery_and_login_and_no_other_does(tmp_path: Path) -> None:
    world = World(tmp_path)
    urls = {"main": "http://127.0.0.1:1/", "mobile": "http://127.0.0.1:1/"}
    async with world.running(controllers=urls, paths=PATHS):
        for path in PATHS:
            assert (await world.get(path + Page.LOGIN)).head.status == 200
            discovery = await world.get(path + Page.DISCOVERY)
            assert (discovery.head.status, "only WebSocket" in discovery.head.phrase) == (404, True)
        for path in ("/c/mobile/", "/mobile/", "/", "/c/main/x/"):
            answer = await world.get(path + Page.DISCOVERY)
            assert (answer.head.status, answer.head.phrase) == (404, "Not Found")


async def test_a_controller_that_is_away_keeps_out_its_own_agents_only(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.controller.port = await _port(world.controller)
    urls = {"main": world.controller.url, "mobile": "http://127.0.0.1:1/"}
    async with world.running(controllers=urls, paths=PATHS):
        minted = world.mint("a1")
        away = await world.connect(under("/mobile/ci/", "a1", minted))
        assert away.head.status == 503
        assert "mobile is away" in await away.body()
        assert (await world.knock("a1", minted)).head.status == 101


async def test_a_running_gateway_is_told_of_other_controllers_and_paths(tmp_path: Path) -> None:
    world, nobody = World(tmp_path), "http://127.0.0.1:1/"
    async with world.running(controllers={"mobile": nobody}, paths={"/c/mobile/": "mobile"}):
        minted = world.mint("a1")
        assert await _status(world, "/ci/") == 404
        world.control.tell_controllers(Controllers(urls={"main": world.controller.url}, paths={"/ci/": "main"}))
        await _answers(world, "/ci/", 200)
        session = await world.connect(under("/ci/", "a1", minted))
        assert session.head.status == 101
        world.control.tell_controllers(Controllers(urls={"mobile": nobody}, paths={"/c/mobile/": "mobile"}))
        await _answers(world, "/ci/", 404)
        assert await session.say(b"abc") == b"ABC", "what runs goes on"
        world.control.tell_controllers(Controllers(urls={"main": "no url"}, paths={"/ci/": "main"}))
        world.control.tell_controllers(Controllers(urls={"mobile": nobody}, paths={"/x/": "mobile"}))
        await _answers(world, "/x/", 200)
        assert await _status(world, "/ci/") == 404, "a URL that is none changes nothing"


def test_other_controllers_and_paths_need_no_other_gateway(tmp_path: Path) -> None:
    def fingerprint(controllers: dict[str, str], paths: dict[str, str]) -> str:
        return GatewaySettings(control=tmp_path, controllers=controllers, paths=paths).fingerprint

    assert fingerprint({}, PATHS) == fingerprint({"other": "http://127.0.0.1:1/"}, {"/c/main/": "main"})


async def _status(world: World, path: str) -> int:
    return (await world.get(path + Page.LOGIN)).head.status


async def _answers(world: World, path: str, status: int) -> None:
    """Waits until the gateway has taken in what it was told."""
    async with asyncio.timeout(10):
        while await _status(world, path) != status:  # noqa: ASYNC110 - the gateway is asked, it does not tell
            await asyncio.sleep(0.02)


async def _port(controller: FakeController) -> int:
    async with controller.running():
        return controller.port
