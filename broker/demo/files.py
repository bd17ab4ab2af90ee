"""Files that hold secrets."""

from pathlib import Path


def write_private(path: Path, content: str | bytes) -> None:
    """Writes a file that only its owner may read."""
    data = content.encode() if isinstance(content, str) else content
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(data)
