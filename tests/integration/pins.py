"""User-verified keys of users, and the TPM that counts their wrong PINs."""
import contextlib
import os
import pwd
import signal

import labs
import tpms
from terminal import Typed

RIGHT, WRONG = "4711 right", "4711 wrong"
ALICE, BOB = "daemon", "bin"  # accounts every Debian has


def uid(user):
    return pwd.getpwnam(user).pw_uid


def enroll(lab, name, user, algorithm="ec-p256", protection="user-verified"):
    lab.add(name, protection=protection, type="user", algorithm=algorithm, subject="CN={{UserName}}", san="")
    challenge = lab.challenge()
    done = Typed(lab, "enroll", name, "--wait", "--challenge-file", challenge, user=uid(user),
                 lines=[RIGHT, RIGHT] if protection == "user-verified" else [])
    assert done.status == 0, done.text


def forgiving(lab):
    """The TPM has forgotten all, and would count 30."""
    for words in (("--setup-parameters", "--max-tries=30", "--recovery-time=600", "--lockout-recovery-time=600"),
                  ("--clear-lockout",)):
        done = lab.run("tpm2_dictionarylockout", *words, env={"TPM2TOOLS_TCTI": lab.env["LAB_TCTI"]})
        assert done.returncode == 0, done.stderr


def forgotten(lab, name):
    """No wrong PIN of this key is on record."""
    for path in tries(lab, name):
        path.unlink()
    forgiving(lab)


def tries(lab, name):
    return list(lab.certificate(name).glob("generations/*/pin-tries"))


def counter(lab):
    return int(lab.json("tpm")["tpmInfo"]["lockout-counter"])


@contextlib.contextmanager
def stopped_tpm(lab):
    """It answers nobody meanwhile."""
    pid = tpms.Tpm(lab).process()[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
