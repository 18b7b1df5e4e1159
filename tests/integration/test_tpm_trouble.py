"""Trouble with the TPM (demand T12, T13): a real swtpm is brought into each state that users report, for keys that are
there and for keys that are to be made. The trouble is named, with what to do; no key is touched, none falls to software;
and when the TPM is well again, everything goes on by itself, with the same keys and requests."""
import contextlib
import json
import shutil
import subprocess

import pytest

import labs
from test_diagnose import diagnose
from test_renewal import events, heal, now, set_clock, until
from tpms import COUNTING, SRK, Tpm

PROTECTIONS = ("tpm", "tpm-preferred")

needs_tools = pytest.mark.skipif(not shutil.which("tpm2_clear") or not shutil.which("swtpm_ioctl"),
                                 reason="tpm2-tools or swtpm-tools is missing")
pytestmark = needs_tools


@contextlib.contextmanager
def with_tpm():
    with labs.lab() as lab:
        heal(lab)
        tpm = Tpm(lab)
        try:
            yield lab, tpm
        finally:
            tpm.close()


def record(lab, name):
    return json.loads((lab.certificate(name) / "record.json").read_text())


def keys(lab, name):
    """Every key file of this certificate."""
    return {str(path.relative_to(lab.certificate(name))): path.read_bytes()
            for path in lab.certificate(name).glob("generations/*/key*.pem")}


def renew(lab, name):
    """By hand, a minute later: the new certificate has to end after the old one. The name of the error, "" for none."""
    set_clock(lab, now(lab) + 60)
    done = lab.scepter("renew", name, "--wait", "--json")
    return json.loads(done.stdout)["error"]["name"] if done.returncode else ""


def ready(lab, name, protection):
    lab.add(name, protection=protection)
    done = lab.enroll(name)
    assert done.returncode == 0, done.stderr
    assert lab.json("show", name)["keyProtection"] == "tpm"


def key_test(lab, name):
    """The name of the error, "" where the key works; and its remedy."""
    done = lab.scepter("key", "test", name, "--json")
    if done.returncode == 0:
        return "", ""
    assert done.returncode == 5, (done.stdout, done.stderr)
    error = json.loads(done.stdout)["error"]
    assert error["message"] and error["remedy"], error
    print(error)  # for whom a test fails
    return error["name"], error["remedy"]


def go_on(lab, *names):
    """The next attempt of each comes, by the clock; their properties once they are at rest again with a certificate."""
    for name in names:  # on a slow machine one may have come by itself
        until(lab, name, lambda shown: shown["activity"] in ("idle", "failed"))
    due = {name: record(lab, name)["retry_at"] for name in names if lab.json("show", name)["activity"] == "failed"}
    assert all(due.values()), {name: record(lab, name)["error_name"] for name in names}
    for name in sorted(due, key=due.get):  # none of them sleeps through its moment
        set_clock(lab, max(due[name] + 1, now(lab)))
        until(lab, name, lambda shown: shown["activity"] == "idle")
    return [lab.json("show", name) for name in names]


# What is done to the TPM. Each returns what undoes it.

def owner_password(lab, tpm):
    tpm.owner("secret")
    lab.daemon("restart")  # a saved parent would do until then
    return lambda: tpm.owner(old="secret")


def locked_parent(_, tpm):
    tpm.lock()
    return tpm.unlock


def forbidden_node(lab, tpm):
    node = lab.files / "tpmrm0"
    node.touch(mode=0)
    node.chmod(0)
    tpm.tcti_is(f"device:{node}")

    def cure():
        node.unlink()
        line = subprocess.Popen(["socat", f"PTY,link={node},rawer,mode=666", f"UNIX-CONNECT:{tpm.socket}"],
                                stderr=subprocess.DEVNULL)
        tpm.proxies.append(Ending(line))
        lab.until(node.exists)
    return cure


class Ending:
    def __init__(self, process):
        self.process = process

    def close(self):
        self.process.terminate()
        self.process.wait()


def not_started(_, tpm):
    tpm.power_cycle()
    return tpm.start


