"""T9 and T18: kill -9 before every change of the disk that following a CA to the next one makes."""
import subprocess

import pytest

import crash
import labs
from crash import another, check, settled

pytestmark = [pytest.mark.usefixtures("healed"),
              pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")]
FEW = "the walk has found too few changes"


@pytest.fixture(scope="module")
def walk():
    with crash.walking("--no-tpm", share=crash.third()) as made:
        yield made


def follows(walk, name):
    """A certificate whose CA has announced the next one, which then is in force."""
    lab = walk.lab
    lab.ndes("set", "single-tier", "on")
    lab.ndes("set", "rollover", "on")
    lab.add(name, server="FollowRollover=yes")
    assert lab.enroll(name).returncode == 0
    lab.until((lab.certificate(name) / "next-anchor.pem").exists)
    lab.ndes("set", "rollover", "done")
    walk.clock(60)


def leads(home, anchor):
    return subprocess.run(["openssl", "verify", "-no_check_time", "-CAfile", anchor, home / "current/cert.pem"],
                          capture_output=True, check=False).returncode == 0


def test_T9_the_next_CA(walk):
    """A renewal that follows: whatever anchor.pem is, the certificate that is there leads to it in the end, and the next one
    is not forgotten before."""
    lab = walk.lab
    for step in walk.steps():
        name = f"follows-{step}"
        follows(walk, name)
        before, home = lab.json("show", name)["thumbprint"], lab.certificate(name)
        new = (home / "next-anchor.pem").read_text()
        walk.arm(step)
        lab.scepter("renew", name)
        walk.struck_or(name, another(before))
        struck = walk.revive()
        if settled(lab, name, before) is None:
            assert struck and lab.scepter("renew", name, "--wait").returncode == 0
        check(lab, name)
        assert (home / "anchor.pem").read_text() == new and leads(home, home / "anchor.pem")
        assert (home / "followed-anchor.pem").read_text() == new and not (home / "next-anchor.pem").exists()
        if not struck:
            break
    assert step > 18, FEW


def test_T9_what_the_CA_announces(walk):
    """Killed while that is put on record: it is learnt all the same."""
    lab = walk.lab
    for step in walk.steps():
        name = f"announced-{step}"
        lab.ndes("set", "single-tier", "on")
        lab.add(name, server="FollowRollover=yes")
        assert lab.enroll(name).returncode == 0
        home = lab.certificate(name)
        lab.ndes("set", "rollover", "on")
        walk.arm(step)
        walk.clock(26 * 3600)
        lab.until(lambda: walk.struck() or (home / "next-anchor.pem").exists() and
                  [one for one in lab.json("events", name)["events"] if one["event"] == "CA_NEXT"])
        struck = walk.revive()
        if struck:
            walk.clock(26 * 3600)
        lab.until((home / "next-anchor.pem").exists)
        lab.ndes("reset")
        check(lab, name)
        if not struck:
            break
    assert step > 2, FEW
