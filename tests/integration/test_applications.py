"""Programs of others with ksp.so: the openssl command, TLS client authentication, more processes than the TPM has slots,
a restart of the daemon under a running program."""
import concurrent.futures
import subprocess

import pytest

import doors
import labs


@pytest.fixture(scope="module")
def keys():
    with labs.lab() as lab:
        for protection, algorithm in (("tpm", "rsa-2048"), ("tpm", "ec-p256"), ("software", "rsa-2048"),
                                      ("software", "ec-p256")):
            name = f"{protection}-{algorithm}"
            lab.add(name, protection=protection, algorithm=algorithm)
            assert lab.enroll(name).returncode == 0
        yield lab


NAMES = ["tpm-rsa-2048", "tpm-ec-p256", "software-rsa-2048", "software-ec-p256"]
# The default provider first: libssl offers the groups of the provider whose EC keys it finds first (OpenSSL 3.0), and ksp
# has none of its own.
KSP = ("-provider", "default", "-provider", "ksp")


@pytest.mark.parametrize("name", NAMES)
def test_sign_and_verify(keys, name):
    data = keys.write("data", "to be signed")
    public = keys.write("public.pem", keys.openssl("x509", "-in", keys.certificate(name) / "current/cert.pem", "-noout",
                                                   "-pubkey").stdout)
    variants = [("-sha256",), ("-sha1",), ("-sha512",)]
    if "rsa" in name:
        variants += [("-sha256", "-sigopt", "rsa_padding_mode:pss"),
                     ("-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:max")]
    for variant in variants:
        done = keys.openssl("dgst", *KSP, *variant, "-sign", f"ksp:{name}", "-out", keys.files / "sig", data)
        assert done.returncode == 0, done.stderr
        done = keys.openssl("dgst", *variant, "-verify", public, "-signature", keys.files / "sig", data)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [name for name in NAMES if "rsa" in name])
def test_cms_decrypt(keys, name):
    data = keys.write("secret", "for this key alone")
    cert = keys.certificate(name) / "current/cert.pem"
    for options in ((), ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")):
        done = keys.openssl("cms", "-encrypt", "-aes128", "-binary", "-outform", "DER", "-in", data, "-out",
                            keys.files / "cms", "-recip", cert, *options)
        assert done.returncode == 0, done.stderr
        done = keys.openssl("cms", *KSP, "-decrypt", "-inform", "DER", "-in", keys.files / "cms", "-inkey", f"ksp:{name}")
        assert done.returncode == 0 and done.stdout == "for this key alone", done.stderr


def test_order_of_providers(keys):
    """Signing works in either order."""
    data = keys.write("order", "x")
    for name in NAMES:
        done = keys.openssl("dgst", "-provider", "ksp", "-provider", "default", "-sha256", "-sign", f"ksp:{name}", "-out",
                            keys.files / "order.sig", data)
        assert done.returncode == 0, done.stderr


def test_private_half_stays(keys):
    done = keys.openssl("pkey", *KSP, "-in", "ksp:software-rsa-2048")
    assert "PRIVATE KEY" not in done.stdout
    done = keys.openssl("pkcs12", *KSP, "-export", "-inkey", "ksp:software-rsa-2048", "-in",
                        keys.certificate("software-rsa-2048") / "current/cert.pem", "-passout", "pass:x")
    assert done.returncode != 0


def test_store_has_key_and_certificate(keys):
    done = keys.openssl("storeutl", *KSP, "-noout", "-text", "ksp:tpm-rsa-2048")
    assert "Certificate:" in done.stdout and "Total found: 2" in done.stdout, done.stderr


def test_configuration_of_the_manual(keys):
    """The one of scepter-keys(7), without any option."""
    page = (labs.SOURCE / "packaging/man/scepter-keys.7").read_text()
    text = next(part.partition(".fi")[0] for part in page.split(".nf\n") if "[ksp_provider]" in part)
    configuration = keys.write("openssl.cnf", "\n".join(line.strip() for line in text.splitlines()) + "\n")
    for name in NAMES:
        done = keys.run("openssl", "storeutl", "-noout", "-text", f"ksp:{name}",
                        env={**labs.foreign_environment(), "OPENSSL_CONF": str(configuration)})
        assert "Certificate:" in done.stdout and "Total found: 2" in done.stdout, done.stderr


def test_unknown_key(keys):
    done = keys.openssl("pkey", *KSP, "-in", "ksp:nothing", "-pubout")
    assert done.returncode != 0 and "There is no key 'nothing' for you" in done.stderr
    done = keys.openssl("pkey", *KSP, "-in", "ksp:id=12", "-pubout")
    assert done.returncode != 0 and "hexadecimal" in done.stderr
    done = keys.openssl("storeutl", *KSP, "-noout", "ksp:nothing")
    assert done.returncode != 0 and done.stderr.count("There is no key 'nothing' for you") == 1, done


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
@pytest.mark.parametrize("name", NAMES)
def test_tls_client_authentication(keys, name, version):
    """A server that demands a certificate of the lab's CA; the client's key is used through the key socket."""
    server = keys.files / "server"
    if not server.with_suffix(".pem").exists():
        made = keys.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout",
                        f"{server}.key", "-out", f"{server}.pem")
        assert made.returncode == 0
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", f"{server}.pem", "-key", f"{server}.key", "-CAfile",
         keys.root, "-Verify", "3", "-verify_return_error", "-naccept", "1", "-www", version],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        while "ACCEPT" not in (line := process.stdout.readline()):
            assert line
        port = line.strip().rsplit(":", 1)[1]
        current = keys.certificate(name) / "current"
        done = keys.openssl("s_client", *KSP, "-connect", f"127.0.0.1:{port}", "-cert", current / "cert.pem", "-cert_chain",
                            current / "chain.pem", "-key", f"ksp:{name}", "-CAfile", f"{server}.pem", "-quiet",
                            "-verify_return_error", version, input="GET / HTTP/1.0\r\n\r\n", timeout=30)
        # The page shows the certificate that the client proved to own.
        assert (current / "cert.pem").read_text().split("\n")[1] in done.stdout, done.stderr
    finally:
        process.kill()
        process.wait()