def full(_, tpm):
    tpm.fill()
    return tpm.flush


def gone(_, tpm):
    tpm.kill()

    def cure():
        tpm.again()
        tpm.proxies.append(KillingTpm(tpm))
    return cure


class KillingTpm:
    def __init__(self, tpm):
        self.close = tpm.end


def spoilt(mode):
    def cause(_, tpm):
        proxy = tpm.proxy()
        tpm.tcti_is(proxy.tcti)
        proxy.mode = mode

        def cure():
            proxy.mode = "pass"
        return cure
    return cause


def counting_parent(lab, tpm):
    tpm.owner("secret")
    tpm.persist(COUNTING, "secret")
    lab.daemon("restart")  # it has a saved parent of its own until then


TROUBLES = [
    # name, before any key, cause, error, a word of the remedy, the finding
    ("owner-password", None, owner_password, "TpmOwnerAuth", "0x81000001", "keys-tpm-owner-auth"),
    ("locked-out", counting_parent, locked_parent, "TpmLockedOut", "Wait", "keys-tpm-locked-out"),
    ("permission", None, forbidden_node, "TpmPermission", "tss", "keys-tpm-permission"),
    ("reset", None, not_started, "TpmReset", "tpm2_startup", "keys-tpm-reset"),
    ("full", None, full, "TpmFull", "flush", "keys-tpm-full"),
    ("gone", None, gone, "TpmFailed", "scepter tpm", "keys-tpm-failed"),
    ("nonsense", None, spoilt("nonsense"), "TpmFailed", "scepter tpm", "keys-tpm-failed"),
    ("closed", None, spoilt("close"), "TpmFailed", "scepter tpm", "keys-tpm-failed"),
]


@pytest.mark.parametrize("name,before,cause,error,word,code", TROUBLES, ids=[row[0] for row in TROUBLES])
def test_T12_trouble(name, before, cause, error, word, code):
    if name == "permission" and not shutil.which("socat"):
        pytest.skip("socat is missing")
    with with_tpm() as (lab, tpm):
        if before:
            before(lab, tpm)
        for protection in PROTECTIONS:
            ready(lab, f"old-{protection}", protection)
        kept = {protection: keys(lab, f"old-{protection}") for protection in PROTECTIONS}
        cure = cause(lab, tpm)

        for protection in PROTECTIONS:
            old, new = f"old-{protection}", f"new-{protection}"
            told, remedy = key_test(lab, old)
            assert told == error and word in remedy
            # first enrollment: no key, least of all one in software
            lab.add(new, protection=protection)
            done = lab.enroll(new, "--json")
            assert done.returncode == 5 and json.loads(done.stdout)["error"]["name"] == error, done.stdout
            assert not keys(lab, new)
            # renewal: neither
            assert renew(lab, old) == error
            assert keys(lab, old) == kept[protection]
            shown = lab.json("show", old)
            assert shown["lastError"]["name"] == error and shown["health"] == "valid"
        # the journal, without anybody asking
        lab.until(lambda: f"TPM: {error}" in lab.log())
        # what scepter tpm says, to programs and to people
        told = lab.json("tpm")
        assert told["tpmState"] == error and told["tpmInfo"]["error"] == error and word in told["tpmInfo"]["remedy"]
        text = lab.scepter("tpm").stdout
        assert error in text and told["tpmInfo"]["reason"] in text and told["tpmInfo"]["remedy"] in text
        found = diagnose(lab, "old-tpm")
        assert found[code]["result"] == "fault" and found["certificate-key-unusable"]["remedy"]
        lab.serves()

        cure()
        for protection in PROTECTIONS:
            assert key_test(lab, f"old-{protection}") == ("", "")
        names = [f"{kind}-{protection}" for kind in ("old", "new") for protection in PROTECTIONS]
        for shown in go_on(lab, *names):
            assert shown["keyProtection"] == "tpm" and not shown["lastError"]["name"], shown
        for protection in PROTECTIONS:
            old, new = f"old-{protection}", f"new-{protection}"
            assert kept[protection].items() <= keys(lab, old).items() and set(keys(lab, old)) == {
                "generations/1/key.pem", "generations/2/key.pem"}
            assert set(keys(lab, new)) == {"generations/1/key.pem"}
            assert len(events(lab, new, "REQUEST_GENERATED")) == 1 and len(events(lab, old, "REQUEST_GENERATED")) == 2
        assert lab.json("tpm")["tpmState"] == "ready"


