"""T9, beside test_crash.py: each worker is killed before and after the server has seen what it asks; the next attempt goes on."""
import contextlib
import os

import pytest

import crash
import labs
from crash import another, check, properties
from front import front

pytestmark = pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")


@pytest.fixture(scope="module")
def walk():
    with crash.walking("--no-tpm") as made:
        yield made


@pytest.fixture(autouse=True)
def answering(walk):
    yield
    walk.lab.ndes("reset")


def workers(lab):
    """Process ids of the daemon's workers."""
    parent, found = lab.daemon_pid(), []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = open(f"/proc/{entry}/stat").read()
        except OSError:
            continue
        if "(scepter-worker)" in stat and int(stat.rsplit(")", 1)[1].split()[1]) == parent:
            found.append(int(entry))
    return found


@pytest.mark.parametrize("after", [False, True], ids=["before-the-server-saw-it", "after-it-answered"])
@pytest.mark.parametrize("operation", ["GetCACaps", "GetCACert", "PKIOperation"])
@pytest.mark.parametrize("what", ["enrollment", "renewal", "poll"])
def test_T9_killed_worker(walk, what, operation, after):
    """The step has failed; the next attempt goes on with the same key and the same request."""
    lab, name = walk.lab, f"w-{what}-{operation.lower()}-{after}"
    with front(lab) as way:
        lab.add(name, url=way.url, count=5)
        if what == "renewal":
            assert lab.enroll(name).returncode == 0
        if what == "poll":
            lab.ndes("set", "pending", "1")
            assert lab.enroll(name).returncode == 8
        before = lab.json("show", name)["thumbprint"] if what == "renewal" else ""
        way.hold(operation, after)
        if what == "enrollment":
            lab.scepter("enroll", name, "--challenge-file", lab.challenge())
        else:
            walk.clock(4000)
        if what == "renewal":
            lab.scepter("renew", name)
        assert way.arrived.wait(60)
        for pid in workers(lab):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        lab.until(lambda: lab.json("show", name)["lastError"]["name"] == "WorkerFailed")
        way.go.set()
        assert lab.json("show", name)["activity"] == ("pending" if what == "poll" else "failed")
        walk.clock(8000)
        lab.until(lambda: another(before)(lab.json("show", name)))
    check(lab, name)
