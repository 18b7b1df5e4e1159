"""Programs of others with scepter-pkcs11.so, as people start them: OpenSC, GnuTLS, OpenSSH, NSS, curl and nginx with the
PKCS#11 engine. Keys in the TPM and in software, RSA and EC, TLS 1.2 and 1.3."""
import contextlib
import os
import shutil
import socket
import subprocess
import urllib.request

import pytest
from cryptography import x509

import labs
import radius

pytestmark = pytest.mark.skipif(labs.sanitized(), reason="programs of others do not go well with AddressSanitizer loaded before "
                                "them; test_pkcs11 has the module with it")
NAMES = ["tpm-rsa-2048", "tpm-ec-p256", "software-rsa-2048", "software-ec-p384"]
ENGINE = "/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so"
STRONGSWAN = "/usr/lib/ipsec/plugins/libstrongswan-pkcs11.so"


def needs(*programs):
    missing = [program for program in programs if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


needs_engine = pytest.mark.skipif(not os.path.exists(ENGINE), reason="needs libengine-pkcs11-openssl")


def make_server(lab):
    """Key and certificate of server()."""
    made = lab.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                   "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", lab.files / "server.key", "-out",
                   lab.files / "server.pem")
    assert made.returncode == 0, made.stderr


@pytest.fixture(scope="module")
def keys():
    with labs.lab() as lab:
        for name in NAMES:
            protection, _, algorithm = name.partition("-")
            lab.add(name, protection=protection, algorithm=algorithm)
            done = lab.enroll(name)
            assert done.returncode == 0, done.stderr
        make_server(lab)
        chain = (lab.certificate(NAMES[0]) / "current/chain.pem").read_text()
        lab.write("cas.pem", open(lab.root, encoding="ascii").read() + chain)
        yield lab


def module(lab):
    return lab.env["SCEPTER_PKCS11"]


def uri(name, kind="private"):
    return f"pkcs11:token=Scepter;object={name};type={kind}"


def program(lab, *command, **options):
    """One that loads our module."""
    environment = {**labs.foreign_environment(), "PKCS11_MODULE_PATH": module(lab), **options.pop("env", {})}
    return lab.run(*command, env=environment, **options)


@contextlib.contextmanager
def server(lab, *options):
    """A TLS server that wants a certificate of the lab's CA, and shows it; its port."""
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", lab.files / "server.pem", "-key", lab.files / "server.key",
         "-CAfile", lab.files / "cas.pem", "-Verify", "3", "-verify_return_error", "-www", *options],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        while "ACCEPT" not in (line := process.stdout.readline()):
            assert line
        yield line.strip().rsplit(":", 1)[1]
    finally:
        process.kill()
        process.communicate()


def shown(lab, name, page):
    """The page has the certificate that the client proved to own."""
    return (lab.certificate(name) / "current/cert.pem").read_text().split("\n")[1] in page


@needs("pkcs11-tool")
def test_pkcs11_tool(keys):
    done = program(keys, "pkcs11-tool", "--module", module(keys), "--test")
    assert done.returncode == 0 and "No errors" in done.stdout + done.stderr, done.stdout + done.stderr
    listed = program(keys, "pkcs11-tool", "--module", module(keys), "--list-objects", "--type", "cert")
    assert all(name in listed.stdout for name in (*NAMES, "Lab Issuing CA")), listed.stdout


def key_id(lab, name):
    return next(value.partition("id=")[2] for value in lab.json("show", name)["uris"] if value.startswith("ksp:id="))


