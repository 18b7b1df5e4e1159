"""A TPM that others use, reset or break while the service runs, and what it is at a start: what the service mends by itself
(demand T12), and that it starts and reports with a TPM that loads nothing (T13)."""
import os
import signal
import subprocess

import pytest

import labs
from test_tpm_trouble import KillingTpm, key_test, keys, needs_tools, ready, renew, with_tpm

pytestmark = needs_tools


def reset(_, tpm):
    tpm.power_cycle()
    tpm.start()


def reset_and_strangers(lab, tpm):
    """Others get the handles that were ours."""
    reset(lab, tpm)
    tpm.tool("createprimary", "-Q", "-C", "n", "-G", "ecc", "-c", tpm.files / "stranger")


def restarted(_, tpm):
    tpm.kill()
    tpm.again()
    tpm.proxies.append(KillingTpm(tpm))


def full_of_ours(lab, tpm):
    """Two slots are left beside a stranger's object, and more keys than that are in use."""
    tpm.flush()
    tpm.tool("createprimary", "-Q", "-C", "n", "-G", "ecc", "-c", tpm.files / "stranger")


UNNOTICED = [("reset", reset), ("strangers", reset_and_strangers), ("restarted", restarted), ("full", full_of_ours),
             ("flushed", lambda _, tpm: tpm.flush())]


@pytest.mark.parametrize("name,cause", UNNOTICED, ids=[row[0] for row in UNNOTICED])
def test_T12_mended_unnoticed(name, cause):
    """What the service mends by itself, nobody hears of: keys work, are made and renewed, one after the other."""
    with with_tpm() as (lab, tpm):
        lab.add("a", protection="tpm")
        lab.add("b", protection="tpm", algorithm="ec-p256")
        for one in "ab":
            assert lab.enroll(one).returncode == 0
        for one in ("b", "a", "b"):
            cause(lab, tpm) if name != "restarted" or one == "a" else None
            assert key_test(lab, one) == ("", "")
        cause(lab, tpm) if name != "restarted" else None
        ready(lab, "c", "tpm")
        cause(lab, tpm) if name != "restarted" else None
        assert renew(lab, "a") == ""
        for one in "abc":
            assert key_test(lab, one) == ("", "")
        assert lab.json("tpm")["tpmState"] == "ready"


CREATE, CREATE_PRIMARY, LOAD, RSA_DECRYPT, TEST_PARMS, CONTEXT_LOAD = 0x153, 0x131, 0x157, 0x159, 0x18a, 0x161


@pytest.mark.parametrize("mode", ["close", "cut", "garbage", "nonsense"])
def test_T12_one_broken_answer(mode):
    """Of each command once, in the middle of a test, an enrollment and a renewal: nobody hears of it."""
    with with_tpm() as (lab, tpm):
        proxy = tpm.proxy()
        tpm.tcti_is(proxy.tcti)
        ready(lab, "k", "tpm")
        proxy.only, proxy.mode = [], mode
        for code in (RSA_DECRYPT, LOAD, CONTEXT_LOAD):
            tpm.flush()  # so that it is loaded anew
            proxy.only = [code]
            assert key_test(lab, "k") == ("", ""), hex(code)
            assert not proxy.only, hex(code)
        for code in (TEST_PARMS, CREATE, CONTEXT_LOAD, LOAD, RSA_DECRYPT):
            name = f"n{code:x}"
            proxy.only = [code]
            ready(lab, name, "tpm")
            assert not proxy.only and set(keys(lab, name)) == {"generations/1/key.pem"}
            proxy.only = [code]
            assert renew(lab, name) == ""
            assert not proxy.only and key_test(lab, name) == ("", "")
        assert lab.json("tpm")["tpmState"] == "ready"


NOTHING_LOADS = [
    ("cleared", lambda lab, tpm: tpm.clear(), "TpmCleared"),
    ("owner-password", lambda lab, tpm: tpm.owner("secret"), "TpmOwnerAuth"),
    ("not-started", lambda lab, tpm: tpm.power_cycle(), "TpmReset"),
    ("full", lambda lab, tpm: tpm.fill(), "TpmFull"),
    ("gone", lambda lab, tpm: tpm.kill(), "TpmFailed"),
]


@pytest.mark.parametrize("name,cause,error", NOTHING_LOADS, ids=[row[0] for row in NOTHING_LOADS])
def test_T13_starts_and_reports(name, cause, error):
    """The service starts with a TPM that loads none of its keys, says so in the journal and on the bus, and serves."""
    with with_tpm() as (lab, tpm):
        for n in range(3):
            ready(lab, f"k{n}", "tpm")
        lab.add("soft", protection="software")
        assert lab.enroll("soft").returncode == 0
        kept = [keys(lab, f"k{n}") for n in range(3)]
        if name == "full":  # the lab flushes what a killed service left, as a kernel does
            lab.daemon("kill")
            lab.daemon("restart")
            cause(lab, tpm)
        else:
            lab.daemon("kill")
            cause(lab, tpm)
            lab.daemon("restart")
        lab.until(lambda: lab.json("tpm")["tpmState"] == error)
        assert len(lab.serves()["certificates"]) == 4
        line = next(line for line in lab.log().splitlines() if f"TPM: {error}" in line)
        assert lab.json("tpm")["tpmInfo"]["reason"] in line
        for n in range(3):
            assert lab.json("show", f"k{n}")["health"] == "valid" and key_test(lab, f"k{n}")[0] == error
            assert keys(lab, f"k{n}") == kept[n]
        assert key_test(lab, "soft") == ("", "")
        lab.add("another", protection="software")
        assert lab.enroll("another").returncode == 0


def test_T13_a_tpm_that_hangs_is_told():
    """A read from a TPM has no end of its own. Long before the service gives up, it says what it waits for."""
    with with_tpm() as (lab, tpm):
        ready(lab, "k", "tpm")
        pid, _ = tpm.process()
        os.kill(pid, signal.SIGSTOP)
        try:
            waits = subprocess.Popen([labs.BUILD / "bin/scepter", "key", "test", "k"], env=lab.env, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
            told = lab.until(lambda: (shown := lab.json("tpm"))["tpmState"] == "TpmFailed" and shown)
            assert "has not answered" in told["tpmInfo"]["reason"] and "90 s" in told["tpmInfo"]["remedy"]
            lab.serves()
        finally:
            os.kill(pid, signal.SIGCONT)
        assert waits.wait(timeout=60) == 0
        waits.communicate()
        assert lab.json("tpm")["tpmState"] == "ready"
