"""A gateway before the server: TLS client authentication, whom TLS believes, and where a request never goes."""
import json
import os
import pwd
import stat
import urllib.parse

import pytest

import labs
from gateway import Authority, Gateway, openssl

ALICE = "daemon"


@pytest.fixture(scope="module")
def lab():
    with labs.lab("--", "--clock-scale", "60") as made:  # a poll after a second instead of a minute
        yield made


@pytest.fixture(scope="module")
def pki(lab):
    folder = lab.dir / "pki"
    folder.mkdir(mode=0o755)
    return Authority(folder, "gateway-ca")


@pytest.fixture(scope="module")
def gateway(lab, pki):
    made = Gateway(lab.dir / "gateway", behind(lab), pki, clients=pki.cert)
    yield made
    made.close()


@pytest.fixture
def another(lab, pki):
    """Further gateways; gone with the test."""
    made = []

    def make(**options):
        made.append(Gateway(lab.dir / f"gateway-{len(list(lab.dir.iterdir()))}", behind(lab), pki, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


def behind(lab):
    return "http://" + urllib.parse.urlsplit(lab.url).netloc


def server(pki, client=None, bundle=None):
    lines = [f"CaBundle={bundle or pki.cert}"]
    return "\n".join(lines + ([f"ClientCertificate={client}"] if client else []))


def bundle_of(lab, name, *parts):
    return lab.write(name, "".join(part.read_text() for part in parts), 0o600)


def error(done, name, status, *says):
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    told = json.loads(done.stdout)["error"]
    assert told["name"] == name, told
    for word in says:
        assert word in told["message"] + told["remedy"], (word, told)
    return told


def profiles(lab):
    return {path.name for path in lab.state.glob("profiles/*")}


def body(path):
    """The base 64 of a PEM private key, line for line."""
    lines = path.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("-")]


def nowhere(lab, key):
    """No file of the service or its log holds the private key in the clear."""
    lines = body(key)[1:-1]
    assert lines
    for path in [*lab.state.rglob("*"), *(lab.dir / "lab/log").rglob("*")]:
        if path.is_file():
            content = path.read_bytes()
            assert not any(line.encode() in content for line in lines), path
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077 or "PRIVATE" not in content.decode(errors="replace"), path


@pytest.mark.parametrize("algorithm", ["rsa", "ec"])
def test_software_key(lab, pki, gateway, algorithm):
    name = f"client-{algorithm}"
    cert, key = pki.issue(name, algorithm, subject=f"/O=Contoso/CN={name}")
    before, seen = profiles(lab), len(gateway.requests())
    lab.add(name, url=gateway.url, server=server(pki, bundle_of(lab, f"{name}.pem", cert, key)))
    (home,) = profiles(lab) - before
    home = lab.state / "profiles" / home
    stored = (home / "client-key.pem").read_text()
    assert stored.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert stat.S_IMODE((home / "client-key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "client-cert.pem").stat().st_mode) == 0o600
    assert "PRIVATE" not in (home / "client-cert.pem").read_text()
    done = lab.enroll(name)
    assert done.returncode == 0, done.stderr
    requests = gateway.requests()[seen:]
    # All of them, by TLS 1.3, as whom the certificate says.
    assert requests and all(line.startswith(f'TLSv1.3 "CN={name},O=Contoso" 200 ') for line in requests), requests
    assert any("PKIOperation" in line for line in requests)
    shown = lab.json("profile", "show", name)
    assert f"CN={name}" in shown["clientCertificate"] and "O=Contoso" in shown["clientCertificate"]
    assert "PRIVATE" not in json.dumps(shown) and str(key) not in json.dumps(shown)
    assert f"CN={name}" in lab.scepter("profile", "show", name).stdout
    nowhere(lab, key)
    assert lab.scepter("profile", "remove", name).returncode == 0
    assert not home.exists()


def test_key_in_the_tpm(lab, pki, another):
    """A certificate of the lab's own, whose key never leaves its TPM."""
    lab.add("tpm-client", protection="tpm", algorithm="ec-p256", subject="CN=tpm client,O=Contoso")
    assert lab.enroll("tpm-client").returncode == 0
    home = lab.certificate("tpm-client") / "current"
    assert "BEGIN TSS2 PRIVATE KEY" in (home / "key.pem").read_text()
    gateway = another(clients=lab.root)
    file = bundle_of(lab, "tpm.pem", home / "cert.pem", home / "chain.pem", home / "key.pem")
    before = profiles(lab)
    lab.add("by-tpm", url=gateway.url, server=server(pki, file))
    (stored,) = profiles(lab) - before
    assert "TSS2 PRIVATE KEY" in (lab.state / "profiles" / stored / "client-key.pem").read_text()
    done = lab.enroll("by-tpm")
    assert done.returncode == 0, done.stderr
    assert all("tpm client" in line for line in gateway.requests())


def test_not_let_in(lab, pki, gateway):
    lab.add("nobody", url=gateway.url, server=server(pki))
    error(lab.enroll("nobody", "--json"), "HttpError", 6, "asked for a client certificate", "ClientCertificate=")
    strangers = Authority(pki.folder, "strangers")
    cert, key = strangers.issue("stranger")
    lab.add("stranger", url=gateway.url, server=server(pki, bundle_of(lab, "stranger.pem", cert, key)))
    told = error(lab.enroll("stranger", "--json"), "HttpError", 6, "400", "client certificate", "issuer")
    assert "stranger" in lab.json("profile", "show", "stranger")["clientCertificate"], told


def test_older_tls(lab, pki, another):
    gateway = another(clients=pki.cert, protocols="TLSv1.2")
    cert, key = pki.issue("modern")
    lab.add("modern", url=gateway.url, server=server(pki, bundle_of(lab, "modern.pem", cert, key)))
    error(lab.enroll("modern", "--json"), "TlsError", 7, "no TLS 1.3", "Enable TLS 1.3")
    assert not gateway.requests()
    # Without a client certificate TLS 1.2 will do.
    gateway = another(protocols="TLSv1.2")
    lab.add("plain", url=gateway.url, server=server(pki))
    assert lab.enroll("plain").returncode == 0


def test_server_that_is_not_believed(lab, pki, another):
    others = Authority(pki.folder, "others")
    gateway = another()
    lab.add("wrong-bundle", url=gateway.url, server=server(pki, bundle=others.cert))
    error(lab.enroll("wrong-bundle", "--json"), "TlsError", 7, "issuer", "CaBundle=")
    lab.add("no-bundle", url=gateway.url)
    error(lab.enroll("no-bundle", "--json"), "TlsError", 7, "issuer", "CaBundle=")
    lab.add("another-name", url=gateway.url.replace("localhost", "127.0.0.2"), server=server(pki))
    assert lab.enroll("another-name", "--json").returncode == 7
    expired = another(server=pki.issue("expired", san="DNS:localhost", expired=True))
    lab.add("expired", url=expired.url, server=server(pki))
    error(lab.enroll("expired", "--json"), "TlsError", 7, "expired", "CaBundle=")
    assert not gateway.requests() and not expired.requests()


def test_redirects(lab, pki, another):
    """From https to http, and with a client certificate to another server: not followed, and nobody is shown it."""
    elsewhere = another(clients=pki.cert)
    cert, key = pki.issue("redirected")
    file = bundle_of(lab, "redirected.pem", cert, key)
    down = another(clients=pki.cert, more=f"rewrite ^ {lab.url} redirect;")
    lab.add("down", url=down.url, server=server(pki, file))
    error(lab.enroll("down", "--json"), "HttpError", 6, "redirects", "https to http")
    away = another(clients=pki.cert, more=f"rewrite ^ {elsewhere.url} redirect;")
    lab.add("away", url=away.url, server=server(pki, file))
    error(lab.enroll("away", "--json"), "HttpError", 6, "not shown the client certificate", "Url=")
    assert not elsewhere.requests()


def test_four_signatures(lab, pki, another):
    """A job has four, one for a connection: the fifth is refused by name, and the sentence says what helps."""
    closing = another(clients=pki.cert, more="keepalive_timeout 0; location /gone { return 404; }")
    gone = closing.url.replace("/certsrv", "/gone")
    cert, key = pki.issue("busy")
    lab.add("busy", url=f"{gone}\nUrl={closing.url}", server=server(pki, bundle_of(lab, "busy.pem", cert, key)))
    told = error(lab.enroll("busy", "--json"), "KeyDenied", 4, "4 TLS signatures", "keep-alive")
    assert "client certificate" in told["message"] and len(closing.requests()) == 4
    # One that keeps its connections needs one signature for all of it.
    keeping = another(clients=pki.cert, more="location /gone { return 404; }")
    lab.add("calm", url=f"{keeping.url.replace('/certsrv', '/gone')}\nUrl={keeping.url}",
            server=server(pki, bundle_of(lab, "busy.pem", cert, key)))
    done = lab.enroll("calm")
    assert done.returncode == 0, done.stderr


def test_second_server(lab, pki, gateway):
    """The first URL is not there: the second one is shown the certificate as well."""
    cert, key = pki.issue("second")
    nothing = "https://localhost:1/certsrv/mscep/mscep.dll"
    lab.add("second", url=f"{nothing}\nUrl={gateway.url}", server=server(pki, bundle_of(lab, "second.pem", cert, key)))
    done = lab.enroll("second")
    assert done.returncode == 0, done.stderr
    assert lab.json("show", "second")["respondentServerUrl"] == gateway.url


def test_pending_across_a_restart(lab, ndes, pki, gateway):
    ndes("set", "pending", "1")
    cert, key = pki.issue("patient")
    lab.add("patient", url=gateway.url, server=server(pki, bundle_of(lab, "patient.pem", cert, key)))
    lab.enroll("patient")
    lab.wait_for("patient", "pending")
    seen = len(gateway.requests())
    lab.daemon("restart")
    ndes("reset")
    lab.wait_for("patient", "idle")
    assert len(gateway.requests()) > seen and all("CN=patient" in line for line in gateway.requests()[seen:])


def refused(lab, name, file, *says, error_name="InvalidArgument", status=2, url="https://localhost:1/x"):
    before = profiles(lab)
    text = lab.profile_text(name, url=url, server=f"ClientCertificate={file}")
    done = lab.scepter("profile", "add", lab.write(f"{name}.profile", text), "--json")
    told = error(done, error_name, status, "ClientCertificate", *says)
    assert profiles(lab) == before
    return told


def test_files_that_are_refused(lab, pki):
    cert, key = pki.issue("whole")
    _, other = pki.issue("another")
    encrypted, traditional = pki.folder / "encrypted.key", pki.folder / "traditional.key"
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", encrypted)
    openssl("pkey", "-in", key, "-traditional", "-out", traditional)
    small = pki.folder / "small.key"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", small)
    refused(lab, "r1", bundle_of(lab, "r1.pem", cert), "no private key")
    refused(lab, "r2", bundle_of(lab, "r2.pem", key), "no certificate")
    refused(lab, "r3", bundle_of(lab, "r3.pem", cert, other), "does not belong")
    refused(lab, "r4", bundle_of(lab, "r4.pem", cert, encrypted), "passphrase", "openssl pkey")
    refused(lab, "r5", bundle_of(lab, "r5.pem", cert, traditional), "PKCS#8", "openssl pkey")
    refused(lab, "r6", bundle_of(lab, "r6.pem", cert, key, key), "more than one private key")
    refused(lab, "r7", bundle_of(lab, "r7.pem", cert, small), error_name="KeyNotSupported", status=5)
    broken = lab.write("broken.part", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
    refused(lab, "r9", bundle_of(lab, "r9.pem", cert, broken, key), "malformed")
    refused(lab, "r8", lab.write("r8.pem", "nothing"), "no certificate")
    whole = bundle_of(lab, "whole.pem", cert, key)
    for number, url in enumerate(("http://localhost:1/x", "https://localhost:1/x\nUrl=http://localhost:1/x")):
        refused(lab, f"http-{number}", whole, "needs https", error_name="InvalidProfile", url=url)
    refused(lab, "proxy", f"{whole}\nProxy=https://localhost:1", "Proxy", error_name="InvalidProfile")
    nowhere(lab, key)
    text = lab.profile_text("empty", url="https://localhost:1/x", server=f"CaBundle={lab.write('empty.pem', 'x')}")
    error(lab.scepter("profile", "add", lab.write("empty.profile", text), "--json"), "InvalidProfile", 2, "CaBundle",
          "no certificate")


def test_proxy_with_a_password(lab):
    text = lab.profile_text("secret-proxy", server="Proxy=http://user:geheim@proxy.contoso.com:3128")
    done = lab.scepter("profile", "add", lab.write("secret-proxy.profile", text), "--json")
    error(done, "InvalidProfile", 2, "Server.Proxy", "user name or password")
    assert "geheim" not in done.stdout + done.stderr + lab.log()


def test_what_is_lost_is_not_done_without(lab, pki, gateway):
    cert, key = pki.issue("lost")
    for file, word in (("client-key.pem", "ClientCertificate"), ("client-cert.pem", "ClientCertificate"),
                       ("ca-bundle.pem", "CaBundle")):
        name, before = f"lost-{file[:-4]}", profiles(lab)
        lab.add(name, url=gateway.url, server=server(pki, bundle_of(lab, "lost.pem", cert, key)))
        (home,) = profiles(lab) - before
        (lab.state / "profiles" / home / file).unlink()
        seen = len(gateway.requests())
        error(lab.enroll(name, "--json"), "InvalidConfiguration", 1, word, "add it again")
        assert len(gateway.requests()) == seen


def test_half_a_profile_is_none(lab, pki):
    """What a crash leaves before profile.json is written goes at the next start."""
    half = lab.state / "profiles" / ("ab" * 16)
    half.mkdir(mode=0o711)
    (half / "client-key.pem").write_text("x")
    owner = (lab.state / "profiles").stat()
    os.chown(half, owner.st_uid, owner.st_gid)
    os.chown(half / "client-key.pem", owner.st_uid, owner.st_gid)
    lab.daemon("restart")
    lab.serves()
    assert not half.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another user")
def test_a_users_own_across_a_restart(lab, ndes):
    """What a user's own profile may not reach, it may not reach after a restart in mid-request either."""
    lab.add("waits", type="user", subject="CN={{UserName}}", san="")
    ndes("set", "pending", "100")
    lab.enroll("waits", "--for", ALICE)
    lab.wait_for("waits", "pending")
    lab.daemon("kill")
    path = lab.certificate("waits") / "record.json"
    record = json.loads(path.read_text())
    assert ["denyLocal", "no"] in record["plan"]
    # As if it had been hers: one of her own would not have come so far in a lab, where all servers are local.
    record["plan"] = [["denyLocal", "yes"] if pair[0] == "denyLocal" else pair for pair in record["plan"]]
    path.write_text(json.dumps(record))
    ndes("reset")
    lab.daemon("restart")
    shown = lab.wait_for("waits", "failed", "idle")
    assert shown["lastError"]["name"] == "NotAuthorized", shown
    assert "address of this machine" in shown["lastError"]["message"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another user")
def test_a_users_own(lab, pki):
    """Taken with the caller's rights, for his own profile too; its worker still reaches no address of this machine."""
    uid = pwd.getpwnam(ALICE).pw_uid
    cert, key = pki.issue("alice")
    file = bundle_of(lab, "alice.pem", cert, key)
    text = lab.profile_text("alices", type="user", subject="CN={{UserName}}", san="", url="https://127.0.0.1:1/x",
                            server=server(pki, file))
    profile = lab.write("alices.profile", text)
    done = lab.scepter("profile", "add", profile, "--user", "--json", user=uid)
    assert done.returncode != 0 and "alice.pem" in done.stdout  # root's file, and she cannot read it
    os.chown(file, uid, uid)
    done = lab.scepter("profile", "add", profile, "--user", "--json", user=uid)
    assert done.returncode == 0, done.stdout
    assert "CN=alice" in json.loads(done.stdout)["clientCertificate"]
    challenge = lab.challenge()
    challenge.chmod(0o644)
    done = lab.scepter("enroll", "alices", "--wait", "--json", "--challenge-file", challenge, user=uid)
    error(done, "NotAuthorized", 4, "address of this machine")
