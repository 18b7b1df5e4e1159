"""User-verified keys in programs, by PKCS#11 and by OpenSSL: who asks for the PIN, what it is good for, and what a wrong one
does."""
import os
import re
import subprocess
import urllib.parse

import pytest

import labs
import pins
from pins import ALICE, RIGHT, WRONG
from terminal import Program
from test_applications import Holder
from test_pkcs11 import readable, sane
from test_programs import key_id, module, needs, program, server, shown, ssh, ssh_account

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another user")
KEYS = {"pin-ec": "ec-p256", "pin-rsa": "rsa-2048"}
PLAIN, ROOTS = "plain", "roots"
ASKED = re.compile(rb": ?$")


@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        for name, algorithm in KEYS.items():
            pins.enroll(made, name, ALICE, algorithm)
        pins.enroll(made, PLAIN, ALICE, protection="software")
        yield made


@pytest.fixture(autouse=True)
def forgotten(lab):
    for name in KEYS:
        pins.forgotten(lab, name)


def drive(lab, case, name):
    folder = readable(lab)
    certificate = lab.write(f"{name}.pem", (lab.certificate(name) / "current/cert.pem").read_bytes())
    done = lab.run(folder / "drive-pkcs11", folder / "scepter-pkcs11.so", case, f"Scepter uid {pins.uid(ALICE)}", name, certificate,
                   RIGHT, user=pins.uid(ALICE), env=sane())
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.parametrize("case", ["pin", "pin-fork"])
@pytest.mark.parametrize("name", KEYS)
def test_pkcs11(lab, case, name):
    drive(lab, case, name)
    assert not pins.tries(lab, name) and pins.counter(lab) == 0


@pytest.mark.parametrize("name", KEYS)
def test_pkcs11_wrong(lab, name):
    drive(lab, "pin-wrong", name)
    assert pins.counter(lab) == 9


def test_pkcs11_without(lab):
    drive(lab, "pin-none", PLAIN)


def openssl(lab, *words, user=ALICE, **options):
    return lab.run("openssl", *words[:1], "-provider", "default", "-provider", "ksp", *words[1:],
                   user=None if user is None else pins.uid(user), env=labs.foreign_environment(), start_new_session=True,
                   stdin=subprocess.DEVNULL, **options)


def public(lab, name):
    done = lab.openssl("x509", "-in", lab.certificate(name) / "current/cert.pem", "-noout", "-pubkey")
    return lab.write(f"{name}.public.pem", done.stdout)


def room(lab):
    folder = lab.files / "alices"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    return folder


@pytest.mark.parametrize("name", KEYS)
def test_openssl(lab, name):
    """The PIN is the pass phrase of the key, from wherever openssl takes that."""
    data, out = lab.write("data", bytes(32)), room(lab) / "signature"
    pin = lab.write("pin", RIGHT + "\n")
    for source in (f"file:{pin}", f"pass:{RIGHT}"):
        done = openssl(lab, "pkeyutl", "-sign", "-inkey", f"ksp:{name}", "-passin", source, "-in", data, "-out", out)
        assert done.returncode == 0, done.stderr
        done = lab.openssl("pkeyutl", "-verify", "-pubin", "-inkey", public(lab, name), "-in", data, "-sigfile", out)
        assert done.returncode == 0, done.stderr
        done = openssl(lab, "dgst", "-sha256", "-sign", f"ksp:{name}", "-passin", source, "-out", out, data)
        assert done.returncode == 0, done.stderr
        done = lab.openssl("dgst", "-sha256", "-verify", public(lab, name), "-signature", out, data)
        assert done.returncode == 0, done.stderr
    assert not pins.tries(lab, name) and pins.counter(lab) == 0


def test_openssl_decrypts_and_derives(lab):
    secret, out = lab.write("secret", "something to keep"), room(lab) / "out"
    done = lab.openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", public(lab, "pin-rsa"), "-in", secret, "-out", lab.files / "kept")
    assert done.returncode == 0, done.stderr
    lab.files.joinpath("kept").chmod(0o644)
    done = openssl(lab, "pkeyutl", "-decrypt", "-inkey", "ksp:pin-rsa", "-passin", f"pass:{RIGHT}", "-in", lab.files / "kept",
                   "-out", out)
    assert done.returncode == 0 and out.read_text() == "something to keep", done.stderr
    theirs = lab.files / "theirs.pem"
    assert lab.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", theirs).returncode == 0
    peer = lab.write("peer.pem", lab.openssl("pkey", "-in", theirs, "-pubout").stdout)
    done = openssl(lab, "pkeyutl", "-derive", "-inkey", "ksp:pin-ec", "-passin", f"pass:{RIGHT}", "-peerkey", peer, "-out", out)
    assert done.returncode == 0, done.stderr
    other = lab.files / "derived"
    done = lab.openssl("pkeyutl", "-derive", "-inkey", theirs, "-peerkey", public(lab, "pin-ec"), "-out", other)
    assert done.returncode == 0 and other.read_bytes() == out.read_bytes(), done.stderr


