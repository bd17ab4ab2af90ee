"""`python -m tests.benchmarks` lists the benchmarks; `… NAME [-o json]` runs one and prints its figures last."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict

from tests.benchmarks.alibaba_ecs import PARTS as ALIBABA_PARTS
from tests.benchmarks.alibaba_ecs import alibaba_ecs
from tests.benchmarks.amazon_ecs import AMAZON_ECS
from tests.benchmarks.figures import Benchmark, Figure
from tests.benchmarks.gateway.benchmark import PARTS, gateway
from tests.benchmarks.jenkins_side import jenkins_side
from tests.benchmarks.placement import PLACEMENT
from tests.benchmarks.provisioning import PROVISIONING
from tests.benchmarks.reliability import RELIABILITY
from tests.benchmarks.ssh_hosts import SSH_HOSTS
from tests.benchmarks.startup import STARTUP

BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        alibaba_ecs(),
        AMAZON_ECS,
        gateway(),
        jenkins_side(),
        PLACEMENT,
        PROVISIONING,
        RELIABILITY,
        SSH_HOSTS,
        STARTUP,
    )
}


def main() -> int:
    """Lists or runs; 2 for a name that does not exist."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", help="without it: the list")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.add_argument(
        "--builds", type=_sizes, help="of jenkins: sizes of its bursts, 1,20,100 if not given; '' for none"
    )
    parser.add_argument(
        "--only", choices=[*PARTS, *ALIBABA_PARTS], help="of gateway and alibaba-ecs: one part of their figures"
    )
    parser.add_argument("--profile", metavar="KEY", help="tells where the time of that figure goes, on stderr")
    given = parser.parse_args()
    if given.name is None:
        _list(given.output)
        return 0
    if given.name not in BENCHMARKS:
        print(f"no benchmark {given.name!r}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    benchmark = BENCHMARKS[given.name]
    if given.name == "jenkins" and given.builds is not None:
        benchmark = jenkins_side(given.builds)
    if given.name == "gateway":
        benchmark = gateway((given.only,) if given.only else tuple(PARTS))
    if given.name == "alibaba-ecs" and given.only:
        benchmark = alibaba_ecs((given.only,))
    if given.profile:
        return _profile(benchmark, given.profile)
    figures = asyncio.run(benchmark.run())
    _show(benchmark, figures, given.output)
    return 0 if figures else 1


def _profile(benchmark: Benchmark, key: str) -> int:
    if key not in benchmark.profiles:
        known = ", ".join(benchmark.profiles) or "none"
        print(f"no profile of {key!r} in {benchmark.name}; there are: {known}", file=sys.stderr)
        return 2
    asyncio.run(benchmark.profiles[key]())
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(",") if word)


def _list(output: str) -> None:
    if output == "json":
        print(json.dumps({name: benchmark.summary for name, benchmark in BENCHMARKS.items()}))
        return
    for name, benchmark in BENCHMARKS.items():
        print(f"{name:16}{benchmark.summary}")


def _show(benchmark: Benchmark, figures: Mapping[str, Figure], output: str) -> None:
    if output == "json":
        told = {key: asdict(figure) for key, figure in figures.items()}
        print(json.dumps({"benchmark": benchmark.name, "figures": told}))
        return
    for key, figure in figures.items():
        print(f"{key:32}{figure.value:>10.3f} {figure.unit:4}  target {figure.target}\n    {figure.how}")


if __name__ == "__main__":
    sys.exit(main())
