"""Whether the agents of this machine's pools are new enough for a controller: its jar says what it needs."""

import asyncio
import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from broker.doctor.report import Wrong
from broker.domain.pool import Pool

JAR_LIMIT: Final = 32 * 1024 * 1024
_MANIFEST: Final = "META-INF/MANIFEST.MF"
_MANIFEST_LIMIT: Final = 64 * 1024
_JAVA_S: Final = 20.0


def manifest_of(jar: bytes) -> Mapping[str, str]:
    """The main lines of a jar's manifest; of agent.jar `Version` and `Java-Version` matter. Raises ValueError."""
    try:
        with zipfile.ZipFile(io.BytesIO(jar)) as archive, archive.open(_MANIFEST) as file:
            lines = file.read(_MANIFEST_LIMIT).decode("utf-8", "replace").splitlines()
    except (zipfile.BadZipFile, KeyError, NotImplementedError, EOFError) as error:
        raise ValueError("it is not a jar with a manifest") from error
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def older(version: str, minimum: str) -> bool:
    """Whether a version of Remoting is older than another, by the numbers that both begin with."""
    return _numbers(version) < _numbers(minimum)


def _numbers(version: str) -> list[int]:
    found = re.match(r"[0-9]{1,9}(?:\.[0-9]{1,9})*", version)
    return [int(part) for part in found[0].split(".")] if found else []


async def check_jar(pool: Pool, minimum: str) -> str:
    """Of a pool with a jar of its own: whether the controller takes that version. Raises `Wrong`."""
    path = Path(str(pool.options["agent_jar"]))
    try:
        version = manifest_of(await asyncio.to_thread(path.read_bytes)).get("Version", "")
    except (OSError, ValueError) as error:
        raise Wrong(f"pool {pool.name}: {path}: {error}", f"mend pools.{pool.name}.agent_jar") from None
    if minimum and older(version, minimum):
        hint = f"take the controller's own: remove pools.{pool.name}.agent_jar, or put a newer jar there"
        message = f"pool {pool.name}: agent.jar is {version}, and the controller wants {minimum} or newer"
        raise Wrong(message, hint)
    return f"pool {pool.name}: agent.jar {version}"


async def check_java(pool: Pool, needed: int) -> str:
    """Of a pool of processes: whether its Java runs what the controller sends. Raises `Wrong`."""
    program = str(pool.options.get("java") or "java")
    found = await _java_version(program, f"pools.{pool.name}.java")
    if found < needed:
        message = f"pool {pool.name}: {program} is Java {found}, and agents of this controller need {needed}"
        hint = (
            f"they would connect and end at once, again and again: install Java {needed} or set pools.{pool.name}.java"
        )
        raise Wrong(message, hint)
    return f"pool {pool.name}: {program} is Java {found}, {needed} is needed"


async def _java_version(program: str, key: str) -> int:
    said = ""
    try:
        process = await asyncio.create_subprocess_exec(
            program, "-version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        raise Wrong(f"{program}: {error.strerror}", f"install Java, or set {key}") from None
    try:
        async with asyncio.timeout(_JAVA_S):
            said = (await process.communicate())[0].decode("utf-8", "replace")
    except TimeoutError:
        process.kill()
        await process.wait()
    version = re.search(r'version "(?:1\.)?([0-9]{1,4})', said)
    if version is None:
        raise Wrong(f"{program} -version does not say which Java it is", f"set {key} to a java program")
    return int(version[1])
