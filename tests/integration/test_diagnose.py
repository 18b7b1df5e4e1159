"""scepter diagnose: the responder, the network, the TPM, the clock or what is stored is switched into each fault, and the
diagnosis names it by its code with a cause and a remedy, and names no other."""
import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

import pytest

import labs
from gateway import Authority, Gateway, free_port
from test_applications import Holder
from test_tpm import tpm_process

ALICE = "daemon"
STEPS = ["profile", "keys", "dns", "tcp", "tls", "clock", "url", "caps", "ca", "challenge", "request", "certificate",
         "revocation", "consumers", "renewal"]


def diagnose(lab, target, **options):
    """The findings by code, and the exit status. What holds of every diagnosis is asserted here."""
    done = lab.scepter("diagnose", target, "--json", **options)
    assert done.returncode in (0, 1), (done.stdout, done.stderr)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert findings, done.stderr
    for finding in findings:
        assert list(finding) == ["step", "result", "code", "observed", "cause", "remedy"]
        assert finding["step"] in STEPS and finding["observed"]
        assert finding["result"] != "fault" or (finding["cause"] and finding["remedy"]), finding
        assert finding["result"] != "note" or finding["cause"], finding
    assert done.returncode == any(finding["result"] == "fault" for finding in findings)
    return {finding["code"]: finding for finding in findings}


def expect(found, *codes):
    """These faults or notes, and no other fault."""
    for code in codes:
        assert code in found, (code, found)
    faults = {code for code, finding in found.items() if finding["result"] == "fault"}
    assert faults <= set(codes), {code: found[code]["observed"] for code in faults}


def every(found, result):
    return {code for code, finding in found.items() if finding["result"] == result}


# The server, before anything was requested.

SERVER = [
    # name, switches, settings below [Server], codes
    ("http-401", "http-status 401", "", ["url-login"]),
    ("http-403", "http-status 403", "", ["url-status"]),
    ("http-404", "http-status 404", "", ["url-not-found"]),
    ("http-414", "http-status 414", "", ["url-too-long"]),
    ("http-429", "http-status 429", "", ["url-status"]),
    ("http-500", "http-status 500", "", ["url-server-error"]),
    ("http-502", "http-status 502", "", ["url-gateway"]),
    ("http-503", "http-status 503", "", ["url-unavailable"]),
    ("http-504", "http-status 504", "", ["url-gateway"]),
    ("cacert-500", "fault-on cacert, http-status 500", "", ["url-server-error"]),
    ("html", "body html", "", ["url-portal"]),
    ("cacert-html", "fault-on cacert, body html", "", ["url-portal"]),
    ("huge", "fault-on cacert, body huge", "", ["url-portal"]),
    ("cut", "fault-on cacert, body cut", "", ["url-closed"]),
    ("closed", "close on", "", ["url-closed"]),
    ("empty", "fault-on cacert, body empty", "", ["ca-unreadable"]),
    ("slow", "delay 6s", "", ["url-slow"]),
    ("caps-missing", "caps missing", "AllowLegacy=sha1 des", ["caps-none"]),
    ("caps-empty", "caps empty", "AllowLegacy=sha1 des", ["caps-none"]),
    ("caps-empty-strict", "caps empty", "", ["caps-none", "caps-weak"]),
    ("caps-legacy", "caps legacy", "", ["caps-weak"]),
    ("caps-html", "caps html", "", ["url-portal"]),
    ("caps-ndes", "caps ndes", "", ["caps-no-aes"]),
    ("caps-required", "caps ndes", "RequireCaps=AES", ["caps-required"]),
    ("caps-no-renewal", "caps no-renewal", "", ["caps-no-renewal"]),
    ("get-only", "get-only on", "", ["caps-no-post"]),
    ("login", "http-status 302", "", ["url-portal"]),
    ("win32-status", "http-status 500, win32-status 1346", "", ["url-server-error"]),
    ("caps-closed", "caps closed", "AllowLegacy=sha1 des", ["caps-none"]),
    ("no-policy-module", "policy-module off", "", ["url-no-policy-module"]),
    ("clock-ahead", "date-skew 1h", "", ["clock-skew"]),
    ("clock-behind", "date-skew behind 2d", "", ["clock-skew"]),
    ("ra-stale", "ra-stale pair", "", ["ca-ok"]),
    ("ra-future", "ra-future on", "", ["ca-expired"]),
    ("ra-old-ca", "ra-old-ca on", "", ["ca-mismatch"]),
    ("ra-sha1", "ra-signature sha1", "", ["ca-weak"]),
    ("ra-pss", "ra-signature pss", "", ["ca-weak"]),
    ("ra-expired", "ra-expired on", "", ["ca-expired"]),
    ("ra-ending", "ra-ending on", "", ["ca-expires"]),
    ("other-ca", "other-ca on", "", ["ca-mismatch"]),
]


