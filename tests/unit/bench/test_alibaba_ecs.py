"""The benchmark of Alibaba Cloud ECS at small sizes: what is played is what is counted."""

from tests.benchmarks.ali_plugin import plugin_calls, plugin_idle_calls
from tests.benchmarks.ali_world import BOOT_S


async def test_the_plugin_asks_for_its_host_each_minute_and_believes_its_end_after_five_empty_answers() -> None:
    calls = await plugin_calls(1)
    assert calls["RunInstances"] == calls["DeleteInstance"] == 1
    boots, lives, ends = 1 + BOOT_S / 5, 1 + 63, 1 + 3 + 5
    assert calls["DescribeInstances"] == boots + lives + ends
    assert await plugin_idle_calls() == 126
