"""A daemon that ends, or whose disk refuses, at a change of the disk that the test chooses; and what must hold afterwards."""
import contextlib
import json
import os
import pathlib
import random
import re
import select
import shutil
import struct
import subprocess
import tempfile

import labs

LIBRARY = labs.BUILD / "lib/crash-point.so"
UNSYNCED, HOLD, KILL, FAIL = range(-2, 2)  # FAIL + n: and a kill at the n-th change behind it
POLL = 20
TABLE = labs.SOURCE / "service/enroll/lifecycle.c"


class Walk:
    def __init__(self, lab, point, share=None):
        self.lab, self._point = lab, point
        self._random = random.Random(share) if share is not None else None
        self.arrows = set()  # (from, to) that the daemon was killed at

    def _read(self):
        return struct.unpack("<qqq", self._point.read_bytes())

    def arm(self, step, mode=KILL):
        """The change that comes as the @step-th from now on; 0: none."""
        count = self._read()[0]
        self.armed = count + step
        with open(self._point, "r+b") as file:
            file.seek(8)
            file.write(struct.pack("<qq", count + step if step else 0, mode))

    def struck(self):
        """It is down, or, where the change fails, that has happened."""
        count, target, mode = self._read()
        return bool(target) and count >= target + max(0, mode - FAIL)

    def failed(self):
        """The change that is to fail has come."""
        count, target, mode = self._read()
        return mode != KILL and bool(target) and count >= target

    def revive(self):
        """Started again, if it was struck; else it is not any more."""
        mode, armed = self._read()[2], self.armed
        if not self.struck():
            self.arm(0)
            return False
        if mode in (FAIL, UNSYNCED):
            self.arm(0)
            return True
        try:
            pid = os.pidfd_open(self.lab.daemon_pid())
        except (ProcessLookupError, FileNotFoundError):  # the latter: it ended before it was ready
            pass
        else:
            with os.fdopen(pid) as process:
                assert select.select([process], [], [], 30)[0]
        self.arm(0)
        self._note_arrows(armed + max(0, mode - FAIL))
        self.lab.daemon("restart")
        return True

    def again(self, step):
        """It is struck: it starts, and ends at the @step-th change of that."""
        self._note_arrows(self.armed)
        self.arm(step)
        self.lab.daemon("restart", check=False)

    def _note_arrows(self, count):
        for line in self._point.with_suffix(".arrows").read_text().splitlines():
            before, after, at = line.split()
            if int(at) == count:
                self.arrows.add((before, after))

    def steps(self):
        """1, 2, … without end, or a seeded third of them."""
        step = 0
        while True:
            step += 1
            if self._random is None or self._random.random() < 1 / 3:
                yield step

    def struck_or(self, name, wanted):
        """Waits until the daemon is struck, or until wanted(properties)."""
        def look():
            shown = properties(self.lab, name)
            return self.struck() or (shown is not None and wanted(shown))
        self.lab.until(look)

    def clock(self, seconds):
        self.lab.clock(f"+{seconds}")


def third():
    """The seed of the third of the steps that tests/run walks, printed; None with WALK=all, as tests/run --all says."""
    if os.environ.get("WALK") == "all":
        return None
    seed = int(os.environ.get("WALK_SEED", random.randrange(10**6)))
    print(f"WALK_SEED={seed}")
    return seed


@contextlib.contextmanager
def walking(*options, share=None):
    """@share: the seed of the third that is walked; None: all."""
    # Not in pytest's folder: another session of pytest closes that to the daemon's user.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scepter-crash."))
    folder.chmod(0o711)
    point = folder / "point"
    for path, content in ((point, struct.pack("<qqq", 0, 0, 0)), (point.with_suffix(".arrows"), b"")):
        path.write_bytes(content)
        path.chmod(0o666)
    given = {"LAB_PRELOAD": str(LIBRARY), "LAB_CRASH_POINT": str(point), "LAB_PREPARED_KEYS_AGAIN": "yes"}
    os.environ |= given
    try:
        with labs.lab(*options) as lab:
            yield Walk(lab, point, share)
    finally:
        for variable in given:
            del os.environ[variable]
        shutil.rmtree(folder)


def table():
    """The arrows of the lifecycle's table, as (from, to)."""
    text = TABLE.read_text()
    rows = re.findall(r"\[ACTIVITY_(\w+)\] =\s*\{\"([a-z-]+)\"(.*?)(?=\[ACTIVITY_\w+\] =|\n\};)", text, re.S)
    names = {constant: name for constant, name, _ in rows}
    arrows = {(name, names[to]) for _, name, row in rows for to in re.findall(r"TO\(ACTIVITY_(\w+)\)", row)}
    assert len(names) > 5 and len(arrows) > 15
    return arrows


def properties(lab, name):
    """None: there is none, or nobody to ask."""
    done = lab.scepter("show", name, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def settled(lab, name, before, running=("requesting", "pending", "installing")):
    """Its properties, once it has another certificate than @before; None: nothing was begun, so nothing comes."""
    def look():
        shown = properties(lab, name)
        assert not shown or shown["activity"] in (*running, "idle"), (shown["lastError"], lab.log()[-1500:])
        return (shown,) if not shown or shown["activity"] == "idle" else None
    shown = lab.until(look)[0]
    return shown if shown and shown["thumbprint"] not in ("", before) else None


def another(before):
    return lambda shown: shown["activity"] == "idle" and shown["thumbprint"] not in ("", before)


def check(lab, name, abandoned=False):
    """What must hold of a certificate at rest, wherever the daemon was killed on the way. @abandoned: a request was cancelled."""
    home = lab.certificate(name)
    record = json.loads((home / "record.json").read_text())
    log = [json.loads(line) for line in lab.ndes("log", "4003", "4006").splitlines()]
    assert record["requested"] == 0 and record["activity"] == "idle" and record["error_name"] == ""
    assert (home / "current").readlink() == pathlib.Path(f"generations/{record['current']}")
    kept = {int(line.split()[0]) for line in record["old"]} | {record["current"]}
    assert {int(path.name) for path in (home / "generations").iterdir()} == kept
    for generation in (home / "generations").iterdir():
        assert sorted(path.name for path in generation.iterdir()) == ["cert.pem", "chain.pem", "key.pem"], name
    assert_clean(lab)
    tested = lab.scepter("key", "test", name)
    assert tested.returncode == 0, tested.stderr
    transactions = {event["transaction"] for event in lab.json("events", name)["events"]
                    if event["event"] == "REQUEST_GENERATED"}
    for transaction in transactions:
        sent = {event["sha256"] for event in log if event["event"] == 4003 and event["transaction"] == transaction
                and event["messageType"] != POLL}
        issued = [event for event in log if event["event"] == 4006 and event["transaction"] == transaction]
        assert len(sent) == 1 and len(issued) == 1 or abandoned and len(sent) <= 1 and len(issued) <= 1, (transaction, sent, issued)


def assert_clean(lab):
    """No challenge and, once what a stepped clock set off is written, no half-written file anywhere."""
    assert not list((lab.state / "profiles").glob("*/challenge"))
    lab.until(lambda: not [path for path in lab.state.rglob("*") if path.name.endswith((".new", "~")) or ".tmp" in path.name])