def test_T12_cleared():
    """The TPM itself is well: new keys are made in it. What it held is lost, which is said, and no file of it is touched."""
    with with_tpm() as (lab, tpm):
        for protection in PROTECTIONS:
            ready(lab, f"old-{protection}", protection)
        kept = {protection: keys(lab, f"old-{protection}") for protection in PROTECTIONS}
        tpm.clear()
        for protection in PROTECTIONS:
            old, new = f"old-{protection}", f"new-{protection}"
            error, remedy = key_test(lab, old)
            assert error == "TpmCleared" and "scepter enroll" in remedy
            ready(lab, new, protection)
            assert key_test(lab, new) == ("", "")
            # The old key signs no renewal any more, and a challenge is asked for while the certificate has its time.
            assert renew(lab, old) == "ChallengeNeeded"
            shown = lab.json("show", old)
            assert shown["activity"] == "needs-challenge" and "cleared" in shown["lastError"]["message"]
            assert kept[protection].items() <= keys(lab, old).items()
        told = lab.json("tpm")
        assert told["tpmState"] == "TpmCleared" and "scepter enroll" in told["tpmInfo"]["remedy"]
        assert told["tpmInfo"]["keys-tried"] == "4" and told["tpmInfo"]["keys-lost"] == "2"
        found = diagnose(lab, "old-tpm")
        assert "cleared" in found["certificate-key-lost"]["observed"] and "keys-tpm" in found
        for protection in PROTECTIONS:
            old = f"old-{protection}"
            done = lab.enroll(old)
            assert done.returncode == 0, done.stderr
            assert lab.json("show", old)["keyProtection"] == "tpm" and key_test(lab, old) == ("", "")
            assert set(keys(lab, old)) == {"generations/1/key.pem", "generations/2/key.pem"}
            assert kept[protection].items() <= keys(lab, old).items()
        assert lab.json("tpm")["tpmState"] == "ready"


@pytest.mark.parametrize("again", ["by-itself", "by-hand"])
def test_T12_cleared_while_the_ca_thinks(again):
    """The key of a request that is pending is lost, and the request with it. It is put aside, not removed."""
    with with_tpm() as (lab, tpm):
        lab.ndes("set", "pending", "1000")
        lab.add("p", protection="tpm")
        assert lab.enroll("p").returncode == 8
        lost = keys(lab, "p")["generations/1/key.pem"]
        tpm.clear()
        lab.daemon("restart")
        shown = until(lab, "p", lambda shown: shown["activity"] == "failed")
        assert shown["lastError"]["name"] == "TpmCleared"
        assert keys(lab, "p") == {"generations/1/key.lost.pem": lost}
        lab.ndes("reset")
        if again == "by-itself":
            set_clock(lab, record(lab, "p")["retry_at"] + 1)
            until(lab, "p", lambda shown: shown["activity"] == "needs-challenge")
        done = lab.enroll("p")
        assert done.returncode == 0, done.stderr
        found = keys(lab, "p")
        assert set(found) == {"generations/1/key.lost.pem", "generations/1/key.pem"}
        assert found["generations/1/key.lost.pem"] == lost and key_test(lab, "p") == ("", "")


def test_T12_lockout_of_others():
    """Nothing that this service makes counts wrong passwords, so a lockout stops nothing; it is told."""
    with with_tpm() as (lab, tpm):
        ready(lab, "old", "tpm")
        tpm.lock()
        assert key_test(lab, "old") == ("", "")
        ready(lab, "new", "tpm")
        assert renew(lab, "old") == ""
        told = lab.json("tpm")
        assert told["tpmState"] == "ready" and told["tpmInfo"]["in-lockout"] == "yes"
        assert 600 <= int(told["tpmInfo"]["lockout-seconds"]) <= 1200
        assert diagnose(lab, "old")["keys-tpm-lockout"]["result"] == "note"
        tpm.unlock()
        assert "keys-tpm-lockout" not in diagnose(lab, "old")


