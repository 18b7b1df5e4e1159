"""T9 with keys in the TPM: kill -9 before the changes of the disk that an enrollment and a renewal make. tests/run walks a
third of them, chosen by the seed that it prints; tests/run --all walks them all (WALK=all)."""
import pytest

import crash
import labs
from crash import another, check, settled

pytestmark = pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")


@pytest.fixture(scope="module")
def walk():
    with crash.walking(share=crash.third()) as made:
        yield made


@pytest.mark.parametrize("algorithm", ["rsa-2048", "ec-p256"])
def test_T9_enrollment(walk, algorithm):
    lab, last = walk.lab, 0
    for step in walk.steps():
        name = f"e-{algorithm}-{step}"
        lab.add(name, protection="tpm", algorithm=algorithm)
        challenge = lab.challenge()
        walk.arm(step)
        lab.scepter("enroll", name, "--challenge-file", challenge)
        walk.struck_or(name, another(""))
        struck = walk.revive()
        if settled(lab, name, "") is None:
            assert struck and lab.scepter("enroll", name, "--wait", "--challenge-file", challenge).returncode == 0
        check(lab, name)
        assert lab.json("show", name)["keyProtection"] == "tpm"
        if not struck:
            break
        last = step
    assert last > 5, "the walk has found too few changes"


def test_T9_renewal(walk):
    lab, last, name = walk.lab, 0, "renewed"
    lab.add(name, protection="tpm")
    assert lab.enroll(name).returncode == 0
    for step in walk.steps():
        before = lab.json("show", name)["thumbprint"]
        walk.clock(60)
        walk.arm(step)
        lab.scepter("renew", name)
        walk.struck_or(name, another(before))
        struck = walk.revive()
        if settled(lab, name, before) is None:
            assert struck and lab.scepter("renew", name, "--wait").returncode == 0
        shown = lab.json("show", name)
        assert shown["thumbprint"] != before and shown["keyProtection"] == "tpm"
        check(lab, name)
        if not struck:
            break
        last = step
    assert last > 5, "the walk has found too few changes"
