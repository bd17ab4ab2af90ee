"""A tar that is written in memory."""

import io
import tarfile


class Tar:
    """Paths are relative to where it is unpacked; parents are there or come before."""

    def __init__(self) -> None:
        """Begins empty."""
        self._content = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._content, mode="w")  # noqa: SIM115 - `done` closes it

    def folder(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        """A directory; what is in one that is there already stays."""
        self._add(path, tarfile.DIRTYPE, mode, owner)

    def file(self, path: str, content: bytes, mode: int = 0o644, owner: int = 0) -> None:
        """A file."""
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, owner, owner
        self._tar.addfile(entry, io.BytesIO(content))

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        entry = tarfile.TarInfo(path)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(entry)

    def device(self, path: str, major: int, minor: int) -> None:
        """A character device for everybody; 0, 0 in an overlay's upper directory hides the file below."""
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.devmajor, entry.devminor = tarfile.CHRTYPE, 0o666, major, minor
        self._tar.addfile(entry)

    def pipe(self, path: str) -> None:
        """A named pipe for its owner."""
        self._add(path, tarfile.FIFOTYPE, 0o600, 0)

    def done(self) -> bytes:
        """All of it."""
        self._tar.close()
        return self._content.getvalue()

    def _add(self, path: str, kind: bytes, mode: int, owner: int) -> None:
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.uid, entry.gid = kind, mode, owner, owner
        self._tar.addfile(entry)
