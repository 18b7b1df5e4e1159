"""kill -9 before every change of the disk that an enrollment and a renewal make: the same key, one request at the CA, no
orphan and no mismatch, and the end is reached (T9). The walk finds the changes itself: one more is walked, too."""
import json
import os
import pathlib
import select
import struct

import pytest

import labs

LIBRARY = labs.BUILD / "lib/crash-point.so"
pytestmark = pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")


class Walk:
    """A daemon that ends before the change that is asked for."""

    def __init__(self, lab, point):
        self.lab, self._point = lab, point

    def _read(self):
        return struct.unpack("<qq", self._point.read_bytes())

    def arm(self, step):
        """The change that comes as the @step-th from now on; 0: none."""
        count = self._read()[0]
        with open(self._point, "r+b") as file:
            file.write(struct.pack("<qq", count, count + step if step else 0))

    def struck(self):
        """It is down."""
        count, target = self._read()
        return bool(target) and count >= target

    def revive(self):
        """Started again, if it was struck; else it is not any more."""
        if not self.struck():
            self.arm(0)
            return False
        try:
            pid = os.pidfd_open(self.lab.daemon_pid())
        except ProcessLookupError:
            pass
        else:
            with os.fdopen(pid) as process:
                assert select.select([process], [], [], 30)[0]
        self.arm(0)
        self.lab.daemon("restart")
        return True


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    point = tmp_path_factory.mktemp("crash") / "point"
    for folder in (point.parent, point.parent.parent, point.parent.parent.parent):
        folder.chmod(0o711)
    point.write_bytes(struct.pack("<qq", 0, 0))
    point.chmod(0o666)
    os.environ["LAB_PRELOAD"], os.environ["LAB_CRASH_POINT"] = str(LIBRARY), str(point)
    try:
        with labs.lab("--no-tpm") as lab:
            yield Walk(lab, point)
    finally:
        del os.environ["LAB_PRELOAD"], os.environ["LAB_CRASH_POINT"]


def properties(lab, name):
    """None: there is none, or nobody to ask."""
    done = lab.scepter("show", name, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def settled(lab, name, before):
    """Its properties, once it has another certificate than @before; None: nothing was begun, so nothing comes."""
    def look():
        shown = properties(lab, name)
        assert not shown or shown["activity"] in ("requesting", "installing", "idle"), (shown["lastError"], lab.log()[-1500:])
        return (shown,) if not shown or shown["activity"] == "idle" else None
    shown = lab.until(look)[0]
    return shown if shown and shown["thumbprint"] not in ("", before) else None


def struck_or(walk, name, wanted):
    """Waits until the daemon is struck, or until wanted(properties)."""
    def look():
        shown = properties(walk.lab, name)
        return walk.struck() or (shown is not None and wanted(shown))
    walk.lab.until(look)


def another(before):
    return lambda shown: shown["activity"] == "idle" and shown["thumbprint"] not in ("", before)


def check(lab, name):
    """What must hold of a certificate at rest, wherever the daemon was killed on the way."""
    home = lab.certificate(name)
    record = json.loads((home / "record.json").read_text())
    log = [json.loads(line) for line in lab.ndes("log", "4003", "4006").splitlines()]
    assert record["requested"] == 0 and record["activity"] == "idle" and record["error_name"] == ""
    assert (home / "current").readlink() == pathlib.Path(f"generations/{record['current']}")
    kept = {int(line.split()[0]) for line in record["old"]} | {record["current"]}
    assert {int(path.name) for path in (home / "generations").iterdir()} == kept
    for generation in (home / "generations").iterdir():
        assert sorted(path.name for path in generation.iterdir()) == ["cert.pem", "chain.pem", "key.pem"], name
    assert not list((lab.state / "profiles").glob("*/challenge"))
    assert not [path for path in lab.state.rglob("*") if path.name.endswith((".new", "~")) or ".tmp" in path.name]
    tested = lab.scepter("key", "test", name)
    assert tested.returncode == 0, tested.stderr
    transactions = {event["transaction"] for event in lab.json("events", name)["events"]
                    if event["event"] == "REQUEST_GENERATED"}
    for transaction in transactions:
        sent = {event["sha256"] for event in log if event["event"] == 4003 and event["transaction"] == transaction}
        issued = [event for event in log if event["event"] == 4006 and event["transaction"] == transaction]
        assert len(sent) == 1 and len(issued) == 1, (transaction, sent, issued)


def test_enrollment(walk):
    lab, step, struck = walk.lab, 0, True
    while struck:
        step += 1
        name = f"e-{step}"
        lab.add(name)
        challenge = lab.challenge()
        walk.arm(step)
        lab.scepter("enroll", name, "--challenge-file", challenge)
        struck_or(walk, name, another(""))
        struck = walk.revive()
        if settled(lab, name, "") is None:  # it was not accepted: nothing is lost
            assert struck and lab.scepter("enroll", name, "--wait", "--challenge-file", challenge).returncode == 0
        check(lab, name)
    assert step > 15, "the walk has found too few changes"


def test_renewal(walk):
    lab, step, struck, seconds = walk.lab, 0, True, 60
    lab.add("renewed")
    assert lab.enroll("renewed").returncode == 0
    shown = lab.json("show", "renewed")
    while struck:
        step += 1
        before = shown["thumbprint"]
        assert lab.run(labs.LAB, "clock", lab.dir / "lab", f"+{seconds}").returncode == 0
        walk.arm(step)
        lab.scepter("renew", "renewed")
        struck_or(walk, "renewed", another(before))
        struck = walk.revive()
        shown = settled(lab, "renewed", before)
        if shown is None:
            assert struck and lab.scepter("renew", "renewed", "--wait").returncode == 0
            shown = lab.json("show", "renewed")
            assert shown["thumbprint"] != before
        check(lab, "renewed")
    assert step > 15, "the walk has found too few changes"


def test_refusal(walk):
    """It ends in the refusal, without what was secret in the request; and another challenge makes it good."""
    lab, step, struck = walk.lab, 0, True
    while struck:
        step += 1
        name = f"r-{step}"
        lab.add(name)
        lab.ndes("set", "wrong-challenge", "always")
        walk.arm(step)
        lab.scepter("enroll", name, "--challenge-file", lab.challenge())
        struck_or(walk, name, lambda shown: shown["activity"] == "failed")
        struck = walk.revive()
        shown = lab.until(lambda: [one for one in [properties(lab, name)] if not one or one["activity"] == "failed"])[0]
        if shown:
            kept = {path.name for path in lab.certificate(name).rglob("*") if path.is_file()}
            assert not kept & {"challenge", "request.der", "transport.pem"}, kept
            assert shown["lastError"]["name"] == "ServerRefused"
        lab.ndes("reset")
        done = lab.enroll(name)
        assert done.returncode == 0, done.stderr
        record = json.loads((lab.certificate(name) / "record.json").read_text())
        assert record["requested"] == 0 and record["error_name"] == ""
    assert step > 10, "the walk has found too few changes"