@needs("pkcs11-tool")
@pytest.mark.parametrize("name", NAMES)
def test_pkcs11_tool_signs(keys, name):
    data = keys.write("data", "to be signed")
    public = keys.write("public.pem", keys.openssl("x509", "-in", keys.certificate(name) / "current/cert.pem", "-noout",
                                                   "-pubkey").stdout)
    rsa = "rsa" in name
    for mechanism, digest, options in (("SHA256-RSA-PKCS", "-sha256", ()), ("SHA512-RSA-PKCS", "-sha512", ()),
                                       ("SHA256-RSA-PKCS-PSS", "-sha256", ("-sigopt", "rsa_padding_mode:pss")),
                                       ("ECDSA-SHA256", "-sha256", ()), ("ECDSA-SHA384", "-sha384", ())):
        if rsa != ("RSA" in mechanism):
            continue
        out = keys.files / "signature"
        done = program(keys, "pkcs11-tool", "--module", module(keys), "--sign", "--mechanism", mechanism, "--id", key_id(keys, name),
                       "--input-file", data, "--output-file", out, *(() if rsa else ("--signature-format", "openssl")))
        assert done.returncode == 0, done.stderr
        done = keys.openssl("dgst", digest, "-verify", public, "-signature", out, *options, data)
        assert done.returncode == 0, (mechanism, done.stderr)


@needs("p11tool")
@pytest.mark.parametrize("name", NAMES)
def test_p11tool(keys, name):
    done = program(keys, "p11tool", "--provider", module(keys), "--test-sign", uri(name))
    assert done.returncode == 0 and (done.stdout + done.stderr).count("... ok") == 3, done.stdout + done.stderr
    exported = program(keys, "p11tool", "--provider", module(keys), "--export", uri(name, "cert"))
    assert exported.stdout.strip() == (keys.certificate(name) / "current/cert.pem").read_text().strip()


VERSIONS = {"1.2": ("-tls1_2",), "1.3": ("-tls1_3",)}


@needs("gnutls-cli")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_gnutls_client(keys, name, version):
    with server(keys, *VERSIONS[version]) as port:
        done = program(keys, "gnutls-cli", "--provider", module(keys), "--x509cafile", keys.files / "server.pem",
                       "--x509certfile", uri(name, "cert"), "--x509keyfile", uri(name), "-p", port, "localhost",
                       input="GET / HTTP/1.0\r\n\r\n", timeout=60)
    assert shown(keys, name, done.stdout), done.stdout[-2000:] + done.stderr


@needs("curl")
@needs_engine
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_curl_with_the_engine(keys, name, version):
    with server(keys, *VERSIONS[version]) as port:
        done = program(keys, "curl", "-sS", "--cacert", keys.files / "server.pem", "--engine", "pkcs11", "--key-type", "ENG",
                       "--key", uri(name), "--cert", keys.certificate(name) / "current/cert.pem", f"https://localhost:{port}/",
                       timeout=60)
    assert done.returncode == 0 and shown(keys, name, done.stdout), done.stderr


@needs("certutil", "modutil", "tstclnt")
def test_nss(keys):
    """The certificate, its key, and the CA above it, from the module alone."""
    db = keys.files / "nss"
    db.mkdir()
    database = f"sql:{db}"
    assert keys.run("certutil", "-N", "-d", database, "--empty-password").returncode == 0
    added = program(keys, "modutil", "-dbdir", database, "-add", "Scepter", "-libfile", module(keys), "-force")
    assert added.returncode == 0, added.stdout + added.stderr
    listed = program(keys, "certutil", "-L", "-d", database, "-h", "all")
    assert all(f"Scepter:{name}" in listed.stdout for name in (*NAMES, "Lab Issuing CA")), listed.stdout
    trusted = program(keys, "certutil", "-A", "-d", database, "-n", "server", "-t", "CP,,", "-i", keys.files / "server.pem")
    assert trusted.returncode == 0, trusted.stderr
    request = keys.write("request", "GET / HTTP/1.0\r\n\r\n")
    for name in NAMES:
        for version, options in VERSIONS.items():
            with server(keys, *options) as port:
                done = program(keys, "tstclnt", "-h", "localhost", "-p", port, "-d", database, "-n", f"Scepter:{name}", "-V",
                               f"tls{version}:tls{version}", "-4", "-A", request, stdin=subprocess.DEVNULL, timeout=60)
            assert shown(keys, name, done.stdout), (name, version, done.stdout[-1000:], done.stderr)


