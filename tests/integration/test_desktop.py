"""Browsers and VPNs with scepter-pkcs11.so: for tests/run --all, since they are large."""
import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest
from cryptography import x509

import doors
import test_programs
import tunnel
from test_programs import keys, module, needs, program, pytestmark  # noqa: F401, the fixture


@pytest.fixture(name="site")
def _site(keys):  # noqa: F811
    made = doors.Door(keys)
    yield made
    made.close()


def serial(lab, name):
    return lab.json("show", name)["serialNumber"].lower()


def assert_critical(lab, name):
    """Its key usage is critical: what made browsers leave certificates of tpm2-pkcs11 out."""
    certificate = x509.load_pem_x509_certificate((lab.certificate(name) / "current/cert.pem").read_bytes())
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).critical


def database(lab, folder):
    """One of NSS with our module, that trusts the server."""
    folder.mkdir(parents=True)
    assert lab.run("certutil", "-N", "-d", f"sql:{folder}", "--empty-password").returncode == 0
    added = program(lab, "modutil", "-dbdir", f"sql:{folder}", "-add", "Scepter", "-libfile", module(lab), "-force")
    assert added.returncode == 0, added.stderr
    trusted = program(lab, "certutil", "-A", "-d", f"sql:{folder}", "-n", "site", "-t", "C,,", "-i", lab.files / "door-ca.pem")
    assert trusted.returncode == 0, trusted.stderr


@needs("chromium", "certutil", "modutil")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a policy of the browser's in a mount namespace")
def test_T16_chromium(keys, site):  # noqa: F811
    assert_critical(keys, "tpm-rsa-2048")
    home, policies = keys.dir / "chromium", keys.dir / "policies"
    database(keys, home / ".pki/nssdb")
    (policies / "policies/managed").mkdir(parents=True)
    choice = {"pattern": "https://localhost", "filter": {"SUBJECT": {"CN": "pc1"}}}
    (policies / "policies/managed/choice.json").write_text(json.dumps({"AutoSelectCertificateForUrls": [json.dumps(choice)]}))
    os.makedirs("/etc/chromium", exist_ok=True)
    done = program(keys, "unshare", "--mount", "sh", "-c",
                   'mount --bind "$1" /etc/chromium && exec chromium --headless --no-sandbox --disable-gpu '
                   '--user-data-dir="$HOME/data" --dump-dom "$2"', "sh", policies, f"https://localhost:{site.port}/",
                   env={"HOME": str(home)})
    assert "come in" in done.stdout, done.stderr[-2000:]
    assert set(site.seen) <= {serial(keys, name) for name in test_programs.NAMES} and site.seen


@needs("firefox-esr", "certutil", "modutil")
def test_T16_firefox(keys, site):  # noqa: F811
    assert_critical(keys, "tpm-rsa-2048")
    home = keys.dir / "firefox"
    database(keys, home / "profile")
    (home / "profile/user.js").write_text('user_pref("security.default_personal_cert", "Select Automatically");\n'
                                          'user_pref("browser.shell.checkDefaultBrowser", false);\n'
                                          'user_pref("datareporting.policy.dataSubmissionEnabled", false);\n')
    with open(home / "log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(["firefox-esr", "--headless", "--no-remote", "--profile", home / "profile",
                                    f"https://localhost:{site.port}/"], stdout=log, stderr=log,
                                   env={**keys.env, **test_programs.labs.foreign_environment(), "HOME": str(home)})
    try:
        assert site.came.wait(90), (home / "log").read_text()[-2000:]
    finally:
        end(process)
    assert set(site.seen) <= {serial(keys, name) for name in test_programs.NAMES}


