"""No TPM under each setting, a TPM that is killed in mid-command, and a key that others can read."""
import json
import os
import signal
import subprocess

import pytest

import labs


@pytest.fixture(scope="module")
def bare():
    with labs.lab("--no-tpm") as made:
        yield made


ABSENT = [
    ("tpm", "TpmAbsent", 5),
    ("tpm-preferred", None, 0),
    ("software", None, 0),
]


@pytest.mark.parametrize("protection,error,status", ABSENT, ids=[row[0] for row in ABSENT])
def test_no_tpm(bare, protection, error, status):
    bare.add(protection, protection=protection)
    done = bare.enroll(protection, "--json")
    assert done.returncode == status, done.stdout
    shown = bare.json("show", protection)
    if error:
        told = json.loads(done.stdout)["error"]
        assert told["name"] == error and "tpm-preferred" in told["remedy"]
        assert shown["lastError"]["name"] == error
        assert not list(bare.certificate(protection).glob("generations/*/key.pem"))
    else:
        assert shown["keyProtection"] == "software"
    if protection == "tpm-preferred":
        assert "no TPM" in shown["keyProtectionReason"]


def test_cli_tells_that_there_is_none(bare):
    told = bare.json("tpm")
    assert told["tpmState"] == "absent" and told["tpmInfo"]["error"] == "TpmAbsent" and told["tpmInfo"]["remedy"]


def tpm_process(lab):
    """Pid and command line of the lab's swtpm."""
    for entry in os.listdir("/proc"):
        try:
            command = open(f"/proc/{entry}/cmdline", "rb").read().decode(errors="replace").split("\0")[:-1]
        except OSError:
            continue
        if command and command[0].endswith("swtpm") and any(str(lab.dir) in word for word in command):
            return int(entry), command
    raise AssertionError("the lab has no swtpm")


def test_killed_tpm_is_a_fault_not_an_absence():
    with labs.lab() as lab:
        lab.add("before", protection="tpm")
        assert lab.enroll("before").returncode == 0
        pid, command = tpm_process(lab)
        os.kill(pid, signal.SIGKILL)
        for protection in ("tpm", "tpm-preferred"):
            lab.add(f"after-{protection}", protection=protection)
            done = lab.enroll(f"after-{protection}", "--json")
            assert done.returncode == 5, done.stdout
            assert json.loads(done.stdout)["error"]["name"] == "TpmFailed"
        done = lab.scepter("key", "test", "before", "--json")
        assert done.returncode == 5 and json.loads(done.stdout)["error"]["name"] == "TpmFailed"
        assert lab.json("tpm")["tpmState"] == "TpmFailed"
        # Software keys do not care, and nothing crashed.
        lab.add("soft")
        assert lab.enroll("soft").returncode == 0
        # The TPM comes back: the key works again without a restart of the daemon.
        again = lab.run(*command)
        assert again.returncode == 0, again.stderr
        try:
            done = lab.scepter("key", "test", "before")
            assert done.returncode == 0, done.stderr
            assert lab.json("tpm")["tpmState"] == "ready"
        finally:
            os.kill(tpm_process(lab)[0], signal.SIGKILL)


def test_tpm_killed_in_mid_command():
    """RSA-3072 takes a second to make: the TPM goes away while it does."""
    with labs.lab() as lab:
        lab.add("slow", protection="tpm-preferred", algorithm="rsa-3072")
        pid, command = tpm_process(lab)
        process = subprocess.Popen([labs.BUILD / "bin/scepter", "enroll", "slow", "--wait", "--json", "--challenge-file",
                                    lab.challenge()], env=lab.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while lab.scepter("show", "slow", "--json").stdout.find('"progress":"key"') < 0 and process.poll() is None:
            pass
        os.kill(pid, signal.SIGKILL)
        output, errors = process.communicate(timeout=60)
        if process.returncode == 0:
            pytest.skip("the key was made before the TPM could be killed")
        assert process.returncode == 5, (output, errors)
        assert json.loads(output)["error"]["name"] == "TpmFailed"
        assert not list(lab.certificate("slow").glob("generations/*/key.pem*"))
        lab.serves()
        assert lab.run(*command).returncode == 0
        try:
            assert lab.enroll("slow").returncode == 0
            assert lab.json("show", "slow")["keyProtection"] == "tpm"
        finally:
            os.kill(tpm_process(lab)[0], signal.SIGKILL)


def test_hanging_tpm_does_not_hang_the_service():
    with labs.lab() as lab:
        lab.add("k", protection="tpm")
        assert lab.enroll("k").returncode == 0
        pid, _ = tpm_process(lab)
        os.kill(pid, signal.SIGSTOP)
        try:
            lab.add("soft")
            assert lab.enroll("soft").returncode == 0
            lab.serves()
        finally:
            os.kill(pid, signal.SIGCONT)
        assert lab.scepter("key", "test", "k").returncode == 0


@pytest.mark.parametrize("algorithm", ["rsa-2048", "ec-p256"])
def test_tpm2_openssl_reads_the_key_file(algorithm):
    """The key outlives the product: the peer's provider loads it and signs with it (interop)."""
    with labs.lab() as lab:
        del lab.env["OPENSSL_MODULES"]
        env = {"TPM2OPENSSL_TCTI": lab.env["LAB_TCTI"]}
        if lab.run("openssl", "list", "-provider", "tpm2", "-providers", env=env).returncode:
            pytest.skip("the provider tpm2-openssl is not installed")
        lab.add("outlives", protection="tpm", algorithm=algorithm)
        assert lab.enroll("outlives").returncode == 0
        current = lab.certificate("outlives") / "current"
        data = lab.write("data", "to be signed")
        public = lab.run("openssl", "pkey", "-provider", "tpm2", "-provider", "default", "-in", current / "key.pem",
                         "-pubout", env=env)
        assert public.returncode == 0, public.stderr
        assert public.stdout == lab.run("openssl", "x509", "-in", current / "cert.pem", "-noout", "-pubkey").stdout
        signed = lab.run("openssl", "dgst", "-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2",
                         "-sha256", "-sign", current / "key.pem", "-out", lab.files / "sig", data, env=env)
        assert signed.returncode == 0, signed.stderr
        key = lab.write("public.pem", public.stdout)
        verified = lab.run("openssl", "dgst", "-sha256", "-verify", key, "-signature", lab.files / "sig", data)
        assert verified.returncode == 0, verified.stderr
