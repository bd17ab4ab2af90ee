"""Where the time of a figure goes: the functions of Python by cProfile, those of C by perf where that is at hand."""

import os
import pstats
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.benchmarks.gateway.load import Load
from tests.benchmarks.gateway.sides import Side

WAYS: Final = {
    "bulk_tls_1_stream_vs_haproxy": ("jnlp4", "jnlp4"),
    "bulk_tls_16_streams_vs_haproxy": ("jnlp4", "jnlp4"),
    "cpu_s_per_gb_vs_haproxy": ("jnlp4", "jnlp4"),
    "cpu_s_per_gb_16_vs_haproxy": ("jnlp4", "jnlp4"),
    "cpu_s_per_gb_16x8k_vs_haproxy": ("jnlp4", "jnlp4"),
    "setup_cpu_whole_dialogue_vs_haproxy_tls": ("jnlp4", "jnlp4"),
    "pingpong_p99_vs_haproxy": ("jnlp4", "jnlp4"),
    "ws_cpu_s_per_gb_vs_haproxy": ("ws", "ws"),
    "ws_tcp_codec_cpu_vs_nginx": ("ws", "jnlp4"),
    "tcp_ws_codec_cpu_vs_nginx": ("jnlp4", "ws"),
}
"""What can be profiled, and between which transports."""
_SHOWN: Final = 30
_SETTLES_S: Final = 0.3


def profile(load: Load, key: str, side: Callable[[Path | None], Side], directory: Path) -> None:
    """Writes both profiles of a figure's work to stderr. `side` starts a gateway, with cProfile in a file if told."""
    file = directory / "profile"
    profiled = side(file)
    try:
        _work(load, key, profiled, lambda: os.kill(profiled.process.pid, signal.SIGUSR1))
    finally:
        profiled.close()
    stats = pstats.Stats(str(file), stream=sys.stderr)
    stats.strip_dirs().sort_stats("tottime").print_stats(_SHOWN)
    perf = shutil.which("perf")
    if perf is None:
        print("there is no perf: the C functions are left out", file=sys.stderr)
        return
    bare = side(None)
    record = [perf, "record", "-q", "-F", "5000", "-o", str(directory / "perf"), "-p", str(bare.worker)]
    recording: list[subprocess.Popen[bytes]] = []

    def switch() -> None:
        if recording:
            recording[0].send_signal(signal.SIGINT)
            recording[0].wait()
        else:
            recording.append(subprocess.Popen(record, stderr=subprocess.DEVNULL))
            time.sleep(_SETTLES_S)

    try:
        _work(load, key, bare, switch)
    finally:
        bare.close()
    report = [perf, "report", "-i", str(directory / "perf"), "--stdio", "--percent-limit", "0.7"]
    said = subprocess.run(report, check=False, capture_output=True, text=True).stdout
    print("\n".join(line for line in said.splitlines() if line and line[0] != "#"), file=sys.stderr)


def _work(load: Load, key: str, side: Side, switch: Callable[[], None]) -> None:
    load.ask(side.target)
    set_up = key.startswith("setup")
    streams = 16 if "16" in key else 1
    load.ask("again 50 16" if set_up else f"open {streams} 16")
    switch()
    time.sleep(_SETTLES_S)
    if set_up:
        load.ask("again 1000 16")
    elif "pingpong" in key:
        load.ask("ping 20000")
    else:
        load.ask(f"bulk {streams} {800 // streams} {8192 if '8k' in key else 65536} raw")
    switch()
    time.sleep(_SETTLES_S)
    load.ask("drop")
