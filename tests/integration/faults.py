"""Programs that get no memory where the test chooses: a daemon and its workers, or what a test runs itself."""
import contextlib
import os
import pathlib
import shutil
import struct
import tempfile
import unittest.mock

import labs

LIBRARY = labs.BUILD / "lib/alloc-fault.so"
# struct point of alloc-fault.c
PROGRAMS, SITES = ("scepterd", "scepter-worker", "scepter-parse", "scepter-apply", "scepter", "openssl", "pkcs11-tool"), 1024
HEAD, SITE = struct.Struct("<7q"), struct.Struct("<2q")
OFF, COUNT, REFUSE, SEEDED = range(4)


class Memory:
    def __init__(self, lab, point):
        self.lab, self._point = lab, point

    def _set(self, *values):
        with open(self._point, "r+b") as file:
            file.write(struct.pack("<q", OFF))
            file.flush()
            file.seek(8)
            file.write(HEAD.pack(*values)[8:])
            file.flush()
            file.seek(0)
            file.write(HEAD.pack(*values)[:8])

    def off(self):
        self._set(OFF, 0, 0, 0, 0, 0, 0)

    def refuse(self, site, nth):
        """The @nth request of @site, (program, offset), from now on gets none."""
        self._set(REFUSE, PROGRAMS.index(site[0]), site[1], nth, 0, 0, 0)

    def refuse_libraries(self, seed):
        self._set(SEEDED, 0, 0, 0, 0, 0, seed)

    def refused(self):
        """How many have got none since."""
        return HEAD.unpack(self._point.read_bytes()[:HEAD.size])[5]

    @contextlib.contextmanager
    def counted(self):
        """A dictionary, which afterwards says how often each site has asked meanwhile."""
        before, found = self._counts(), {}
        self._set(COUNT, 0, 0, 0, 0, 0, 0)
        yield found
        self.off()
        found.update({site: count - before.get(site, 0) for site, count in self._counts().items() if count > before.get(site, 0)})

    def _counts(self):
        data = self._point.read_bytes()[HEAD.size:]
        found = {}
        for at, (offset, count) in enumerate(SITE.iter_unpack(data)):
            if offset:
                found[PROGRAMS[at // SITES], offset] = count
        return found

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.lab.daemon_pid()}/fd"))

    def environment(self, *modules):
        """For a program that a test runs itself; of one that is not ours @modules are what counts as our own code."""
        return {"LD_PRELOAD": ":".join(map(str, (LIBRARY, *modules))), "ALLOC_POINT": str(self._point)}


@contextlib.contextmanager
def _point():
    # Not in pytest's folder: another session of pytest closes that to the daemon's user.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scepter-faults."))
    folder.chmod(0o711)
    point = folder / "point"
    point.write_bytes(bytes(HEAD.size + len(PROGRAMS) * SITES * SITE.size))
    point.chmod(0o666)
    try:
        yield point
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def short_of_memory(*options):
    """A lab whose daemon and workers are."""
    with _point() as point:
        given = {"LAB_PRELOAD": str(LIBRARY), "LAB_ALLOC_POINT": str(point), "LAB_PREPARED_KEYS_AGAIN": "yes"}
        with unittest.mock.patch.dict(os.environ, given), labs.lab(*options) as lab:
            yield Memory(lab, point)


@contextlib.contextmanager
def beside(lab):
    """Programs beside a lab whose daemon has memory; see environment()."""
    with _point() as point:
        yield Memory(lab, point)
