"""scepter-pkcs11.so, called by a program that has nothing of ours in it (drive-pkcs11): each answer as PKCS#11 2.40 wants
it, each signature, plaintext and secret checked with OpenSSL, for keys in the TPM and in software, of the device and of
a user."""
import concurrent.futures
import os
import pwd
import shutil
import socket
import subprocess

import pytest

import frames
import labs
from test_ec import switch
from test_renewal import come, renewing

ROOT = os.geteuid() == 0
USER = "daemon"  # an account every Debian has; the bus wants users that exist
KINDS = [(protection, algorithm) for protection in ("tpm", "software")
         for algorithm in ("rsa-2048", "ec-p256", "ec-p384")] + [("tpm", "rsa-3072")]
DEVICE = [f"{protection}-{algorithm}" for protection, algorithm in KINDS]
USERS = [f"user-{protection}-{algorithm}" for protection, algorithm in KINDS[:2] + KINDS[3:5]] if ROOT else []
RSA, EC = [[name for name in DEVICE + USERS if kind in name] for kind in ("rsa", "ec")]


def uid():
    return pwd.getpwnam(USER).pw_uid


def readable(lab):
    """The program and the module, where every user can run them, and the certificates as they are now."""
    folder = lab.files / "drive"
    if not folder.exists():
        folder.mkdir()
        shutil.copy(labs.BUILD / "bin/drive-pkcs11", folder)
        shutil.copy(lab.env["SCEPTER_PKCS11"], folder)
        folder.chmod(0o755)
    return folder


def owner(name):
    return uid() if name.startswith("user-") else None


def token(name):
    return f"Scepter uid {uid()}" if name.startswith("user-") else "Scepter"


def arguments(lab, case, name):
    folder = readable(lab)
    words = [folder / "drive-pkcs11", folder / "scepter-pkcs11.so", case]
    if name:
        certificate = lab.write(f"{name}.pem", (lab.certificate(name) / "current/cert.pem").read_bytes())
        words += [token(name), name, certificate]
    return [str(word) for word in words]


def drive(lab, case, name=None, user=None, env=None):
    """It ends well, and the module has said nothing."""
    done = lab.run(*arguments(lab, case, name), user=user, env={**sane(), **(env or {})})
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def sane():
    return {"ASAN_OPTIONS": "detect_leaks=1"} if labs.sanitized() else {}


@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        for (protection, algorithm), name in zip(KINDS, DEVICE):
            made.add(name, protection=protection, algorithm=algorithm)
            assert made.enroll(name).returncode == 0
        for name in USERS:
            protection, algorithm = name.split("-", 2)[1:]
            made.add(name, type="user", subject="CN={{UserName}}", san="", protection=protection, algorithm=algorithm)
            challenge = made.challenge()
            challenge.chmod(0o644)
            done = made.scepter("enroll", name, "--wait", "--challenge-file", challenge, user=uid())
            assert done.returncode == 0, done.stderr
        yield made


@pytest.mark.parametrize("case", ["uninitialized", "initialize", "slots"])
@pytest.mark.parametrize("user", [None] + [USER] * ROOT)
def test_without_a_key(lab, case, user):
    drive(lab, case, user=user and uid())


@pytest.mark.parametrize("case", ["handles", "sessions", "find", "attributes", "five", "sign", "lengths", "parts", "wrong"])
@pytest.mark.parametrize("name", DEVICE + USERS)
def test_any_key(lab, case, name):
    drive(lab, case, name, owner(name))


@pytest.mark.parametrize("case", ["pss", "decrypt"])
@pytest.mark.parametrize("name", RSA)
def test_rsa(lab, case, name):
    drive(lab, case, name, owner(name))


@pytest.mark.parametrize("name", EC)
def test_derive(lab, name):
    drive(lab, "derive", name, owner(name))


@pytest.mark.parametrize("case", ["threads", "fork"])
@pytest.mark.parametrize("name", [name for name in DEVICE + USERS if name.endswith(("2048", "p256"))])
def test_threads_and_forks(lab, case, name):
    drive(lab, case, name, owner(name))


@pytest.mark.skipif(not ROOT, reason="needs root, to act as another user")
def test_tokens_of_others(lab):
    """Root uses a user's keys by the same token; the user has no device's, nor has another user his."""
    name = USERS[0]
    drive(lab, "sign", name)
    refused = lab.run(*arguments(lab, "sign", DEVICE[0]), user=uid(), env=sane())
    assert refused.returncode == 1 and "d->key && d->public && d->cert" in refused.stderr
    refused = lab.run(*arguments(lab, "sign", name), user=pwd.getpwnam("bin").pw_uid, env=sane())
    assert refused.returncode == 1 and "there is such a token" in refused.stderr