def switch(lab, switches):
    for one in filter(None, switches.split(", ")):
        lab.ndes("set", *one.split(" "))


@pytest.mark.parametrize("name,switches,server,codes", SERVER, ids=[row[0] for row in SERVER])
def test_server(lab, ndes, name, switches, server, codes):
    lab.add(f"s-{name}", server=server)
    switch(lab, switches)
    expect(diagnose(lab, f"s-{name}"), *codes)
    assert lab.scepter("show", f"s-{name}").returncode == 3  # nothing was made


# The way to the server.

def away(lab):
    return {"url": f"http://127.0.0.1:{free_port()}/certsrv/mscep/mscep.dll"}


def nowhere(_lab):
    return {"url": "http://ndes.invalid/certsrv/mscep/mscep.dll"}


def wrong_path(lab):
    return {"url": f"http://{urllib.parse.urlsplit(lab.url).netloc}/nothing"}


def no_proxy(_lab):
    return {"server": f"Proxy=http://127.0.0.1:{free_port()}"}


def unknown_proxy(_lab):
    return {"server": "Proxy=http://proxy.invalid:3128"}


WAYS = [
    ("port", away, ["tcp-failed"]),
    ("name", nowhere, ["dns-failed"]),
    ("path", wrong_path, ["url-not-found"]),
    ("proxy-port", no_proxy, ["tcp-proxy"]),
    ("proxy-name", unknown_proxy, ["tcp-proxy"]),
]


@pytest.mark.parametrize("name,change,codes", WAYS, ids=[row[0] for row in WAYS])
def test_way(lab, name, change, codes):
    lab.add(f"w-{name}", **change(lab))
    expect(diagnose(lab, f"w-{name}"), *codes)


