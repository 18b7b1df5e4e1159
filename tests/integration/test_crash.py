"""T9: kill -9 before every change of the disk that an enrollment, a renewal and their ends make: the same key, one request at
the CA, no orphan and no mismatch, and the end is reached. The walks find the changes themselves, and together they cross
every arrow of the lifecycle's table: one more in either is walked, too."""
import json

import pytest

import crash
import labs
from crash import another, assert_clean, check, properties, settled
from terminal import Typed

pytestmark = [pytest.mark.usefixtures("healed"),
              pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")]
FEW = "the walk has found too few changes"


@pytest.fixture(scope="module")
def walk():
    with crash.walking("--no-tpm") as made:
        yield made


def test_T9_enrollment(walk):
    lab, struck = walk.lab, True
    for step in walk.steps():
        name = f"e-{step}"
        lab.add(name)
        challenge = lab.challenge()
        walk.arm(step)
        lab.scepter("enroll", name, "--challenge-file", challenge)
        walk.struck_or(name, another(""))
        struck = walk.revive()
        if settled(lab, name, "") is None:  # it was not accepted: nothing is lost
            assert struck and lab.scepter("enroll", name, "--wait", "--challenge-file", challenge).returncode == 0
        check(lab, name)
        if not struck:
            break
    assert step > 15, FEW


def renewals(walk, name, armed):
    """Renews again and again, with @armed(step) before; ends when that strikes nothing any more."""
    lab, struck = walk.lab, True
    lab.add(name)
    assert lab.enroll(name).returncode == 0
    shown = lab.json("show", name)
    for step in walk.steps():
        before = shown["thumbprint"]
        walk.clock(60)
        armed(step)
        lab.scepter("renew", name)
        walk.struck_or(name, another(before))
        yield step
        struck = walk.revive()
        shown = settled(lab, name, before)
        if shown is None:
            assert struck and lab.scepter("renew", name, "--wait").returncode == 0
            shown = lab.json("show", name)
            assert shown["thumbprint"] != before
        check(lab, name)
        if not struck:
            assert step > 15, FEW
            return


def test_T9_renewal(walk):
    for _ in renewals(walk, "renewed", walk.arm):
        pass


def test_T9_killed_again_while_it_goes_on(walk):
    """A second kill at the first, second, … change of the start that takes up what was half installed."""
    name, again = "again", 0
    for _ in renewals(walk, name, walk.arm):
        record = walk.lab.certificate(name) / "record.json"
        while walk.struck() and json.loads(record.read_text())["activity"] == "installing":
            again += 1
            walk.again(again)
            walk.lab.until(lambda: walk.struck() or another("")(properties(walk.lab, name) or {"activity": ""}))
    assert again > 3, FEW


def test_T9_refusal(walk):
    """It ends in the refusal, without what was secret in the request; and another challenge makes it good."""
    lab = walk.lab
    for step in walk.steps():
        name = f"r-{step}"
        lab.add(name)
        lab.ndes("set", "wrong-challenge", "always")
        walk.arm(step)
        lab.scepter("enroll", name, "--challenge-file", lab.challenge())
        walk.struck_or(name, lambda shown: shown["activity"] == "failed")
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
        if not struck:
            break
    assert step > 10, FEW


def recorded(home):
    """What the disk says; {}: nothing."""
    try:
        return json.loads((home / "record.json").read_text())
    except FileNotFoundError:
        return {}


def test_T9_another_attempt(walk):
    """After a refusal, as far as it is known to run again."""
    lab = walk.lab
    for step in range(1, 9):
        name = f"a-{step}"
        refused(walk, name)
        lab.ndes("reset")
        challenge = lab.challenge()
        walk.arm(step)
        lab.scepter("enroll", name, "--challenge-file", challenge)
        walk.struck_or(name, another(""))
        walk.revive()
        shown = lab.until(lambda: (one := properties(lab, name)) and one["activity"] in ("idle", "failed") and one)
        if shown["activity"] == "failed":  # it was not accepted
            assert lab.scepter("enroll", name, "--wait", "--challenge-file", challenge).returncode == 0
        check(lab, name, abandoned=True)


def test_T9_accepting(walk):
    """What was kept aside is installed; where that was begun in vain, it lies there still."""
    lab = walk.lab
    for step in walk.steps():
        name = f"accepted-{step}"
        lab.ndes("set", "drop-eku", "on")
        lab.add(name)
        assert lab.enroll(name).returncode == 6
        kept = (lab.certificate(name) / "refused.pem").read_bytes()
        walk.arm(step)
        lab.scepter("renew", name, "--accept")
        walk.struck_or(name, another(""))
        struck = walk.revive()
        resting = ("idle", "failed", "needs-challenge")
        shown = lab.until(lambda: (one := properties(lab, name)) and one["activity"] in resting and one)
        if shown["activity"] != "idle":
            assert struck
            done = lab.scepter("renew", name, "--accept", "--wait")
            assert done.returncode == 0, done.stderr
        check(lab, name)
        home = lab.certificate(name)
        assert (home / "current/cert.pem").read_bytes() == kept and not (home / "refused.pem").exists()
        if not struck:
            break
    assert step > 10, FEW


def waiting(walk, name):
    """A request that somebody has to approve."""
    walk.lab.ndes("set", "pending", "approve")
    walk.lab.add(name)
    assert walk.lab.enroll(name).returncode == 8


def test_T9_pending(walk):
    """From nothing to the first PENDING; then it is approved."""
    lab = walk.lab
    for step in walk.steps():
        name = f"p-{step}"
        lab.ndes("set", "pending", "approve")
        lab.add(name)
        challenge = lab.challenge()
        walk.arm(step)
        lab.scepter("enroll", name, "--challenge-file", challenge)
        walk.struck_or(name, lambda shown: shown["activity"] == "pending")
        struck = walk.revive()
        shown = lab.until(lambda: [one for one in [properties(lab, name)] if not one or one["activity"] == "pending"])[0]
        if not shown:
            assert struck and lab.scepter("enroll", name, "--wait", "--challenge-file", challenge).returncode == 8
        assert (lab.certificate(name) / "generations/1/request.der").exists()  # the same bytes: check(), below
        lab.ndes("approve")
        walk.clock(4000)
        assert settled(lab, name, "")
        check(lab, name)
        if not struck:
            break
    assert step > 10, FEW


@pytest.mark.parametrize("end", ["issued", "still pending", "denied"])
def test_T9_poll(walk, end):
    lab = walk.lab
    for step in walk.steps():
        name = f"{end.replace(' ', '-')}-{step}"
        waiting(walk, name)
        key = (lab.certificate(name) / "generations/1/key.pem").read_bytes()
        if end != "still pending":
            lab.ndes("approve" if end == "issued" else "deny")
        walk.arm(step)
        walk.clock(4000)
        wanted = {"issued": another(""), "denied": lambda shown: shown["activity"] == "failed",
                  "still pending": lambda shown: recorded(lab.certificate(name))["polls"]}[end]
        walk.struck_or(name, wanted)
        struck = walk.revive()
        if struck:
            walk.clock(4000)
        lab.until(lambda: (shown := properties(lab, name)) and wanted(shown))
        if end == "denied":
            assert properties(lab, name)["lastError"]["name"] == "ServerRefused"
            assert {path.name for path in lab.certificate(name).rglob("*") if path.is_file()} <= {
                "record.json", "events.jsonl", "anchor.pem", "key.pem"}
            lab.ndes("reset")
            assert lab.enroll(name).returncode == 0
        elif end == "still pending":
            lab.ndes("approve")
            walk.clock(4000)
            assert settled(lab, name, "")
        assert (lab.certificate(name) / "current/key.pem").read_bytes() == key
        if end != "denied":
            check(lab, name)
        if not struck:
            break
    assert step > (1 if end == "still pending" else 3), FEW


def held(walk, name):
    """A request whose answer does not come."""
    walk.lab.ndes("set", "fault-on", "pki")
    walk.lab.ndes("set", "delay", "60s")
    walk.lab.add(name)
    walk.lab.scepter("enroll", name, "--challenge-file", walk.lab.challenge())
    home = walk.lab.certificate(name)
    walk.lab.until((home / "generations/1/request.der").exists)


def wanting(walk, name):
    """A renewal that wants a challenge."""
    walk.lab.add(name, method="challenge")
    assert walk.lab.enroll(name).returncode == 0
    walk.clock(60)
    walk.lab.scepter("renew", name)
    walk.lab.wait_for(name, "needs-challenge")


def refused(walk, name):
    walk.lab.add(name)
    walk.lab.ndes("set", "wrong-challenge", "always")
    assert walk.lab.enroll(name).returncode == 6


def installed(walk, name):
    walk.lab.add(name)
    assert walk.lab.enroll(name).returncode == 0


@pytest.mark.parametrize("state", [held, waiting], ids=lambda state: state.__name__)
def test_T9_cancel(walk, state):
    lab = walk.lab
    for step in walk.steps():
        name = f"c-{state.__name__}-{step}"
        state(walk, name)
        walk.arm(step)
        lab.scepter("cancel", name)
        walk.struck_or(name, lambda shown: shown["activity"] == "idle")
        struck = walk.revive()
        lab.ndes("reset")
        if struck and properties(lab, name)["activity"] != "idle":
            lab.scepter("cancel", name)  # too late is no failure
            lab.wait_for(name, "idle")
        record = json.loads((lab.certificate(name) / "record.json").read_text())
        assert_clean(lab)
        if not record["current"]:
            assert not list(lab.certificate(name).rglob("request.der")) and not list(lab.certificate(name).rglob("challenge"))
            assert lab.enroll(name).returncode == 0
        check(lab, name, abandoned=True)
        if not struck:
            break
    assert step > 1, FEW


@pytest.mark.parametrize("state", [installed, refused, wanting], ids=lambda state: state.__name__)
def test_T9_remove(walk, state):
    """Once it is asked for it happens, and no key is left."""
    lab = walk.lab
    for step in walk.steps():
        name = f"d-{state.__name__}-{step}"
        state(walk, name)
        home = lab.certificate(name)
        walk.arm(step)
        done = lab.scepter("remove", name)
        lab.until(lambda: walk.struck() or not home.exists())
        struck = walk.struck()
        for again in range(1, 4):  # and once more, while it goes on
            if not walk.struck() or recorded(home).get("activity") != "removing":
                break
            walk.again(again)
            lab.until(lambda: walk.struck() or not home.exists())
        walk.revive()
        if struck and home.exists() and properties(lab, name):
            lab.until(lambda: recorded(home).get("activity") != "removing")
            if recorded(home):
                assert done.returncode != 0, "it was said to be removed"
                assert lab.scepter("remove", name).returncode == 0
        lab.until(lambda: not home.exists())
        lab.until(lambda: lab.scepter("show", name).returncode == 3)
        lab.ndes("reset")
        if not struck:
            break
    assert step > 2, FEW


def test_T9_challenge_for_a_renewal(walk):
    lab = walk.lab
    for step in walk.steps():
        name = f"n-{step}"
        lab.add(name, method="challenge")
        assert lab.enroll(name).returncode == 0
        before = lab.json("show", name)["thumbprint"]
        walk.clock(60)
        walk.arm(step)
        lab.scepter("renew", name)
        walk.struck_or(name, lambda shown: shown["activity"] == "needs-challenge")
        first = walk.revive()
        if first and properties(lab, name)["activity"] == "idle":
            lab.scepter("renew", name)
        lab.wait_for(name, "needs-challenge")
        challenge = lab.challenge()
        walk.arm(step)
        lab.scepter("enroll", name, "--challenge-file", challenge)
        walk.struck_or(name, another(before))
        struck = walk.revive()
        shown = lab.until(lambda: (one := properties(lab, name)) and one["activity"] in ("idle", "needs-challenge") and one)
        if shown["activity"] == "needs-challenge":  # it was not accepted
            assert struck and lab.scepter("enroll", name, "--wait", "--challenge-file", challenge).returncode == 0
        check(lab, name)
        if not first and not struck:
            break
    assert step > 10, FEW


def test_T9_a_pin_that_nobody_enters(walk):
    """An attempt that lacks the PIN waits for its user, and it goes on when that comes, or it is removed."""
    lab = walk.lab

    def enroll(strict):
        Typed(lab, "enroll", name, "--challenge-file", lab.challenge(), lines=["4711 right"] * 2, strict=strict)

    def activity():
        shown = properties(lab, name)
        return shown and shown["activity"]

    def wait_for_its_user():
        if lab.until(lambda: (one := activity()) in ("failed", "waiting-for-user") and one) == "failed":
            walk.clock(8000)
            lab.wait_for(name, "waiting-for-user")

    for step in walk.steps():
        name = f"pin-{step}"
        lab.add(name, protection="user-verified", type="user")
        enroll(True)
        lab.wait_for(name, "failed")  # there is no TPM
        walk.arm(step)
        walk.clock(8000)  # the next attempt comes by itself
        walk.struck_or(name, lambda shown: shown["activity"] == "waiting-for-user")
        struck = walk.revive()
        wait_for_its_user()
        walk.arm(step)
        enroll(False)
        walk.struck_or(name, lambda shown: shown["activity"] == "failed")
        struck |= walk.revive()
        wait_for_its_user()
        walk.arm(step)
        lab.scepter("remove", name)
        lab.until(lambda: walk.struck() or not activity())
        struck |= walk.revive()
        if activity() == "waiting-for-user":
            assert lab.scepter("remove", name).returncode == 0
        lab.until(lambda: not activity())
        if not struck:
            break
    assert step > 2, FEW


def followed(walk, name):
    """A certificate with a consumer, which takes it; the folder it is put into."""
    folder = walk.lab.dir / f"out-{name}"
    folder.mkdir()
    folder.chmod(0o777)
    (walk.lab.dir / f"lab/etc/consumers.d/{name}.consumer").write_text(
        f"[Consumer]\nProfile={name}\n[Files]\nCertificate={folder}/cert.pem\n")
    walk.lab.add(name)
    return folder


def test_T9_applied(walk):
    """From the request to the consumer that has it."""
    lab = walk.lab
    for step in walk.steps():
        name = f"ap-{step}"
        folder = followed(walk, name)
        challenge = lab.challenge()
        walk.arm(step)
        lab.scepter("enroll", name, "--challenge-file", challenge)
        walk.struck_or(name, lambda shown: another("")(shown) and (folder / "cert.pem").exists())
        struck = walk.revive()
        if settled(lab, name, "", ("requesting", "installing", "apply-pending")) is None:
            assert struck and lab.scepter("enroll", name, "--wait", "--challenge-file", challenge).returncode == 0
        lab.until((folder / "cert.pem").exists)
        lab.wait_for(name, "idle")
        check(lab, name)
        assert (folder / "cert.pem").read_bytes() == (lab.certificate(name) / "current/cert.pem").read_bytes()
        (lab.dir / f"lab/etc/consumers.d/{name}.consumer").unlink()
        if not struck:
            break
    assert step > 15, FEW


def test_T9_followed_later(walk):
    """An idle certificate gets a consumer that cannot take it, and then can."""
    lab = walk.lab
    for step in range(1, 4):
        name = f"fl-{step}"
        lab.add(name)
        assert lab.enroll(name).returncode == 0
        walk.arm(step)
        (lab.dir / f"lab/etc/consumers.d/{name}.consumer").write_text(
            f"[Consumer]\nProfile={name}\n[Files]\nCertificate={lab.dir}/out-{name}/cert.pem\n")
        walk.struck_or(name, lambda shown: shown["activity"] == "apply-pending")
        walk.revive()
        lab.wait_for(name, "apply-pending")
        (lab.dir / f"lab/etc/consumers.d/{name}.consumer").unlink()
        walk.clock(90000)
        lab.wait_for(name, "idle")
        check(lab, name)


def retried(walk, name):
    """Its consumers' next attempts, until they have it; one that runs just now may still fail."""
    def look():
        if (shown := properties(walk.lab, name)) and shown["activity"] == "idle":
            return True
        if recorded(home).get("apply_attempts", 0) > attempts:
            return "failed"
        return None
    home, came = walk.lab.certificate(name), "failed"
    while came == "failed":
        attempts = recorded(home).get("apply_attempts", 0)
        walk.clock(90000)
        came = walk.lab.until(look)


@pytest.mark.parametrize("then", ["cured", "again", "renewed", "enrolled", "removed"])
def test_T9_apply_pending(walk, then):
    """What a consumer could not take does not keep the certificate from anything."""
    lab = walk.lab
    for step in range(1, 21):
        # which change is the removal's depends on whether another attempt of the consumer's falls beside it
        if step > 4 and (then != "removed" or ("apply-pending", "removing") in walk.arrows):
            break
        name = f"{then}-{step}"
        folder = followed(walk, name)
        folder.rmdir()
        assert lab.enroll(name).returncode == 1
        before = lab.wait_for(name, "apply-pending")
        home, challenge = lab.certificate(name), lab.challenge()
        attempts = recorded(home)["apply_attempts"]
        walk.clock(60)
        walk.arm((step - 1) % 4 + 1)
        if then in ("cured", "again"):
            if then == "cured":
                folder.mkdir()
                folder.chmod(0o777)
            walk.clock(8000)
            walk.struck_or(name, lambda shown: recorded(home).get("apply_attempts", 0) > attempts
                           if then == "again" else shown["activity"] == "idle")
        elif then == "renewed":
            lab.scepter("renew", name)
            walk.struck_or(name, lambda shown: shown["thumbprint"] != before["thumbprint"])
        elif then == "enrolled":
            lab.scepter("enroll", name, "--challenge-file", challenge)
            walk.struck_or(name, lambda shown: shown["thumbprint"] != before["thumbprint"])
        else:
            lab.scepter("remove", name)
            lab.until(lambda: walk.struck() or not home.exists())
        walk.revive()
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o777)
        if then == "removed":
            lab.until(lambda: not home.exists() or recorded(home).get("activity") != "removing")
            if recorded(home):
                lab.scepter("remove", name)
            lab.until(lambda: not home.exists() and not (folder / "cert.pem").exists())
        else:
            retried(walk, name)
            lab.until((folder / "cert.pem").exists)
            check(lab, name)
        (lab.dir / f"lab/etc/consumers.d/{name}.consumer").unlink()


def test_T9_every_arrow(walk):
    """What the walks above have crossed is the whole table. A removal that goes on after a restart is walked, too, but which
    change of a start comes first is not for the walk to say."""
    # the second takes a TPM: test_pin_renewal.py; the third a full disk: test_crash_disk.py
    left = crash.table() - walk.arrows
    assert left <= {("removing", "removing"), ("pending", "waiting-for-user"), ("installing", "failed")}, left