@pytest.mark.skipif(not ROOT, reason="needs root, to act as another user")
@pytest.mark.parametrize("case", ["sign", "attributes", "derive"])
def test_little_locked_memory(lab, case):
    """64 KiB, as in many containers."""
    limit = ["prlimit", f"--memlock={64 * 1024}:{64 * 1024}"]
    done = lab.run(*limit, "setpriv", f"--reuid={uid()}", f"--regid={uid()}", "--clear-groups",
                   *arguments(lab, case, USERS[1]))
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.skipif(not ROOT, reason="needs root, to act as another user")
@pytest.mark.skipif(not labs.locks_memory(), reason="a sanitizer's mlock(2) locks nothing, and succeeds")
def test_no_locked_memory(lab):
    done = lab.run("prlimit", "--memlock=0:0", "setpriv", f"--reuid={uid()}", f"--regid={uid()}", "--clear-groups",
                   *arguments(lab, "unlocked", None), env=sane())
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_nobody_listens(lab):
    drive(lab, "absent", env={"SCEPTER_KEYS": str(lab.dir / "nothing.sock")})
    drive(lab, "absent", env={"SCEPTER_KEYS": "/" + "x" * 200})


def list_and_end(listener):
    """A service that lists one key, and has ended when somebody asks what that is."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as stream:
        while header := stream.read(frames.HEADER.size):
            _, kind, _, number, size = frames.HEADER.unpack(header)
            stream.read(size)
            if kind != frames.LIST:
                listener.close()
                return
            entry = frames.body({frames.LABEL: "there", frames.KEY_ID: bytes(20)})
            connection.sendall(frames.frame(frames.ANSWER, number, {frames.NEXT: 0, frames.ENTRY: entry}))


def test_service_ends_in_a_search(lab):
    path = lab.files / "ending.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(60)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            ended = pool.submit(list_and_end, listener)
            drive(lab, "ending", env={"SCEPTER_KEYS": str(path)})
            ended.result(60)


class Talk:
    """A program that keeps a session and handles, and does what it is told."""

    def __init__(self, lab, name):
        self.process = subprocess.Popen(arguments(lab, "talk", name), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env={**lab.env, **sane()})
        assert self.process.stdout.readline() == "ready\n", self.process.communicate()[1]

    def tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        _, errors = self.process.communicate(timeout=60)
        if not kind:
            assert self.process.returncode == 0 and errors == "", errors


DEVICE_ERROR, KEY_HANDLE_INVALID, OBJECT_HANDLE_INVALID = "0x30", "0x60", "0x82"


@pytest.mark.parametrize("name", [name for name in DEVICE if name.endswith(("2048", "p256"))])
def test_restart_in_a_session(lab, name):
    with Talk(lab, name) as talk:
        assert talk.tell("sign") == "ok"
        lab.daemon("restart")
        assert [talk.tell(word) for word in ("sign", "label", "id", "attribute")] == ["ok", "same", "same", "ok"]
        lab.daemon("restart")
        assert [talk.tell(word) for word in ("label", "sign")] == ["same", "ok"]
        lab.daemon("kill")
        assert [talk.tell(word) for word in ("sign", "label", "id", "sign")] == [DEVICE_ERROR] * 4
        lab.daemon("restart")
        assert [talk.tell(word) for word in ("sign", "label", "id")] == ["ok", "same", "same"]


@pytest.fixture(scope="module")
def renewals():
    with renewing("--no-tpm") as made:
        yield made


@pytest.mark.parametrize("algorithm", ["rsa-2048", "ec-p256"])
def test_renewal_under_open_handles(renewals, algorithm):
    """The handle and the id keep the generation they were found for, as long as there is one; the label moves on."""
    name, lab = f"open-{algorithm}", renewals
    lab.add(name, algorithm=algorithm)
    if algorithm == "ec-p256":
        switch(lab, "ec-reply kari")
    assert lab.enroll(name).returncode == 0
    first = lab.json("show", name)
    with Talk(lab, name) as old:
        assert [old.tell(word) for word in ("sign", "label", "id")] == ["ok", "same", "same"]
        second = come(lab, name, first)
        assert second["thumbprint"] != first["thumbprint"]
        assert [old.tell(word) for word in ("sign", "label", "id", "attribute")] == ["ok", "other", "same", "ok"]
        with Talk(lab, name) as new:
            assert [new.tell(word) for word in ("sign", "label", "id")] == ["ok", "same", "same"]
            assert [old.tell(word) for word in ("sign", "id")] == ["ok", "same"]
            with Talk(lab, name) as untouched:
                assert lab.scepter("remove", name).returncode == 0
                assert untouched.tell("attribute") == OBJECT_HANDLE_INVALID
                assert untouched.tell("sign") == KEY_HANDLE_INVALID
            lab.daemon("restart")  # with which the last open handle ends
            for talk in (old, new):
                assert talk.tell("label") == talk.tell("id") == "none"
                assert talk.tell("sign") == KEY_HANDLE_INVALID


def many(number):
    return f"one-of-many-keys-of-this-device-{number}"


def test_more_keys_than_a_connection_holds(renewals):
    def enroll(number):
        name = many(number)
        renewals.add(name, algorithm="ec-p256")
        challenge = renewals.write(f"{name}.challenge", renewals.tool("challenge"))
        return renewals.scepter("enroll", name, "--wait", "--challenge-file", challenge).returncode

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert set(pool.map(enroll, range(66))) == {0}
    assert int(drive(renewals, "many", many(0))) >= 66