def test_address_that_drops_packets(lab):
    """A listener whose queue is full: Linux drops what comes further, as a firewall does."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        lab.add("w-dropped", url=f"http://127.0.0.1:{listener.getsockname()[1]}/certsrv/mscep/mscep.dll")
        expect(diagnose(lab, "w-dropped"), "tcp-timeout")


@pytest.fixture(scope="module")
def pki(lab):
    folder = lab.dir / "pki"
    folder.mkdir(mode=0o755)
    return Authority(folder, "gateway-ca")


def expired_server(pki):
    return {"server": pki.issue("expired", san="DNS:localhost", expired=True)}


def other_name(pki):
    return {"server": pki.issue("elsewhere", san="DNS:elsewhere.example")}


def demands_certificate(pki):
    return {"clients": pki.cert}


def asks_for_certificate(pki):
    return {"more": f"ssl_client_certificate {pki.cert}; ssl_verify_client optional;"}


TLS = [
    # name, the gateway, whether the profile names its CA, codes
    ("good", lambda _: {}, True, ["tls-ok"]),
    ("untrusted", lambda _: {}, False, ["tls-untrusted"]),
    ("expired", expired_server, True, ["tls-expired"]),
    ("other-name", other_name, True, ["tls-name"]),
    ("old-version", lambda _: {"protocols": "TLSv1.1", "more": "ssl_ciphers DEFAULT@SECLEVEL=0;"}, True, ["tls-failed"]),
    ("client-certificate", demands_certificate, True, ["tls-client-certificate"]),
    ("client-certificate-optional", asks_for_certificate, True, ["tls-ok", "url-policy-module"]),
    ("502", lambda _: {"behind": "http://127.0.0.1:1"}, True, ["url-gateway"]),
]


@pytest.mark.parametrize("name,options,trusted,codes", TLS, ids=[row[0] for row in TLS])
def test_tls(lab, pki, name, options, trusted, codes):
    behind = "http://" + urllib.parse.urlsplit(lab.url).netloc
    gateway = Gateway(lab.dir / f"gateway-{name}", **{"behind": behind, "authority": pki, **options(pki)})
    try:
        lab.add(f"t-{name}", url=gateway.url, server=f"CaBundle={pki.cert}" if trusted else "")
        expect(diagnose(lab, f"t-{name}"), *codes)
    finally:
        gateway.close()


# The last transaction.

REQUESTS = [
    # name, switches, codes
    ("fail-info-0", "fail-info 0", ["request-algorithm"]),
    ("fail-info-1", "fail-info 1", ["request-integrity"]),
    ("fail-info-2", "fail-info 2", ["request-challenge"]),
    ("fail-info-3", "fail-info 3", ["request-time"]),
    ("fail-info-4", "fail-info 4", ["request-unknown"]),
    ("wrong-challenge", "wrong-challenge always", ["request-challenge"]),
    ("used-challenge", "challenge-reason ChallengeUsed", ["request-challenge"]),
    ("balancer", "balancer on", ["request-challenge"]),
    ("key-length", "key-minimum 4096", ["request-key-length"]),
    ("ca-offline", "ca-offline on", ["request-ca-down"]),
    ("template", "template-missing on", ["request-template"]),
    ("http-500", "fault-on pki, http-status 500", ["request-http"]),
    ("http-503", "fault-on pki, http-status 503", ["request-http"]),
    ("closed", "fault-on pki, close on", ["request-unanswered"]),
    ("html", "fault-on pki, body html", ["request-reply"]),
    ("unknown-signer", "unknown-signer on", ["request-reply"]),
    ("wrong-nonce", "wrong-nonce on", ["request-reply"]),
    ("wrong-transaction", "wrong-transaction on", ["request-reply"]),
    ("status", "pki-status 1", ["request-reply"]),
    ("single-des", "cipher des", ["request-algorithm"]),
    ("wrong-key", "wrong-key on", ["request-certificate"]),
    ("no-san", "drop-san on", ["request-certificate"]),
    ("no-eku", "drop-eku on", ["request-certificate"]),
]


@pytest.mark.parametrize("name,switches,codes", REQUESTS, ids=[row[0] for row in REQUESTS])
def test_request(lab, ndes, name, switches, codes):
    lab.add(f"r-{name}")
    switch(lab, switches)
    assert lab.enroll(f"r-{name}").returncode in (6, 7)
    ndes("reset")
    found = diagnose(lab, f"r-{name}")
    expect(found, *codes, "certificate-none")
    # the sentence of the enrollment's own error is what was observed
    assert found[codes[0]]["observed"] == lab.json("show", f"r-{name}")["lastError"]["message"]


def test_pending(lab, ndes):
    lab.add("waits")
    ndes("set", "pending", "approve")
    lab.scepter("enroll", "waits", "--challenge-file", lab.challenge())
    lab.wait_for("waits", "pending")
    found = diagnose(lab, "waits")
    expect(found, "request-pending")
    assert found["request-pending"]["result"] == "note"
    assert lab.scepter("cancel", "waits").returncode == 0


# What is stored here.

def lose_key(home):
    (home / "current/key.pem").unlink()


def damage_key(home):
    (home / "current/key.pem").write_text("nothing\n")


def damage_certificate(home):
    (home / "current/cert.pem").write_text("nothing\n")


def take_anothers_certificate(home):
    records = (path for path in home.parent.glob("*/record.json") if json.loads(path.read_text())["name"] == "c-bystander")
    shutil.copy(next(records).parent / "current/cert.pem", home / "current/cert.pem")


def change_record(home, **values):
    path = home / "record.json"
    record = json.loads(path.read_text())
    assert set(values) <= set(record), record
    path.write_text(json.dumps({**record, **values}))


def past(home):
    change_record(home, not_after=int(time.time()) - 1)


def future(home):
    change_record(home, not_before=int(time.time()) + 3600)


def due(home):
    change_record(home, renew_at=int(time.time()) - 1)


def lose_anchor(home):
    (home / "anchor.pem").unlink()


STORED = [
    ("key-lost", lose_key, ["certificate-key-lost"]),
    ("key-damaged", damage_key, ["certificate-key-lost"]),
    ("certificate-damaged", damage_certificate, ["certificate-unreadable"]),
    ("another-key", take_anothers_certificate, ["certificate-key-mismatch"]),
    ("anchor-lost", lose_anchor, ["certificate-chain"]),
    ("expired", past, ["certificate-expired"]),
    ("begins-later", future, ["certificate-not-yet-valid"]),
    ("due", due, ["renewal-due"]),
]


@pytest.mark.parametrize("name,change,codes", STORED, ids=[row[0] for row in STORED])
def test_stored(lab, name, change, codes):
    for each in (f"c-{name}", "c-bystander"):
        if lab.scepter("show", each).returncode:
            lab.add(each)
            assert lab.enroll(each).returncode == 0
    expect(diagnose(lab, f"c-{name}"), "certificate-ok", "request-ok", "renewal-ok")
    change(lab.certificate(f"c-{name}"))
    expect(diagnose(lab, f"c-{name}"), *codes)


# Revocation, and the programs that use the key.

REVOCATION = [
    # name, switches at the enrollment, switches at the diagnosis, codes
    ("good", "", "", ["revocation-ok"]),
    ("ca-revoked", "", "crl ca-revoked", ["revocation-ca-revoked"]),
    ("stale", "", "crl expired", ["revocation-stale"]),
    ("early", "", "crl future", ["revocation-early"]),
    ("foreign", "", "crl foreign", ["revocation-foreign"]),
    ("missing", "", "crl missing", ["revocation-unreachable"]),
    ("unnamed", "crl-point none", "get-crl refuse", ["revocation-unnamed"]),
    ("ldap", "crl-point ldap", "get-crl refuse", ["revocation-unnamed"]),
    ("by-scep", "crl-point none", "", ["revocation-ok"]),
]


@pytest.mark.parametrize("name,before,after,codes", REVOCATION, ids=[row[0] for row in REVOCATION])
def test_revocation(lab, ndes, name, before, after, codes):
    lab.add(f"v-{name}")
    switch(lab, before)
    assert lab.enroll(f"v-{name}").returncode == 0
    ndes("reset")
    switch(lab, after)
    expect(diagnose(lab, f"v-{name}"), "certificate-ok", *codes)


def test_revoked(lab):
    lab.add("v-revoked")
    assert lab.enroll("v-revoked").returncode == 0
    lab.ndes("revoke", lab.json("show", "v-revoked")["serialNumber"])
    expect(diagnose(lab, "v-revoked"), "revocation-revoked")


def test_crl_nobody_answers_for():
    """The server that has the CRLs is gone."""
    with labs.lab("--no-tpm") as alone:
        alone.add("v-gone", protection="software")
        assert alone.enroll("v-gone").returncode == 0
        os.kill(json.loads((alone.dir / "lab/pids/ndes.json").read_text())["pid"], signal.SIGKILL)
        expect(diagnose(alone, "v-gone"), "tcp-failed", "revocation-unreachable", "renewal-ok")


def test_program_with_the_old_key(lab):
    lab.add("v-held")
    assert lab.enroll("v-held").returncode == 0
    expect(diagnose(lab, "v-held"), "consumers-none")
    with Holder(lab, "ksp:v-held") as holder:
        assert f"pid {holder.process.pid}" in diagnose(lab, "v-held")["consumers-ok"]["observed"]
        assert lab.enroll("v-held").returncode == 0
        found = diagnose(lab, "v-held")
        expect(found, "consumers-old")
        assert found["consumers-old"]["observed"].endswith(f"pid {holder.process.pid}")
        assert holder.tell("sign") == "ok"
    expect(diagnose(lab, "v-held"), "consumers-none")


def test_profile_is_gone(lab):
    lab.add("c-orphan")
    assert lab.enroll("c-orphan").returncode == 0
    identity = lab.json("show", "c-orphan")["id"]
    assert lab.scepter("profile", "remove", "c-orphan").returncode == 0
    expect(diagnose(lab, identity), "profile-removed", "certificate-ok", "ca-ok")


def test_damaged_profile(lab):
    lab.add("c-profile")
    identity = lab.json("profile", "show", "c-profile")["id"]
    (lab.state / "profiles" / identity / "profile.json").write_text("{")
    expect(diagnose(lab, "c-profile"), "profile-unreadable")


def test_lost_root(lab):
    lab.add("c-root")
    (lab.state / "profiles" / lab.json("profile", "show", "c-root")["id"] / "root.pem").unlink()
    expect(diagnose(lab, "c-root"), "profile-no-root")


def test_key_encipherment_alone(lab):
    text = lab.profile_text("p-usage").replace("KeyUsage=digitalSignature keyEncipherment", "KeyUsage=keyEncipherment")
    assert lab.scepter("profile", "add", lab.write("usage.profile", text)).returncode == 0
    expect(diagnose(lab, "p-usage"), "profile-key-encipherment")


PROFILES = [
    # name, settings, codes
    ("variable", {"subject": "CN={{IMEI}}"}, ["profile-variable"]),
    ("no-challenge", {"challenge": None}, ["challenge-none"]),
    ("ask", {}, ["challenge-needed"]),
    ("characters", {"challenge": "Grüße-1234567890"}, ["challenge-characters"]),
    ("waiting", {"challenge": "0123456789ABCDEF"}, ["challenge-ready"]),
]


@pytest.mark.parametrize("name,settings,codes", PROFILES, ids=[row[0] for row in PROFILES])
def test_profile(lab, name, settings, codes):
    secret = settings.get("challenge", "")
    if secret:
        settings = {**settings, "challenge": f"file:{lab.write(name, secret, 0o600)}"}
    if secret is None:
        text = lab.profile_text(f"p-{name}").replace("Challenge=ask\n", "")
        assert lab.scepter("profile", "add", lab.write("no.profile", text)).returncode == 0
    else:
        lab.add(f"p-{name}", **settings)
    expect(diagnose(lab, f"p-{name}"), *codes)


def test_challenge_that_waited_too_long(lab):
    lab.add("p-old", challenge=f"file:{lab.write('old', '0123456789ABCDEF', 0o600)}")
    stored = lab.state / "profiles" / lab.json("profile", "show", "p-old")["id"] / "challenge"
    long_ago = time.time() - 7200
    os.utime(stored, (long_ago, long_ago))
    expect(diagnose(lab, "p-old"), "challenge-old")


def test_certificate_of_another_life(lab, ndes):
    """The CA gives two minutes where a year was asked for: a difference, and a renewal that is due at once."""
    lab.add("c-short", san="AlternativeName=dns:pc1.contoso.com\nValidity=1 years")
    ndes("set", "lifetime", "2m")
    assert lab.enroll("c-short").returncode == 0
    found = diagnose(lab, "c-short")
    expect(found, "certificate-deviates")


# The TPM and the host's secret.

def tpm2(lab, program, *arguments):
    done = lab.run(program, "-T", lab.env["LAB_TCTI"], *arguments)
    assert done.returncode == 0, done.stderr


def locked_out(lab):
    """One wrong password where one is allowed."""
    context = lab.files / "context"
    tpm2(lab, "tpm2_dictionarylockout", "--setup-parameters", "--max-tries=1", "--recovery-time=1000",
         "--lockout-recovery-time=1000")
    tpm2(lab, "tpm2_createprimary", "-Q", "-G", "ecc", "-p", "right", "-c", context)
    refused = lab.run("tpm2_create", "-T", lab.env["LAB_TCTI"], "-Q", "-C", context, "-P", "wrong", "-u", lab.files / "public")
    assert refused.returncode != 0
    tpm2(lab, "tpm2_flushcontext", "-t")


def owned(lab):
    """The service has its storage key until it is started again."""
    tpm2(lab, "tpm2_changeauth", "-c", "owner", "secret")
    lab.daemon("restart")


def killed(lab):
    os.kill(tpm_process(lab)[0], signal.SIGKILL)


TPM = [
    # name, what is done to the TPM (None: there is none), protection, algorithm, codes
    ("healthy", lambda _: None, "tpm", "rsa-2048", ["keys-tpm"]),
    ("absent", None, "tpm", "rsa-2048", ["keys-tpm-absent"]),
    ("absent-preferred", None, "tpm-preferred", "rsa-2048", ["keys-fall-back", "keys-software"]),
    ("software", None, "software", "rsa-2048", ["keys-software"]),
    ("rsa-4096", lambda _: None, "tpm", "rsa-4096", ["keys-not-supported"]),
    ("rsa-4096-preferred", lambda _: None, "tpm-preferred", "rsa-4096", ["keys-fall-back", "keys-software"]),
    ("killed", killed, "tpm", "rsa-2048", ["keys-tpm-failed"]),
    ("killed-preferred", killed, "tpm-preferred", "rsa-2048", ["keys-tpm-failed"]),
    ("lockout", locked_out, "tpm", "rsa-2048", ["keys-tpm", "keys-tpm-lockout"]),
    ("owned", owned, "tpm", "rsa-2048", ["keys-tpm-owner-auth"]),
]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, so that the service is another user")
def test_tpm_of_others():
    """A device node that the service may not open."""
    with labs.lab() as lab:
        node = lab.dir / "tpmrm0"
        node.touch(0o000)
        conf = lab.dir / "lab/etc/scepter.conf"
        conf.write_text(conf.read_text().replace(lab.env["LAB_TCTI"], f"device:{node}"))
        lab.daemon("restart")
        lab.add("others", protection="tpm-preferred")
        expect(diagnose(lab, "others"), "keys-tpm-permission")


def test_host_secret():
    with labs.lab("--no-tpm") as lab:
        (lab.dir / "lab/etc/host.key").unlink()
        lab.daemon("restart")
        lab.add("secret")
        expect(diagnose(lab, "secret"), "keys-host-secret")


def test_key_of_the_last_request():
    """The TPM was gone when the request was to be made; it is there again."""
    with labs.lab() as lab:
        lab.add("request-key", protection="tpm")
        killed(lab)
        assert lab.enroll("request-key").returncode == 5
        found = diagnose(lab, "request-key")
        expect(found, "keys-tpm-failed", "request-key")


@pytest.mark.parametrize("name,change,protection,algorithm,codes", TPM, ids=[row[0] for row in TPM])
def test_tpm(name, change, protection, algorithm, codes):
    with labs.lab(*(() if change else ("--no-tpm",))) as lab:
        if change:
            change(lab)
        lab.add(name, protection=protection, algorithm=algorithm)
        expect(diagnose(lab, name), *codes)


def test_tpm_that_was_cleared():
    with labs.lab() as lab:
        lab.add("cleared", protection="tpm")
        assert lab.enroll("cleared").returncode == 0
        tpm2(lab, "tpm2_clear")
        expect(diagnose(lab, "cleared"), "certificate-key-lost")


# What a diagnosis is for the others.

def test_healthy_is_no_fault():
    """Nothing to say against a healthy set-up, before and after an enrollment, and nothing was spent or changed."""
    with labs.lab() as lab:
        lab.add("healthy", protection="tpm-preferred", challenge=f"file:{lab.challenge()}")
        before = diagnose(lab, "healthy")
        assert not every(before, "fault")
        assert lab.scepter("enroll", "healthy", "--wait").returncode == 0  # the challenge is still good
        files = {path: path.stat().st_mtime_ns for path in lab.state.rglob("*") if path.is_file()}
        issued = lab.ndes("issued")
        found = diagnose(lab, "healthy")
        assert not every(found, "fault")
        assert {"profile-ok", "keys-tpm", "dns-ok", "tcp-ok", "clock-ok", "url-policy-module", "caps-ok", "ca-ok", "request-ok",
                "certificate-ok", "revocation-ok", "consumers-none", "renewal-ok"} <= every(found, "ok")
        assert files == {path: path.stat().st_mtime_ns for path in lab.state.rglob("*") if path.is_file()}
        assert lab.ndes("issued") == issued
        # each way to name it, and none: the same
        identity = lab.json("show", "healthy")["id"]
        assert list(diagnose(lab, identity)) == list(found)
        done = lab.scepter("diagnose")
        assert done.returncode == 0 and "There is no fault" in done.stdout, done.stdout
        assert not every(diagnose(lab, lab.url), "fault")


def test_steps_come_in_the_order_of_the_communication(lab):
    lab.add("order")
    steps = [finding["step"] for finding in diagnose(lab, "order").values()]
    assert steps == sorted(steps, key=STEPS.index)


def test_several_servers(lab):
    """Each is looked at, in the profile's order; one that is down is a fault though the other answers."""
    second = lab.url.replace("127.0.0.1", "localhost")
    lab.add("several", url=f"{lab.url}\nUrl={away(lab)['url']}\nUrl={second}")
    done = lab.scepter("diagnose", "several", "--json")
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    names = [finding["observed"].partition(": ")[0] for finding in findings if finding["step"] == "dns"]
    assert done.returncode == 1 and names[0] == lab.url and names[2] == second, names
    assert [finding["code"] for finding in findings if finding["step"] in ("tcp", "ca")] == \
        ["tcp-ok", "ca-ok", "tcp-failed", "tcp-ok", "ca-ok"]


