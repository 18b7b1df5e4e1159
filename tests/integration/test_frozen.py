"""T17: the state directories that earlier versions wrote (tests/data/state, made by freeze.py) are read by this one, nothing in
them is lost, and everything goes on."""
import json
import os
import pathlib
import socket
import tarfile
import time

import pytest

import freeze
import labs

TREES = sorted((labs.SOURCE / "tests/data/state").glob("*.tar.xz"))
DAEMON = 64811  # tests/lab: the daemon's user
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the trees hold a user's certificate")


def thaw(tree):
    def before(folder):
        with tarfile.open(tree) as archive:
            archive.extractall(folder)
        for path in (folder / "state", *(folder / "state").rglob("*")):
            os.chown(path, DAEMON, DAEMON, follow_symlinks=False)
        folder.chmod(0o711)
        ahead = json.loads((folder / "expected.json").read_text())["clock"] - 55 - int(time.time())
        (folder / "clock").write_bytes(ahead.to_bytes(8, "little", signed=True))
    return before


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module", params=TREES, ids=[path.name.split(".")[0] for path in TREES])
def thawed(request):
    if not all(map(is_free, freeze.PORTS.values())):
        pytest.skip("the ports that the tree names are in use")
    with labs.lab(before=thaw(request.param)) as lab:
        yield lab, json.loads((lab.dir / "lab/expected.json").read_text())


def expect(was, now, where=""):
    """All that was said is said; more may be."""
    if isinstance(was, dict):
        for key, value in was.items():
            assert key in now, f"{where}.{key}"
            expect(value, now[key], f"{where}.{key}")
    else:
        assert now == was, where


def test_T17_everything_is_still_there(thawed):
    lab, expected = thawed
    now = freeze.summary(lab)
    for certificate in now["certificates"].values():  # that is a date of today's, not of the tree
        certificate.pop("activitySince", None)
    expect(expected["certificates"], now["certificates"])
    expect(expected["profiles"], now["profiles"])
    for name, events in expected["events"].items():
        assert now["events"][name][:len(events)] == events


def test_T17_keys_work(thawed):
    lab, expected = thawed
    for name, shown in expected["certificates"].items():
        if shown["health"] != "none":
            done = lab.scepter("key", "test", name)
            assert done.returncode == 0, (name, done.stderr)


def test_T17_renewals_go_on(thawed):
    lab, expected = thawed
    lab.clock(f"@{expected['clock'] + 3600}")
    for name in ("soft-rsa", "tpm-rsa", "tpm-ec", "soft-ec"):
        challenge = () if name.endswith("rsa") else ("--challenge-file", lab.challenge())
        done = lab.scepter("enroll" if challenge else "renew", name, "--wait", *challenge)
        assert done.returncode == 0, (name, done.stderr)
        shown = lab.json("show", name)
        assert shown["notAfter"] > expected["certificates"][name]["notAfter"] and shown["lastError"]["name"] == ""


def test_T17_what_was_under_way_goes_on(thawed):
    lab, _ = thawed
    assert lab.enroll("wants").returncode == 0
    assert lab.enroll("refused").returncode == 0
    # The responder of the tree has forgotten whom it let wait: it is asked, and does not know the request.
    assert lab.json("show", "waiting")["activity"] in ("pending", "failed")
    assert lab.enroll("waiting").returncode == 0 or lab.scepter("cancel", "waiting").returncode == 0


def test_T17_the_user_has_his_own(thawed):
    lab, _ = thawed
    listed = [one["name"] for one in json.loads(lab.scepter("list", "--json", user=freeze.ALICE).stdout)["certificates"]]
    assert "of-alice" in listed
    assert lab.scepter("remove", "of-alice", user=freeze.ALICE).returncode == 0


def test_T17_a_version_to_come_is_left_alone(thawed):
    """The record of a newer version is not touched, and the others are served."""
    lab, _ = thawed
    home = lab.certificate("soft-ec")
    record = json.loads((home / "record.json").read_text())
    newer = json.dumps({**record, "version": record["version"] + 1})
    lab.daemon("kill")
    (home / "record.json").write_text(newer)
    lab.daemon("restart")
    names = [one["name"] for one in lab.json("list")["certificates"]]
    assert "soft-ec" not in names and "tpm-ec" in names
    assert "newer version" in lab.log()
    assert (home / "record.json").read_text() == newer and (home / "current/key.pem").exists()