@needs("pki")
@pytest.mark.skipif(not os.path.exists(STRONGSWAN), reason="needs libstrongswan-extra-plugins")
@pytest.mark.parametrize("name", NAMES)
def test_strongswan_pki(keys, name):
    """A request signed by the key. A PIN is asked for, of which any will do."""
    configuration = keys.write("strongswan.conf", "pki { load = pkcs11 random openssl pem pkcs1 x509 pubkey sha1 sha2\n"
                               f"plugins {{ pkcs11 {{ modules {{ scepter {{ path = {module(keys)} }} }} }} }} }}\n")
    done = program(keys, "pki", "--req", "--type", "priv", "--keyid", key_id(keys, name), "--dn", "CN=x",
                   "--outform", "pem", env={"STRONGSWAN_CONF": str(configuration)}, input="1234\n", start_new_session=True)
    assert done.returncode == 0, done.stderr
    request = keys.write("request.pem", done.stdout)
    done = keys.openssl("req", "-in", request, "-verify", "-noout", "-pubkey")
    public = keys.openssl("x509", "-in", keys.certificate(name) / "current/cert.pem", "-noout", "-pubkey").stdout
    assert done.returncode == 0 and public in done.stdout, done.stderr


def ssh_account(lab, name):
    """A folder with what OpenSSH's own server, on a pipe, needs to let root in by this key."""
    listed = program(lab, "ssh-keygen", "-D", module(lab), stdin=subprocess.DEVNULL, start_new_session=True)
    line = next(line for line in listed.stdout.splitlines() if line.endswith(f" {name}"))
    folder = lab.dir / f"ssh-{name}"
    folder.mkdir(mode=0o700)
    os.makedirs("/run/sshd", exist_ok=True)
    lab.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host", check=True)
    (folder / "authorized").write_text(line + "\n")
    (folder / "key.pub").write_text(line + "\n")
    (folder / "config").write_text(
        f"HostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n")
    return folder


def ssh(lab, folder, *options, **run_options):
    return program(lab, "ssh", "-F", "none", "-o", f"ProxyCommand=/usr/sbin/sshd -i -f {folder}/config", "-o",
                   f"PKCS11Provider={module(lab)}", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
                   "IdentitiesOnly=yes", "-o", f"IdentityFile={folder}/key.pub", *options, "root@localhost",
                   "echo it is $((40 + 2))", timeout=60, **run_options)


@needs("ssh", "sshd")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose account is logged in to")
@pytest.mark.parametrize("name", NAMES)
def test_ssh(keys, name):
    """PKCS11Provider."""
    done = ssh(keys, ssh_account(keys, name), "-o", "BatchMode=yes")
    assert "it is 42" in done.stdout, done.stderr


NGINX = """daemon off; master_process on; worker_processes 2; pid {folder}/pid; error_log {folder}/error.log info; user root;
ssl_engine pkcs11;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d;
    scgi_temp_path {folder}/e;
    server {{
        listen unix:{folder}/socket ssl;
        ssl_certificate {certificate};
        ssl_certificate_key "engine:pkcs11:{key}";
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{ return 200 "served"; }}
    }}
}}
"""


@needs("nginx")
@needs_engine
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose keys the workers use")
@pytest.mark.parametrize("name", NAMES)
def test_nginx_with_the_engine(keys, name):
    """A server that loads the key and forks; each worker asks by itself."""
    folder = keys.dir / f"nginx-{name}"
    folder.mkdir()
    current = keys.certificate(name) / "current"
    public = keys.write(f"{name}.pub", keys.openssl("x509", "-in", current / "cert.pem", "-noout", "-pubkey").stdout)
    (folder / "chain.pem").write_text((current / "cert.pem").read_text() + (current / "chain.pem").read_text())
    (folder / "conf").write_text(NGINX.format(folder=folder, certificate=folder / "chain.pem", key=uri(name)))
    # nginx takes what engines are initialised; that of libp11 0.4.13 is not by being the default.
    engine = keys.write("engine.conf", "openssl_conf=all\n[all]\nengines=engines\n[engines]\npkcs11=own\n[own]\ninit=1\n")
    environment = {**keys.env, **labs.foreign_environment(), "PKCS11_MODULE_PATH": module(keys), "OPENSSL_CONF": str(engine)}
    (folder / "conf").write_text("env SCEPTER_KEYS; env PKCS11_MODULE_PATH;\n" + (folder / "conf").read_text())
    process = subprocess.Popen(["/usr/sbin/nginx", "-c", folder / "conf", "-p", folder, "-e", folder / "error.log"],
                               env=environment, stderr=subprocess.DEVNULL)
    try:
        keys.until(lambda: process.poll() is not None or (folder / "socket").exists())
        assert process.poll() is None, (folder / "error.log").read_text()
        for version in ("1.2", "1.3"):
            for _ in range(4):
                done = keys.run("curl", "-sS", "--unix-socket", folder / "socket", f"--tlsv{version}",
                                "--tls-max", version, "--resolve", "pc1.contoso.com:443:127.0.0.1", "-k", "--pinnedpubkey", public, "https://pc1.contoso.com/")
                assert done.stdout == "served", done.stderr + (folder / "error.log").read_text()[-2000:]
    finally:
        process.terminate()
        process.wait()


