"""Programs of a user with keys that he enrolled himself: what each of two does with his own, the other cannot do with it."""
import contextlib
import json
import os
import pwd
import socket
import subprocess
import threading

import pytest

import labs
import test_programs
from test_applications import KSP
from test_programs import ENGINE, VERSIONS, needs, needs_engine, program, pytestmark as foreign, server

pytestmark = [foreign, pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as two other users")]
ALICE, BOB = "daemon", "bin"  # accounts every Debian has; the bus wants users that exist
NAMES = ["tpm-rsa-2048", "tpm-ec-p256", "software-ec-p384"]


def uid(user):
    return pwd.getpwnam(user).pw_uid


@pytest.fixture(scope="module")
def keys():
    with labs.lab() as lab:
        test_programs.make_server(lab)
        for name in NAMES:
            protection, _, algorithm = name.partition("-")
            lab.add(name, type="user", subject="CN={{UserName}},O=Contoso", san="", protection=protection, algorithm=algorithm)
            for user in (ALICE, BOB):
                challenge = lab.challenge()
                challenge.chmod(0o644)
                done = lab.scepter("enroll", name, "--wait", "--challenge-file", challenge, user=uid(user))
                assert done.returncode == 0, done.stderr
        lab.write("cas.pem", open(lab.root, encoding="ascii").read() + own(lab, ALICE, NAMES[0], "--chain"))
        for user in (ALICE, BOB):
            for name in NAMES:
                lab.write(f"{user}-{name}.pem", own(lab, user, name, "--pem"))
        yield lab


def own(lab, user, name, *options):
    """What 'scepter show' tells the user of his certificate."""
    done = lab.scepter("show", name, *options, user=uid(user))
    assert done.returncode == 0, done.stderr
    return done.stdout


def module(lab):
    return f"{lab.users_environment()['OPENSSL_MODULES']}/scepter-pkcs11.so"


def run(lab, user, *command, **options):
    return program(lab, *command, user=uid(user), env={"PKCS11_MODULE_PATH": module(lab)}, timeout=60, **options)


def uri(owner, name, kind="private"):
    return f"pkcs11:token=Scepter%20uid%20{uid(owner)};object={name};type={kind}"


def shown(lab, owner, name, page):
    """The page has the certificate that the client proved to own."""
    return (lab.files / f"{owner}-{name}.pem").read_text().split("\n")[1] in page


def provider(lab, user, owner, name, port):
    id = next(value for value in json.loads(own(lab, owner, name, "--json"))["uris"] if value.startswith("ksp:id="))
    return run(lab, user, "openssl", "s_client", *KSP, "-connect", f"127.0.0.1:{port}", "-cert", lab.files / f"{owner}-{name}.pem",
               "-key", id, "-CAfile", lab.files / "server.pem", "-quiet", "-verify_return_error", input="GET / HTTP/1.0\r\n\r\n")


def curl(lab, user, owner, name, port):
    return run(lab, user, "curl", "-sS", "--cacert", lab.files / "server.pem", "--engine", "pkcs11", "--key-type", "ENG", "--key",
               uri(owner, name), "--cert", lab.files / f"{owner}-{name}.pem", f"https://localhost:{port}/")


def gnutls(lab, user, owner, name, port):
    return run(lab, user, "gnutls-cli", "--provider", module(lab), "--x509cafile", lab.files / "server.pem", "--x509certfile",
               uri(owner, name, "cert"), "--x509keyfile", uri(owner, name), "-p", port, "localhost", input="GET / HTTP/1.0\r\n\r\n")


CLIENTS = [pytest.param(provider, id="openssl"), pytest.param(curl, id="curl", marks=[needs("curl"), needs_engine]),
           pytest.param(gnutls, id="gnutls-cli", marks=needs("gnutls-cli"))]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("client", CLIENTS)
def test_own_key_for_tls(keys, client, name, version):
    with server(keys, *VERSIONS[version]) as port:
        for user, other in ((ALICE, BOB), (BOB, ALICE)):
            done = client(keys, user, user, name, port)
            assert shown(keys, user, name, done.stdout), done.stdout[-2000:] + done.stderr
            done = client(keys, user, other, name, port)
            assert done.returncode != 0 and "BEGIN CERTIFICATE" not in done.stdout, done.stdout[-2000:]


@needs("p11tool")
@pytest.mark.parametrize("user,other", [(ALICE, BOB), (BOB, ALICE)])
def test_own_token(keys, user, other):
    """It is there for him; the other's is not, nor what is in it."""
    tool = ("p11tool", "--provider", module(keys))
    tokens = run(keys, user, *tool, "--list-token-urls").stdout
    assert f"token=Scepter%20uid%20{uid(user)}\n" in tokens and f"Scepter%20uid%20{uid(other)}" not in tokens
    for owner in (user, other):
        listed = run(keys, user, *tool, "--list-all", f"pkcs11:token=Scepter%20uid%20{uid(owner)}").stdout
        assert [f"object={name};" in listed for name in NAMES] == [owner == user] * len(NAMES), listed
    for name in NAMES:
        done = run(keys, user, *tool, "--test-sign", uri(user, name))
        assert done.returncode == 0 and (done.stdout + done.stderr).count("... ok") == 3, done.stdout + done.stderr
        done = run(keys, user, *tool, "--test-sign", uri(other, name))
        assert done.returncode != 0 and "... ok" not in done.stdout + done.stderr


@contextlib.contextmanager
def ssh_server(folder, lines):
    """OpenSSH's own, one process for each that comes; its port."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host"], check=True)
    (folder / "authorized").write_text("".join(lines))
    (folder / "config").write_text(
        f"HostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n")
    os.makedirs("/run/sshd", exist_ok=True)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    subprocess.run(["/usr/sbin/sshd", "-i", "-f", folder / "config"], stdin=connection, stdout=connection,
                                   stderr=subprocess.DEVNULL, check=False)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@needs("ssh", "sshd")
def test_own_key_for_ssh(keys):
    """Each logs in with his own; the other's public half does not help him."""
    def public(user, name):
        listed = run(keys, user, "ssh-keygen", "-D", module(keys)).stdout
        line, = (line for line in listed.splitlines() if line.endswith(f" {name}"))
        return line + "\n"

    lines = {(user, name): public(user, name) for user in (ALICE, BOB) for name in NAMES}
    for (user, name), line in lines.items():
        keys.write(f"ssh-{user}-{name}.pub", line)
    folder = keys.dir / "ssh"
    folder.mkdir()
    with ssh_server(folder, lines.values()) as port:
        for user in (ALICE, BOB):
            for owner, name in lines:
                done = run(keys, user, "ssh", "-F", "none", "-p", port, "-o", f"PKCS11Provider={module(keys)}", "-o",
                           "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o",
                           f"IdentityFile={keys.files}/ssh-{owner}-{name}.pub", "-o", "BatchMode=yes", "root@127.0.0.1",
                           "echo it is $((40 + 2))")
                assert ("it is 42" in done.stdout) == (owner == user), (user, owner, name, done.stderr)