@needs("openvpn")
@pytest.mark.parametrize("name", test_programs.NAMES)
def test_openvpn(keys, name):  # noqa: F811
    """A tunnel's handshake both ways; no device is made."""
    ids = program(keys, "openvpn", "--show-pkcs11-ids", module(keys)).stdout
    wanted = test_programs.key_id(keys, name).upper()
    identity = next(line.split(":", 1)[1].strip() for line in ids.splitlines() if "Serialized id" in line and wanted in line)
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(free_port())
        common = ["openvpn", "--dev", "null", "--proto", "udp4", "--ifconfig-noexec", "--route-noexec", "--verb", "3"]
        server = subprocess.Popen([*common, "--mode", "p2p", "--tls-server", "--dh", "none", "--local", "127.0.0.1", "--lport",
                                   str(port), "--ca", keys.files / "cas.pem", "--cert", keys.files / "server.pem", "--key",
                                   keys.files / "server.key"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        stack.callback(end, server)
        client = subprocess.Popen([*common, "--tls-client", "--remote", "127.0.0.1", str(port), "--nobind", "--ca",
                                   keys.files / "server.pem", "--pkcs11-providers", module(keys), "--pkcs11-id", identity],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  env={**keys.env, **test_programs.labs.foreign_environment()})
        stack.callback(end, client)
        watchdog = threading.Timer(60, client.kill)
        watchdog.start()
        lines = []
        for line in client.stdout:
            lines.append(line)
            if "Initialization Sequence Completed" in line:
                break
        watchdog.cancel()
        assert "Initialization Sequence Completed" in lines[-1], "".join(lines[-30:])


TUNNEL = """connections {{ net {{
    version = 2
    local_addrs = {outside}
    remote_addrs = {other}
    local {{ auth = pubkey
        {local} }}
    remote {{ auth = pubkey
        {remote} }}
    children {{ net {{ local_ts = {inside}/32
        remote_ts = {behind}/32 }} }}
}} }}
{secrets}
"""


@pytest.mark.skipif(bool(tunnel.missing()), reason=tunnel.missing())
@pytest.mark.parametrize("name", [*test_programs.NAMES, "nobody's"])
def test_strongswan(keys, name):  # noqa: F811
    """IKEv2 with a key of the module, which charon logs in to with any PIN; and not with a key of nobody's."""
    real = name in test_programs.NAMES
    key_id = test_programs.key_id(keys, name if real else test_programs.NAMES[0])
    folder = keys.dir / f"tunnel-{test_programs.NAMES.index(name) if real else 'none'}"
    here = tunnel.End("here", folder / "here", {**keys.env, **test_programs.labs.foreign_environment()},
                      f"scepter {{ path = {module(keys)} }}")
    there = tunnel.End("there", folder / "there", keys.env)
    (here.folder / "x509/there.pem").write_bytes((keys.files / "server.pem").read_bytes())
    (there.folder / "x509/there.pem").write_bytes((keys.files / "server.pem").read_bytes())
    (there.folder / "private/there.pem").write_bytes((keys.files / "server.key").read_bytes())
    for number, certificate in enumerate((keys.files / "cas.pem").read_text().split("-----BEGIN")[1:]):
        (there.folder / f"x509ca/{number}.pem").write_text("-----BEGIN" + certificate)
    own = f"cert {{ handle = {key_id}\n module = scepter }}"
    secrets = f"secrets {{ token {{ handle = {key_id if real else '00' * 20}\n module = scepter\n pin = 1234 }} }}"
    for end, other, local, remote, more in ((here, "there", own, "certs = there.pem", secrets),
                                            (there, "here", "certs = there.pem", "id = %any", "")):
        (end.folder / "swanctl.conf").write_text(TUNNEL.format(
            outside=tunnel.OUTSIDE[end.name], other=tunnel.OUTSIDE[other], inside=tunnel.INSIDE[end.name],
            behind=tunnel.INSIDE[other], local=local, remote=remote, secrets=more))
    with tunnel.ends(here, there, keys.until):
        done = here.swanctl("--initiate", "--child", "net")
        assert (done.returncode == 0) == real, done.stdout + done.stderr
        shown = there.swanctl("--list-sas").stdout
        assert ("ESTABLISHED" in shown and "remote 'CN=pc1, O=Contoso'" in shown) == real, shown


@contextlib.contextmanager
def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield port


def end(process):
    process.kill()
    process.wait()