REFUSALS = [
    ("wrong", ("-passin", f"pass:{WRONG}"), ("is wrong: 4 tries are left",), 1),
    ("none", (), ("wants its PIN", "-passin"), 0),
    ("short", ("-passin", "pass:123"), ("4 to 32 characters",), 0),
    ("long", ("-passin", f"pass:{'1' * 33}"), ("4 to 32 characters",), 0),
    ("longer", ("-passin", f"pass:{'1' * 200}"), ("4 to 32 characters",), 0),
]


@pytest.mark.parametrize("options, words, counted", [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_openssl_refuses(lab, options, words, counted):
    """Once, and with what to do; the certificate needs none."""
    data = lab.write("data", bytes(32))
    done = openssl(lab, "pkeyutl", "-sign", "-inkey", "ksp:pin-ec", *options, "-in", data, "-out", room(lab) / "none")
    assert done.returncode == 1 and all(word in done.stderr for word in words), done.stderr
    assert pins.counter(lab) == counted and RIGHT not in done.stderr and WRONG not in done.stderr
    done = openssl(lab, "x509", "-in", "ksp:pin-ec", "-noout", "-subject", *options)
    assert done.returncode == 0, done.stderr
    assert pins.counter(lab) == counted


def test_openssl_asks(lab):
    """At a terminal, by openssl's own prompt."""
    data, out = lab.write("data", bytes(32)), lab.files / "asked"
    done = Program(lab, "openssl", "pkeyutl", "-provider", "default", "-provider", "ksp", "-sign", "-inkey", "ksp:pin-ec", "-in",
                   data, "-out", out, lines=[RIGHT], prompt=ASKED, echoes=True, env=labs.foreign_environment())
    assert done.status == 0 and "ksp:pin-ec" in done.text, done.text
    done = lab.openssl("pkeyutl", "-verify", "-pubin", "-inkey", public(lab, "pin-ec"), "-in", data, "-sigfile", out)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", KEYS)
def test_program_keeps_a_key(lab, name):
    """Its PIN is good for all its uses, over a restart of the service, and is not a child's."""
    with Holder(lab, f"ksp:id={key_id(lab, name)}", RIGHT) as holder:
        assert [holder.tell(word) for word in ("sign", "sign")] == ["ok"] * 2
        assert "not the PIN" in holder.tell("fork") and holder.tell("sign") == "ok"
        lab.daemon("restart")
        assert holder.tell("sign") == "ok"
        with pins.stopped_tpm(lab):
            holder.process.stdin.write("sign\n")
            holder.process.stdin.flush()
            lab.until(lambda: pins.tries(lab, name))
            lab.daemon("kill")
        assert "closed the connection" in holder.process.stdout.readline()
        lab.daemon("restart")
        assert holder.tell("sign") == "ok" and not pins.tries(lab, name)
    assert pins.counter(lab) == 0


def test_program_with_nobody_to_ask(lab):
    done = lab.run(labs.BUILD / "bin/hold-key", "ksp:pin-ec", env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert done.returncode == 1 and "wants its PIN" in done.stderr and "pass phrase" in done.stderr
    assert not pins.tries(lab, "pin-ec")


def test_roots_openssl(lab):
    """Root finds it, and counts as its owner does."""
    data = lab.write("data", bytes(32))
    for pin, status in ((WRONG, 1), (RIGHT, 0)):
        done = openssl(lab, "pkeyutl", "-sign", "-inkey", "ksp:pin-ec", "-passin", f"pass:{pin}", "-in", data, "-out",
                       lab.files / "roots", user=None)
        assert done.returncode == status, done.stderr
        assert len(pins.tries(lab, "pin-ec")) == status


programs = pytest.mark.skipif(labs.sanitized(), reason="programs of others do not go well with AddressSanitizer loaded before them")


@pytest.fixture(scope="module")
def roots(lab):
    """Of the account that the programs run as."""
    pins.enroll(lab, ROOTS, "root")
    made = lab.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                   "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", lab.files / "server.key", "-out",
                   lab.files / "server.pem")
    assert made.returncode == 0, made.stderr
    lab.write("cas.pem", open(lab.root, encoding="ascii").read() + (lab.certificate(ROOTS) / "current/chain.pem").read_text())
    yield lab


@pytest.fixture(autouse=True)
def roots_forgotten(request, lab):
    if "roots" in request.fixturenames:
        request.getfixturevalue("roots")
        pins.forgotten(lab, ROOTS)


def uri(kind="private"):
    return f"pkcs11:token=Scepter%20uid%200;object={ROOTS};type={kind}"


@needs("pkcs11-tool")
@programs
@pytest.mark.parametrize("options", [(), ("--login",)])
def test_pkcs11_tool_with_a_pin(roots, options):
    data = roots.write("data", "to be signed")

    def sign(pin):
        return program(roots, "pkcs11-tool", "--module", module(roots), "--token-label", "Scepter uid 0", "--sign", "--mechanism",
                       "ECDSA-SHA256", "--id", key_id(roots, ROOTS), "--input-file", data, "--output-file", roots.files / "signature",
                       "--signature-format", "openssl", *options, "--pin", pin)

    done = sign(WRONG)
    assert done.returncode == 1 and "CKR_PIN_INCORRECT" in done.stderr and pins.counter(roots) == 1
    done = sign(RIGHT)
    assert done.returncode == 0, done.stderr
    verified = roots.openssl("dgst", "-sha256", "-verify", public(roots, ROOTS), "-signature", roots.files / "signature", data)
    assert verified.returncode == 0


@needs("p11tool", "gnutls-cli")
@programs
def test_gnutls_with_a_pin(roots):
    """It gives the PIN as the token's, in the middle of an operation."""
    done = program(roots, "p11tool", "--provider", module(roots), "--set-pin", WRONG, "--test-sign", uri())
    assert done.returncode == 1 and "Wrong PIN" in done.stdout + done.stderr and pins.counter(roots) == 1
    done = program(roots, "p11tool", "--provider", module(roots), "--set-pin", RIGHT, "--test-sign", uri())
    assert done.returncode == 0 and (done.stdout + done.stderr).count("... ok") == 3, done.stdout + done.stderr
    done = Program(roots, "p11tool", "--provider", module(roots), "--test-sign", uri(), lines=[RIGHT], prompt=ASKED)
    assert done.status == 0 and done.text.count("ok\r\n") == 3, done.text
    with server(roots, "-tls1_3") as port:
        done = program(roots, "gnutls-cli", "--provider", module(roots), "--x509cafile", roots.files / "server.pem", "--x509certfile",
                       uri("cert"), "--x509keyfile", f"{uri()}?pin-value={urllib.parse.quote(RIGHT)}", "-p", port, "localhost",
                       input="GET / HTTP/1.0\r\n\r\n", timeout=60)
    assert shown(roots, ROOTS, done.stdout), done.stdout[-2000:] + done.stderr


@needs("certutil", "modutil", "tstclnt")
@programs
def test_nss_with_a_pin(roots):
    db = roots.files / "nss"
    db.mkdir()
    database = f"sql:{db}"
    for command in (("certutil", "-N", "-d", database, "--empty-password"),
                    ("modutil", "-dbdir", database, "-add", "Scepter", "-libfile", module(roots), "-force"),
                    ("certutil", "-A", "-d", database, "-n", "server", "-t", "CP,,", "-i", roots.files / "server.pem")):
        done = program(roots, *command)
        assert done.returncode == 0, done.stderr
    request = roots.write("request", "GET / HTTP/1.0\r\n\r\n")
    for pin, counted in ((WRONG, 1), (RIGHT, 1)):
        with server(roots, "-tls1_2") as port:
            done = program(roots, "tstclnt", "-h", "localhost", "-p", port, "-d", database, "-n", f"Scepter uid 0:{ROOTS}", "-w", pin,
                           "-V", "tls1.2:tls1.2", "-4", "-A", request, stdin=subprocess.DEVNULL, timeout=60)
        assert shown(roots, ROOTS, done.stdout) == (pin == RIGHT), done.stdout[-1000:] + done.stderr
        assert pins.counter(roots) == counted


@needs("ssh", "sshd")
@programs
def test_ssh_with_a_pin(roots):
    """It asks, as for the PIN of a token, and takes a wrong one for an answer."""
    def ask(pin):
        asking = roots.write("ask", f"#!/bin/sh\necho '{pin}'\n", 0o755)
        return ssh(roots, folder, "-o", "NumberOfPasswordPrompts=1",
                   env={"SSH_ASKPASS": str(asking), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"})

    folder = ssh_account(roots, ROOTS)
    assert "it is 42" not in ask(WRONG).stdout and pins.counter(roots) >= 1
    done = ask(RIGHT)
    assert "it is 42" in done.stdout, done.stderr