# Without pkcs11_module_path: wpa_supplicant takes modules below /usr/lib/ alone, and the engine has ours from its environment.
EAPOL = """network={{
    key_mgmt=IEEE8021X
    eap=TLS
    identity="pc1"
    ca_cert="{anchor}"
    client_cert="{certificate}"
    private_key="{key}"
    domain_match="radius.contoso.com"
    phase1="tls_disable_tlsv1_3={without_13}"
    eapol_flags=0
}}
"""


@contextlib.contextmanager
def free_radius(lab, tls):
    """A real one whose certificate is the lab's, too; (its port, what it logged)."""
    folder = lab.dir / f"radius-{tls}"
    folder.mkdir()
    if "radius" not in {entry["name"] for entry in lab.serves()["certificates"]}:
        text = lab.profile_text("radius", subject="CN=radius", san="AlternativeName=dns:radius.contoso.com")
        profile = lab.write("radius.profile", text.replace("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"))
        assert lab.scepter("profile", "add", profile).returncode == 0
        assert lab.enroll("radius").returncode == 0
    home = lab.certificate("radius")
    key = lab.run("openssl", "pkey", "-in", home / "current/key.pem", "-passin", f"file:{lab.dir}/lab/etc/host.key", check=True)
    chain = (home / "current/chain.pem").read_bytes()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    room = radius.Radius(folder / "radius", (home / "anchor.pem").read_bytes(), chain,
                         (home / "current/cert.pem").read_bytes() + chain, key.stdout.encode(), port=port, tls=tls)
    points = x509.load_pem_x509_certificate((home / "current/cert.pem").read_bytes()).extensions.get_extension_for_class(
        x509.CRLDistributionPoints)
    with urllib.request.urlopen(points.value[0].full_name[0].value, timeout=30) as answer:
        room.trust_crl(answer.read())
    process = subprocess.Popen([radius.PROGRAM, "-f", "-d", room.dir, "-n", "radiusd"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    lines = []
    try:
        while "Ready to process requests" not in (line := process.stdout.readline()):
            assert line, lines
            lines.append(line)
        yield port
    finally:
        process.terminate()
        process.communicate()


@needs("eapol_test", "freeradius")
@needs_engine
@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_T15_wpa_supplicant(keys, tls):
    """EAP-TLS as wpa_supplicant does it on a Wi-Fi, at FreeRADIUS; and not with a certificate of nobody's."""
    with free_radius(keys, tls) as port:
        for name in NAMES:
            home = keys.certificate(name)
            certificate = keys.write("eap.pem", (home / "current/cert.pem").read_text() + (home / "current/chain.pem").read_text())
            for key, wanted in ((uri(name), True), *([(uri("nobody"), False)] if name == NAMES[0] else [])):
                config = keys.write("eapol.conf", EAPOL.format(
                    anchor=home / "anchor.pem", certificate=certificate, key=key, without_13=int(tls == "1.2")))
                done = program(keys, "eapol_test", "-c", config, "-a", "127.0.0.1", "-p", port, "-s", radius.SECRET, "-r0", "-t",
                               "10" if wanted else "3", timeout=60)
                assert (done.returncode == 0) == wanted, (name, key, done.stdout[-3000:])
                assert not wanted or f"SSL: Using TLS version TLSv{tls}" in done.stdout
