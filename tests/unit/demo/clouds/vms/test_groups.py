"""Which hierarchies of control groups a machine has, by its table of mounts."""

from pathlib import Path

import pytest

from broker.demo.clouds.vms import groups

SHARED = """\
tmpfs /sys/fs/cgroup tmpfs ro,nosuid,nodev,noexec,mode=755 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,nosuid,nodev,noexec,relatime,xattr,release_agent=/lib/agent,name=systemd 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /srv/elsewhere cgroup rw,relatime,memory 0 0
"""


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (SHARED, {"systemd": "none,name=systemd", "cpu,cpuacct": "cpu,cpuacct", "memory": "memory"}),
        ("cgroup2 /sys/fs/cgroup cgroup2 rw,relatime 0 0\n", {}),
    ],
)
def test_each_hierarchy_of_version_1_is_found_with_the_options_that_mount_it_again(
    table: str, found: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(table)
    monkeypatch.setattr(groups, "_MOUNTS", tmp_path / "mounts")
    assert groups.hierarchies() == found