def test_T12_locked_out_waits_for_the_end():
    """No attempt before the lockout can be over, and none that counts."""
    with with_tpm() as (lab, tpm):
        counting_parent(lab, tpm)
        tpm.lock(seconds=900)
        lab.add("k", protection="tpm-preferred")
        assert lab.enroll("k").returncode == 5
        now = record(lab, "k")["activity_since"]
        assert now + 900 <= record(lab, "k")["retry_at"] <= now + 930
        assert "900 s" in lab.json("show", "k")["lastError"]["message"]
        before = lab.json("tpm")["tpmInfo"]["lockout-counter"]
        set_clock(lab, record(lab, "k")["retry_at"] + 1)
        until(lab, "k", lambda shown: shown["attempts"] == 2 and shown["activity"] == "failed")
        assert lab.json("tpm")["tpmInfo"]["lockout-counter"] == before
        tpm.unlock()
        go_on(lab, "k")


def foreign_parent(lab, tpm):
    tpm.evict("secret")
    tpm.persist(SRK, "secret")
    lab.daemon("restart")


def missing_parent(lab, tpm):
    tpm.evict("secret")
    lab.daemon("restart")


def signing_parent(lab, tpm):
    tpm.evict("secret")
    tpm.persist(SRK.replace("restricted|decrypt", "sign"), "secret")
    lab.daemon("restart")


PARENTS = [
    # name, cause, of the key that is there, of new keys (None: they are made), what scepter tpm says
    ("foreign", foreign_parent, "is not the one", None, "KeyForeign"),
    ("missing", missing_parent, "no storage key at 0x81000001", "TpmOwnerAuth", "TpmOwnerAuth"),
    ("signing", signing_parent, "is not a storage key", "TpmOwnerAuth", "TpmOwnerAuth"),
]


@pytest.mark.parametrize("name,cause,message,new_error,state", PARENTS, ids=[row[0] for row in PARENTS])
def test_T12_storage_key(name, cause, message, new_error, state):
    """Keys under 0x81000001, where something else is now. When the old one is back, so are they."""
    with with_tpm() as (lab, tpm):
        counting_parent(lab, tpm)
        for protection in PROTECTIONS:
            ready(lab, f"old-{protection}", protection)
        assert lab.json("tpm")["tpmInfo"]["parent"] == "0x81000001"
        kept = {protection: keys(lab, f"old-{protection}") for protection in PROTECTIONS}
        cause(lab, tpm)
        for protection in PROTECTIONS:
            old, new = f"old-{protection}", f"new-{protection}"
            done = lab.scepter("key", "test", old, "--json")
            error = json.loads(done.stdout)["error"]
            assert error["name"] == "KeyForeign" and message in error["message"] and "0x81000001" in error["remedy"]
            lab.add(new, protection=protection)
            done = lab.enroll(new, "--json")
            if new_error:
                assert json.loads(done.stdout)["error"]["name"] == new_error and not keys(lab, new)
            else:
                assert done.returncode == 0 and key_test(lab, new) == ("", "")
            assert renew(lab, old) == (new_error or "KeyForeign")
            assert kept[protection].items() <= keys(lab, old).items()
        told = lab.json("tpm")
        assert told["tpmState"] == state and "0x81000001" in told["tpmInfo"]["remedy"]
        assert "certificate-key-lost" in diagnose(lab, "old-tpm")
        if name != "missing":
            tpm.evict("secret")
        tpm.persist(COUNTING, "secret")
        lab.daemon("restart")
        for protection in PROTECTIONS:
            assert key_test(lab, f"old-{protection}") == ("", "")
        for shown in go_on(lab, *(f"old-{protection}" for protection in PROTECTIONS)):
            assert shown["keyProtection"] == "tpm"
        for protection in PROTECTIONS:
            assert kept[protection].items() <= keys(lab, f"old-{protection}").items()
            assert key_test(lab, f"old-{protection}") == ("", "")


