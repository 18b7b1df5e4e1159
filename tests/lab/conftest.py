"""What the lab's own tests share: a responder of one's own, and the peers that talk to it."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from parts import commands, layout as lay, process, services  # noqa: E402

LAB = os.path.join(HERE, "lab")
CAPTURED = os.path.join(os.path.dirname(HERE), "data", "scep", "captured")


def run(*command, check=True, **more):
    """Output and errors as text."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, errors="replace", timeout=120, check=False, **more)
    assert not check or result.returncode == 0, f"{command}: {result.returncode}\n{result.stdout}"
    return result


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed; tests/setup --test installs it")


def fetch(url, data=None, headers=None):
    """Status, headers and body, whatever the status."""
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


class Responder:
    """One responder in a folder of its own."""

    def __init__(self, folder, authorities):
        self.layout = lay.Layout(folder)
        for path in (self.layout.log, self.layout.pids):
            lay.folder(path, 0o755)
        shutil.copytree(authorities, os.path.join(self.layout.ndes, "ca"))
        self.records = process.Records(self.layout)
        self.start()

    def start(self):
        services.start_responder(self.layout, self.records)
        with open(os.path.join(self.layout.ndes, "url"), encoding="ascii") as file:
            self.url = file.read().strip()
        with open(os.path.join(self.layout.ndes, "tls-url"), encoding="ascii") as file:
            self.tls_url = file.read().strip()
        self.tls_ca = os.path.join(self.layout.ndes, "tls-ca.pem")
        self.root = os.path.join(self.layout.ndes, "root.pem")

    def call(self, op, **more):
        return commands.call(self.layout, op=op, **more)

    def set(self, **switches):
        for name, value in switches.items():
            self.call("set", name=name.replace("_", "-"), value=value)

    def challenge(self, **more):
        return self.call("challenge", **more)

    def issued(self, transaction=None):
        return self.call("issued", **({"transaction": transaction} if transaction else {}))

    def events(self, *wanted):
        with open(os.path.join(self.layout.ndes, "events.jsonl"), encoding="utf-8") as file:
            events = [json.loads(line) for line in file]
        return [event for event in events if not wanted or event["event"] in wanted]

    def get(self, operation, more=""):
        return fetch(f"{self.url}?operation={operation}{more}")

    def post(self, body):
        return fetch(self.url + "?operation=PKIOperation", body, {"Content-Type": "application/x-pki-message"})

    def recorded(self, name, number=-1):
        folder = os.path.join(self.layout.ndes, "record")
        names = sorted(one for one in os.listdir(folder) if one.endswith(f".{name}.der"))
        return os.path.join(folder, names[number])

    def stop(self):
        self.records.stop("ndes")


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="scepter-lab-", dir="/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def authorities():
    """The CA's keys, made once; every responder gets a copy."""
    from ndes import pki
    path = tempfile.mkdtemp(prefix="scepter-lab-ca-", dir="/tmp")
    pki.Pki(path, "Lab")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def responder(folder, authorities):
    server = Responder(os.path.join(folder, "r"), authorities)
    yield server
    server.stop()


class StrongSwan:
    """pki --scep: DER, AES-128, SHA-256, UTF8String challenge, types 17 and 20."""

    def __init__(self, responder, folder):
        need("pki")
        need("openssl")
        self.responder, self.folder, self.count = responder, folder, 0
        # 5.9.8 takes AES only where SHA-384 is listed, and wants to see the root.
        responder.set(caps="modern-sha384", reply_shape="rfc", root_included="on", challenge_encoding="any")
        self.get_ca()

    def path(self, name):
        return os.path.join(self.folder, name)

    def get_ca(self):
        for name in os.listdir(self.folder):
            if name.startswith(("ca", "ra")) and name.endswith(".pem"):
                os.unlink(self.path(name))
        result = run("pki", "--scepca", "--url", self.responder.url, "--caout", self.path("ca.pem"), "--raout",
                     self.path("ra.pem"), "--outform", "pem", "--force", check=False)
        if "no capable fetcher" in result.stdout:
            pytest.skip("pki has no fetcher; libstrongswan-extra-plugins has it")
        assert result.returncode == 0, result.stdout
        self.cas, self.sign, self.encrypt = [], None, None
        for name in sorted(os.listdir(self.folder)):
            usage = run("openssl", "x509", "-in", self.path(name), "-noout", "-ext", "keyUsage", check=False).stdout
            if name.startswith("ca"):
                self.cas.append(self.path(name))
            elif name.startswith("ra"):
                self.sign = self.path(name) if "Digital Signature" in usage else self.sign
                self.encrypt = self.path(name) if "Key Encipherment" in usage else self.encrypt

    def key(self):
        self.count += 1
        path = self.path(f"k{self.count}.key")
        run("openssl", "genpkey", "-algorithm", "RSA", "-out", path + ".p8")
        run("openssl", "rsa", "-in", path + ".p8", "-out", path, "-traditional")
        return path

    def enroll(self, challenge=None, key=None, subject="C=US, O=peer, CN=ss1", more=(), check=True):
        """Path of the certificate, path of the key, output."""
        key = key or self.key()
        command = ["pki", "--scep", "--url", self.responder.url, "--in", key, "--dn", subject, "--san",
                   "ss1.example.com", "--cacert-enc", self.encrypt, "--cacert-sig", self.sign, "--outform", "pem",
                   *more]
        for authority in self.cas:
            command += ["--cacert", authority]
        if challenge:
            command += ["--password", challenge]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=120, check=False)
        errors = result.stderr.decode(errors="replace")
        assert not check or result.returncode == 0, errors
        path = self.path(f"c{self.count}.crt")
        with open(path, "wb") as file:
            file.write(result.stdout)
        return (path if result.returncode == 0 else None), key, errors


@pytest.fixture
def strongswan(responder, folder):
    path = os.path.join(folder, "strongswan")
    os.mkdir(path)
    return StrongSwan(responder, path)


def certificate_text(path):
    return run("openssl", "x509", "-in", path, "-noout", "-text", "-nameopt", "oneline").stdout


def chains(responder, path):
    """Whether the certificate verifies up to the lab's root."""
    _, _, body = responder.get("GetCACert")
    bundle = path + ".bundle"
    result = subprocess.run(["openssl", "pkcs7", "-inform", "der", "-print_certs", "-out", bundle], input=body,
                            check=False, timeout=60)
    assert result.returncode == 0
    return run("openssl", "verify", "-CAfile", responder.root, "-untrusted", bundle, path, check=False).returncode == 0
