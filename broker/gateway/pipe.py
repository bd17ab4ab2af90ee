"""Carries much from one socket to another without a copy: through a pipe, whose pages change hands (splice(2))."""

import errno
import fcntl
import os
from typing import Final

_WAYS: Final = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_CANNOT: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM})


class Pipe:
    """One for a whole process: it is empty whenever nobody uses it."""

    def __init__(self, size: int) -> None:
        """Holds at most so many bytes, or what the system allows, which is 64 KiB at least."""
        self._out, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.works = True
        """Whether the system lets sockets be spliced."""
        try:
            self._size = fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, size)
        except OSError:
            self._size = fcntl.fcntl(self._in, fcntl.F_GETPIPE_SZ)

    def fill(self, source: int) -> int:
        """Takes what the socket has, and says how much; 0 at its end.

        Raises OSError: BlockingIOError where there is nothing yet, and where the system has no way.
        """
        try:
            return os.splice(source, self._in, self._size, flags=_WAYS)
        except OSError as error:
            if error.errno in _CANNOT:
                self.works = False
                raise BlockingIOError from error
            raise

    def empty(self, count: int, sink: int) -> bytes:
        """Gives a socket what it takes of so many bytes, and returns the rest. Raises OSError: the rest is lost."""
        try:
            while count:
                count -= os.splice(self._out, sink, count, flags=_WAYS)
        except BlockingIOError:
            pass  # it takes no more
        except OSError:
            self._rest(count)
            raise
        return self._rest(count)

    def _rest(self, count: int) -> bytes:
        rest = b""
        while len(rest) < count:
            rest += os.read(self._out, count - len(rest))
        return rest
