"""T9: a disk that refuses one change of a renewal: the old certificate stays, and the next attempt ends it."""
import pytest

import crash
import labs
from crash import another, check, properties

pytestmark = [pytest.mark.usefixtures("healed"),
              pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")]
FEW = "the walk has found too few changes"


@pytest.fixture(scope="module")
def walk():
    with crash.walking("--no-tpm") as made:
        yield made


@pytest.mark.parametrize("mode", [crash.FAIL, crash.FAIL + 1, crash.FAIL + 2, crash.UNSYNCED],
                         ids=["goes-on", "killed-at-the-next", "killed-at-the-second", "happens-all-the-same"])
def test_T9_a_full_disk(walk, mode):
    """Each change of a renewal fails once for want of room: the old certificate stays, and the next attempt ends it."""
    lab, name, killed = walk.lab, f"full-{mode}", mode > crash.FAIL
    lab.add(name, count=5)
    assert lab.enroll(name).returncode == 0
    for step in walk.steps():
        before = lab.json("show", name)["thumbprint"]
        walk.clock(60)
        walk.arm(step, mode)
        lab.scepter("renew", name)
        walk.struck_or(name, lambda shown: walk.failed() or another(before)(shown))
        struck = walk.failed()
        if struck and killed:
            walk.clock(4000)
            walk.struck_or(name, another(before))
        walk.revive()
        assert lab.scepter("key", "test", name).returncode == 0
        walk.clock(4000)  # another attempt, or what could not be written is
        shown = lab.until(lambda: properties(lab, name))
        if shown["thumbprint"] == before and shown["activity"] == "idle":  # it was not accepted
            done = lab.scepter("renew", name)
            assert done.returncode == 0, done.stderr
        lab.until(lambda: another(before)(lab.json("show", name)))
        check(lab, name)
        if not struck:
            break
    assert step > 15, FEW


def test_T9_what_the_disk_alone_leads_to(walk):
    """The arrow that test_crash.py cannot cross."""
    assert ("installing", "failed") in walk.arrows
