"""`make mutants`: removes one guard at a time in a copy of the tree and runs the tests that are named for it.

    python -m tests.mutants [WORD ...]

Prints for each whether it was caught, and by which test; with words, only for those guards that contain one of them.
Ends with 0 if all were caught, 1 if one was not, 2 if the list is stale or the tests fail without any patch.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutants.patches import MUTANTS, Mutant

ROOT: Final = Path(__file__).parents[2]
_COPIED: Final = ("broker", "tests", "proto", "pyproject.toml")
_LONGEST_S: Final = 180.0
_LONGEST_WHOLE_S: Final = 900.0
_PASSED, _FAILED = 0, 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests said to a mutant: `caught_by` is the first that failed, empty if none did."""

    caught_by: str
    problem: str = ""


class Stale(Exception):
    """A patch no longer applies."""


def apply(mutant: Mutant, text: str) -> str:
    """The file's text without the guard; `Stale` if the guard does not stand there exactly once."""
    found = text.count(mutant.old)
    if found != 1:
        raise Stale(f"{mutant.file}: what is to be removed stands there {found} times, not once: {mutant.guard}")
    return text.replace(mutant.old, mutant.new)


class Copy:
    """A copy of the tree in which one file at a time is another."""

    def __init__(self, root: Path) -> None:
        """Copies what the tests need."""
        self._root = root
        self._changes = 0
        ignore = shutil.ignore_patterns("__pycache__", "*.so")
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=ignore)
            else:
                shutil.copy2(source, root / name)

    def try_out(self, mutant: Mutant) -> Verdict:
        """Runs the mutant's tests with its patch, and takes the patch back."""
        path = self._root / mutant.file
        text = path.read_text()
        self._write(path, apply(mutant, text))
        try:
            return self.run(*mutant.tests)
        finally:
            self._write(path, text)

    def run(self, *tests: str, longest_s: float = _LONGEST_S) -> Verdict:
        """Runs tests up to the first that fails."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "--no-header", "-p", "no:cacheprovider"]
        environment = {**os.environ, "PYTHONPATH": str(self._root)}
        try:
            done = subprocess.run(
                [*command, *tests],
                cwd=self._root,
                env=environment,
                capture_output=True,
                text=True,
                timeout=longest_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict("", f"no end within {longest_s:g} s")
        if done.returncode == _PASSED:
            return Verdict("")
        failed = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
        if done.returncode != _FAILED or failed is None:
            return Verdict("", f"the tests did not run: {done.stdout[-300:].strip()} {done.stderr[-300:].strip()}")
        return Verdict(failed[1])

    def _write(self, path: Path, text: str) -> None:
        """With a time of its own, so that no compiled file is taken for it."""
        path.write_text(text)
        self._changes += 1
        os.utime(path, (1_000_000_000 + self._changes,) * 2)


def main(words: list[str]) -> int:
    """Tries all that are asked for; the exit code."""
    chosen = [m for m in MUTANTS if not words or any(word in m.guard for word in words)]
    with tempfile.TemporaryDirectory(prefix="agentbroker-mutants-") as folder:
        copy = Copy(Path(folder))
        try:
            for mutant in chosen:
                apply(mutant, (ROOT / mutant.file).read_text())
        except Stale as stale:
            print(stale, file=sys.stderr)
            return 2
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        whole = copy.run(*tests, longest_s=_LONGEST_WHOLE_S)
        if whole != Verdict(""):
            print(f"without any patch: {whole.caught_by or whole.problem} fails", file=sys.stderr)
            return 2
        return _try_all(copy, chosen)


def _try_all(copy: Copy, chosen: list[Mutant]) -> int:
    caught = 0
    for mutant in chosen:
        started = time.monotonic()
        verdict = copy.try_out(mutant)
        caught += bool(verdict.caught_by)
        said = f"caught by {verdict.caught_by}" if verdict.caught_by else f"NOT CAUGHT {verdict.problem}"
        print(f"{mutant.guard}\n    {said} ({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{caught} of {len(chosen)} caught")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