def test_nothing_here():
    with labs.lab("--no-tpm") as lab:
        done = lab.scepter("diagnose", "--json")
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["code"] for line in done.stdout.splitlines()] == ["profile-none", "keys-fall-back",
                                                                                  "keys-software"]
        done = lab.scepter("diagnose")
        assert "[profile-none]" in done.stdout and "→" in done.stdout, done.stdout


def test_text_names_code_and_remedy(lab):
    lab.add("text", **away(lab))
    done = lab.scepter("diagnose", "text", "--no-color")
    assert done.returncode == 1
    fault = next(line for line in done.stdout.splitlines() if line.startswith("fault"))
    assert "tcp" in fault and "[tcp-failed]" in fault and "→" in done.stdout
    assert done.stdout.rstrip().endswith("There are faults.")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_users(lab):
    """Another user's objects are not there; URLs and the device's certificates are an administrator's."""
    alice = pwd.getpwnam(ALICE).pw_uid
    lab.add("c-hidden")
    assert lab.enroll("c-hidden").returncode == 0
    path = lab.json("show", "c-hidden")["path"]
    for target, status, says in [("c-hidden", 4, ""), ("nothing", 3, "neither"), (lab.url, 4, "administrator")]:
        done = lab.scepter("diagnose", target, user=alice)
        assert done.returncode == status and says in done.stderr, (target, done.returncode, done.stderr)
    hidden = lab.run("busctl", f"--address={lab.env['DBUS_SYSTEM_BUS_ADDRESS']}", "call", "org.scepter1", "/org/scepter1",
                     "org.scepter1.Manager", "Diagnose", "sa{sv}", "/org/scepter1/Certificate/0", "0", user=alice)
    assert hidden.returncode != 0 and "Call failed" in hidden.stderr, hidden.stderr
    assert path
    # of all profiles, those that are his to diagnose
    text = lab.profile_text("p-alice", type="user", subject="CN={{UserName}}", san="")
    assert lab.scepter("profile", "add", lab.write("alice.profile", text), "--user", user=alice).returncode == 0
    done = lab.scepter("diagnose", "--json", user=alice)
    found = {finding["code"]: finding for finding in map(json.loads, done.stdout.splitlines())}
    expect(found, "dns-local")
    done = lab.scepter("diagnose", user=alice)
    assert "administrator" in done.stdout and "[dns-local]" in done.stdout, done.stdout


def test_callers_that_go_away(lab):
    """Many at once, some killed in the midst: the others get their answer, and no descriptor is closed twice or kept."""
    lab.add("many")
    kept = len(os.listdir(f"/proc/{lab.daemon_pid()}/fd"))
    for _ in range(8):
        running = [subprocess.Popen([labs.BUILD / "bin/scepter", "diagnose", "many", "--json"], env=lab.env,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(24)]
        for process in running[::4]:
            process.kill()
        for number, process in enumerate(running):
            output, errors = process.communicate(timeout=60)
            if number % 4 and process.returncode:
                assert "diagnosis at a time" in output + errors, (output, errors)
    lab.serves()
    assert not every(diagnose(lab, "many"), "fault")
    lab.until(lambda: len(os.listdir(f"/proc/{lab.daemon_pid()}/fd")) <= kept + 1)  # those whose callers went away end
