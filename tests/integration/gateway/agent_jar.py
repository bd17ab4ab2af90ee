"""The real agent as a process, for the tests that have one."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def real_agent(directory: Path, secret: str, url: str, *options: str) -> AsyncIterator[Path]:
    """Runs the real agent a1 in a directory; gives the file that it logs to."""
    secret_file, log = directory / "secret", directory / "agent.log"
    secret_file.write_text(secret)
    words = [os.environ.get("AGENT_JAVA", "java"), "-jar", os.environ["AGENT_JAR"], "-name", "a1", "-url", url]
    words += ["-secret", f"@{secret_file}", *options]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*words, stdout=output, stderr=output)
    try:
        yield log
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