def test_T12_no_tpm():
    """Absent is an answer for a new key whose profile only prefers the TPM, and a trouble for a key that was in one."""
    with with_tpm() as (lab, tpm):
        for protection in PROTECTIONS:
            ready(lab, f"old-{protection}", protection)
        kept = {protection: keys(lab, f"old-{protection}") for protection in PROTECTIONS}
        tpm.tcti_is("none")
        for protection in PROTECTIONS:
            old = f"old-{protection}"
            assert key_test(lab, old)[0] == "TpmAbsent"
            assert renew(lab, old) == "TpmAbsent"
            assert keys(lab, old) == kept[protection]
            lab.add(f"new-{protection}", protection=protection)
        assert lab.enroll("new-tpm").returncode == 5 and not keys(lab, "new-tpm")
        assert lab.enroll("new-tpm-preferred").returncode == 0
        assert lab.json("show", "new-tpm-preferred")["keyProtection"] == "software"
        told = lab.json("tpm")
        assert told["tpmState"] == "absent" and told["tpmInfo"]["error"] == "TpmAbsent" and told["tpmInfo"]["remedy"]
        tpm.tcti_is(tpm.tcti)
        names = ("old-tpm", "old-tpm-preferred", "new-tpm")
        for shown in go_on(lab, *names):
            assert shown["keyProtection"] == "tpm"
        for protection in PROTECTIONS:
            assert kept[protection].items() <= keys(lab, f"old-{protection}").items()
        # a software key stays one
        assert renew(lab, "new-tpm-preferred") == ""


def test_T12_owner_password_as_credential():
    """The administrator gives the service the owner's password: nothing else has to be in the TPM."""
    with with_tpm() as (lab, tpm):
        ready(lab, "old", "tpm")
        kept = keys(lab, "old")
        tpm.owner("secret")
        folder = lab.dir / "lab/etc/credentials"
        folder.mkdir(mode=0o755)
        credential = folder / "scepter.tpm-owner-auth"
        credential.write_text("not this\n")
        credential.chmod(0o644)
        lab.daemon("restart")
        error, _ = key_test(lab, "old")
        assert error == "TpmOwnerAuth" and "not the one" in lab.json("tpm")["tpmInfo"]["reason"]
        credential.write_text("secret\n")
        lab.daemon("restart")
        assert key_test(lab, "old") == ("", "") and keys(lab, "old") == kept
        ready(lab, "new", "tpm")
        assert renew(lab, "old") == ""
        told = lab.json("tpm")
        assert told["tpmState"] == "ready" and told["tpmInfo"]["parent"] == "0x40000001"
        assert "secret" not in lab.log() and "not this" not in lab.log()


def test_T12_while_the_ca_thinks():
    """The poll comes while the TPM is away: the request stands, and its answer is fetched later with the same key."""
    with with_tpm() as (lab, tpm):
        lab.ndes("set", "pending", "approve")
        lab.add("p", protection="tpm")
        assert lab.enroll("p").returncode == 8
        key, transaction = keys(lab, "p"), record(lab, "p")["transaction"]
        tpm.power_cycle()
        set_clock(lab, record(lab, "p")["next_poll"] + 1)
        shown = until(lab, "p", lambda shown: shown["lastError"]["name"] == "TpmReset")
        assert shown["activity"] == "pending"
        assert keys(lab, "p") == key and record(lab, "p")["transaction"] == transaction
        tpm.start()
        lab.ndes("set", "pending", "off")
        set_clock(lab, record(lab, "p")["next_poll"] + 1)
        until(lab, "p", lambda shown: shown["activity"] == "idle" and shown["health"] == "valid")
        assert keys(lab, "p") == key and key_test(lab, "p") == ("", "")
        assert {event["transaction"] for event in events(lab, "p", "REQUEST_GENERATED")} == {transaction}
