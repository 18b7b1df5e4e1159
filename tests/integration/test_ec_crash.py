"""kill -9 before every change of the disk that an EC key's enrollment makes on its way from the refused transport key to the
message that it signs itself: the same key, one request at the CA, and the certificate."""
import json

import pytest

import crash
import labs

pytestmark = pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")


@pytest.fixture(scope="module")
def walk():
    with crash.walking("--no-tpm", share=crash.third()) as made:
        yield made


def check(lab, name, key):
    home = lab.certificate(name)
    record = json.loads((home / "record.json").read_text())
    log = [json.loads(line) for line in lab.ndes("log", "4003", "4006").splitlines()]
    assert record["requested"] == 0 and record["activity"] == "idle" and record["direct"] and record["refused"] == 0
    assert sorted(path.name for path in (home / "current").resolve().iterdir()) == ["cert.pem", "chain.pem", "key.pem"]
    assert key in (None, (home / "current/key.pem").read_text())
    assert not list((lab.state / "profiles").glob("*/challenge"))
    assert lab.scepter("key", "test", name).returncode == 0
    asked = {event["transaction"] for event in lab.json("events", name)["events"] if event["event"] == "REQUEST_GENERATED"}
    issued = [event["transaction"] for event in log if event["event"] == 4006 and event["transaction"] in asked]
    assert len(issued) == 1, "one certificate, whatever was asked"
    for transaction in asked:
        assert len({event["sha256"] for event in log if event["event"] == 4003 and event["transaction"] == transaction}) == 1


def key_of(lab, name):
    """That of the enrollment under way; None: there is none yet."""
    for record in lab.state.glob("certificates/*/record.json"):
        path = record.parent / "generations/1/key.pem"
        if json.loads(record.read_text())["name"] == name and path.exists():
            return path.read_text()
    return None


@pytest.mark.parametrize("how", ["kari", "pwri"])
def test_T9_from_one_way_to_the_other(walk, how):
    lab = walk.lab
    lab.ndes("set", "foreign-signer", "refuse")
    lab.ndes("set", "ec-reply", how)
    for step in walk.steps():
        name = f"{how}-{step}"
        lab.add(name, algorithm="ec-p256")
        challenge = lab.challenge()
        walk.arm(step)
        lab.scepter("enroll", name, "--challenge-file", challenge)
        walk.struck_or(name, crash.another(""))
        key = key_of(lab, name) if walk.struck() else None
        struck = walk.revive()
        if crash.settled(lab, name, "") is None:  # it was not accepted: nothing is lost
            assert struck and lab.scepter("enroll", name, "--wait", "--challenge-file", challenge).returncode == 0
        check(lab, name, key)
        if not struck:
            break
    assert step > 20, "the walk has found too few changes"
