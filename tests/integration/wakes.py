"""inotify(7): that something was written below a lab, which the bus does not tell."""
import ctypes
import os

IN_CLOSE_WRITE, IN_MODIFY, IN_MOVED, IN_CREATE, IN_DELETE = 0x8, 0x2, 0xC0, 0x100, 0x200
WANTED = IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED | IN_CREATE | IN_DELETE

LIBC = ctypes.CDLL(None, use_errno=True)


class Wakes:
    """Readable, for select(2), once one of the folders that were added has changed; folders that are not there are none. To be
    kept: closing it waits for the kernel, which takes its time on a busy machine."""

    def __init__(self):
        self.fd = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")

    def add(self, folders):
        for folder in folders:
            LIBC.inotify_add_watch(self.fd, os.fsencode(folder), WANTED)

    def fileno(self):
        return self.fd

    def drain(self):
        try:
            while os.read(self.fd, 65536):
                pass
        except BlockingIOError:
            pass

    def close(self):
        os.close(self.fd)