def test_many_processes_at_once(keys):
    data = keys.write("many", "x")

    def sign(number):
        return keys.openssl("dgst", *KSP, "-sha256", "-sign", f"ksp:{NAMES[number % 4]}", "-out",
                            keys.files / f"many-{number}.sig", data).returncode

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(sign, range(32))) == {0}


def test_fifty_handshakes_at_once(keys):
    """Clients of four keys, each with a process and a connection of its own."""
    keys.write("cas.pem", open(keys.root, encoding="ascii").read() + (keys.certificate(NAMES[0]) / "current/chain.pem").read_text())
    door = doors.Door(keys)

    def enter(number):
        name = NAMES[number % len(NAMES)]
        return keys.openssl("s_client", *KSP, "-connect", f"127.0.0.1:{door.port}", "-cert", keys.certificate(name) /
                            "current/cert.pem", "-key", f"ksp:{name}", "-CAfile", keys.files / "door-ca.pem", "-quiet",
                            "-verify_return_error", "-tls1_3" if number % 2 else "-tls1_2", input="GET / HTTP/1.0\r\n\r\n").stdout

    try:
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(enter, range(50)))
    finally:
        door.close()
    assert all("come in" in answer for answer in answers) and len(door.seen) == 50


class Holder:
    """A program that keeps a key open and signs when it is told to."""

    def __init__(self, lab, uri, *pin):
        self.process = subprocess.Popen([labs.BUILD / "bin/hold-key", uri, *pin], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**lab.env, "ASAN_OPTIONS": "detect_leaks=0"})
        assert self.process.stdout.readline() == "ready\n"

    def tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0


@pytest.mark.parametrize("name", NAMES)
def test_program_outlives_the_daemon(keys, name):
    """It signs, forks, loses the daemon, and signs again: keys are opened again by id on a new connection."""
    with Holder(keys, f"ksp:{name}") as holder:
        assert [holder.tell(word) for word in ("sign", "fork", "sign")] == ["ok"] * 3
        keys.daemon("restart")
        assert [holder.tell(word) for word in ("sign", "fork", "sign")] == ["ok"] * 3
        keys.daemon("kill")
        assert "does not answer" in holder.tell("sign")
        keys.daemon("restart")
        assert holder.tell("sign") == "ok"
