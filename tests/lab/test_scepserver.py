"""Our client at Debian's scepserver (micromdm), a CA that nobody here wrote: it says AES and SHA-256, and answers in single
DES with SHA-1. It listens on every address, so it and the lab get a network of their own, loopback alone."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest
from conftest import LAB, certificate_text, need, run

BUILD = os.environ.get("LAB_BUILD", "")
PORT, CHALLENGE = "28080", "secret"
ANCHOR = """import fcntl, socket, struct, sys
with socket.socket() as channel:
    fcntl.ioctl(channel, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS: up
print("ready", flush=True)
sys.stdin.read()
"""
PROFILE = """[Profile]
Name={name}
Type=device
[Server]
Url=http://127.0.0.1:{port}/scep
RootCertificate={root}
Challenge=ask
{server}
[Key]
Protection={protection}
Algorithm={algorithm}
[Subject]
Name=CN={name},O=Peer
KeyUsage=digitalSignature
ExtendedKeyUsage=1.3.6.1.5.5.7.3.2
[Renewal]
RetryDelay=1
RetryCount=1
"""


class Room:
    """A lab and a scepserver in one network."""

    def __init__(self, folder):
        self.folder, self.lab, self.server = folder, os.path.join(folder, "lab"), None
        os.chmod(folder, 0o711)  # the daemon has to get through
        self.anchor = subprocess.Popen(["unshare", "--net", sys.executable, "-c", ANCHOR], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)

    def inside(self, *command):
        return ["nsenter", f"--net=/proc/{self.anchor.pid}/ns/net", *command]

    def start(self):
        if self.anchor.stdout.readline().strip() != "ready":
            pytest.skip("a network of one's own cannot be had here")
        depot = os.path.join(self.folder, "depot")
        run("scepserver", "ca", "-init", "-depot", depot, "-organization", "Peer CA", "-country", "US", "-keySize", "2048")
        self.root = os.path.join(depot, "ca.pem")
        shutil.copy(self.root, os.path.join(self.folder, "root.pem"))
        self.log = open(os.path.join(self.folder, "scepserver.log"), "w+", encoding="utf-8")
        self.server = subprocess.Popen(
            self.inside("scepserver", "-depot", depot, "-port", PORT, "-challenge", CHALLENGE, "-allowrenew", "0"),
            stdout=self.log, stderr=self.log, cwd=self.folder)
        run(*self.inside(LAB, "up", self.lab, "--build", BUILD))
        text = run("/bin/sh", "-c", f". {self.lab}/env; env -0").stdout
        self.env = dict(item.split("=", 1) for item in text.split("\0") if "=" in item)
        run(*self.inside("curl", "-sS", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "-o", "/dev/null",
                         f"http://127.0.0.1:{PORT}/scep?operation=GetCACaps"))

    def stop(self):
        run(LAB, "down", self.lab)
        for process in (self.server, self.anchor):
            if process:
                process.terminate()
                process.wait()
        self.anchor.stdin.close()
        self.anchor.stdout.close()
        if self.server:
            self.log.close()

    def scepter(self, *arguments):
        return run(os.path.join(BUILD, "bin", "scepter"), *arguments, check=False, env={**os.environ, **self.env})

    def enroll(self, name, server="", challenge=CHALLENGE, protection="software", algorithm="rsa-2048"):
        profile, secret = (os.path.join(self.folder, f"{name}.{end}") for end in ("profile", "challenge"))
        with open(profile, "w", encoding="utf-8") as file:
            file.write(PROFILE.format(name=name, port=PORT, root=os.path.join(self.folder, "root.pem"), server=server,
                                      protection=protection, algorithm=algorithm))
        with open(secret, "w", encoding="utf-8") as file:
            file.write(challenge + "\n")
        added = self.scepter("profile", "add", profile)
        assert added.returncode == 0, added.stdout
        return self.scepter("enroll", name, "--wait", "--challenge-file", secret, "--json")

    def certificate(self, name):
        """Where the one in force lies."""
        root = os.path.join(self.env["LAB_STATE"], "certificates")
        for one in os.listdir(root):
            with open(os.path.join(root, one, "record.json"), encoding="utf-8") as file:
                if json.load(file)["name"] == name:
                    return os.path.join(root, one, "current", "cert.pem")
        raise AssertionError(f"there is no certificate {name}")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    for program in ("scepserver", "unshare", "nsenter", "curl", "swtpm"):
        need(program)
    if os.getuid() != 0:
        pytest.skip("a network of one's own needs root")
    if not os.path.exists(os.path.join(BUILD, "bin", "scepter")):
        pytest.skip("LAB_BUILD names no build directory with scepter")
    folder = tempfile.mkdtemp(prefix="scepter-peer-", dir="/tmp")
    made = Room(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_single_des_is_refused_by_name(room):
    done = room.enroll("strict")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 6 and error["name"] == "ServerAlgorithm", error
    assert "DES" in error["message"] and "AllowLegacy" in error["message"] + error["remedy"], error


def test_single_des_is_read_where_it_is_allowed(room):
    done = room.enroll("lenient", "AllowLegacy=des")
    assert done.returncode == 0, done.stdout
    certificate = room.certificate("lenient")
    text = certificate_text(certificate)
    assert "CN = lenient" in text and "O = Peer CA" in text
    assert run("openssl", "verify", "-CAfile", room.root, certificate).stdout.endswith("OK\n")
    notes = json.loads(room.scepter("show", "lenient", "--json").stdout)["deviations"]
    assert any("DES" in note for note in notes) and any("SHA-1" in note for note in notes), notes


def test_renewal_wants_a_challenge(room):
    """It lists Renewal and looks at no signature: every request needs the challenge. With one the renewal goes on."""
    assert room.enroll("again", "AllowLegacy=des").returncode == 0
    before = certificate_text(room.certificate("again"))
    done = room.scepter("renew", "again", "--wait", "--json")
    assert done.returncode == 6 and json.loads(done.stdout)["error"]["name"] == "ChallengeNeeded", done.stdout
    assert certificate_text(room.certificate("again")) == before
    done = room.scepter("enroll", "again", "--wait", "--challenge-file", os.path.join(room.folder, "again.challenge"), "--json")
    assert done.returncode == 0, done.stdout
    after = certificate_text(room.certificate("again"))
    assert after != before and "CN = again" in after
    assert run("openssl", "verify", "-CAfile", room.root, room.certificate("again")).stdout.endswith("OK\n")


def test_with_a_key_in_the_tpm(room):
    done = room.enroll("in-tpm", "AllowLegacy=des", protection="tpm")
    assert done.returncode == 0, done.stdout


def test_wrong_challenge(room):
    done = room.enroll("stranger", "AllowLegacy=des", challenge="wrong")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 6 and error["name"] == "ServerRefused" and "badRequest" in error["message"], error


def test_ec_keys_are_refused_by_it(room):
    done = room.enroll("curve", "AllowLegacy=des", algorithm="ec-p256")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 6 and error["name"] == "ServerRefused", error
