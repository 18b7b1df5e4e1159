"""EC keys over SCEP: who signs the message, how the reply reaches an EC key, and what of that is refused."""
import contextlib
import json

import pytest

import labs
from test_renewal import events, ready, requests, set_clock, until

NAMES = {"ec-p256": "prime256v1", "ec-p384": "secp384r1"}


def heal(lab):
    lab.ndes("reset")
    lab.ndes("set", "lifetime", "2d")


@contextlib.contextmanager
def renewing(*options):
    with labs.lab(*options) as made:
        heal(made)
        yield made


@pytest.fixture(scope="module")
def lab():
    with renewing() as made:
        yield made


@pytest.fixture
def ndes(lab):
    yield lab.ndes
    heal(lab)


def switch(lab, words):
    for one in filter(None, words.split(", ")):
        lab.ndes("set", *one.split())


def record(lab, name):
    return json.loads((lab.certificate(name) / "record.json").read_text())


def key_of(lab, name):
    """The kind of the key in the installed certificate."""
    text = lab.run("openssl", "x509", "-in", lab.certificate(name) / "current/cert.pem", "-noout", "-text").stdout
    return next((curve for curve in NAMES.values() if f"ASN1 OID: {curve}" in text), "RSA")


def is_ours(lab, name, shown, algorithm="ec-p256", protection="software"):
    """Never another type of key than the one that was asked for; and it works."""
    assert key_of(lab, name) == NAMES[algorithm] and shown["keyAlgorithm"] == algorithm
    assert shown["keyProtection"] == protection
    assert lab.scepter("key", "test", name).returncode == 0
    left = {path.name for path in (lab.certificate(name) / "current").resolve().iterdir()}
    assert left == {"key.pem", "cert.pem", "chain.pem"}


FIRST = [
    # name, switches, protection, algorithm, the way that worked
    ("transport", "", "software", "ec-p256", False),
    ("kari", "foreign-signer refuse, ec-reply kari", "software", "ec-p256", True),
    ("kari-400", "foreign-signer http-400, ec-reply kari", "software", "ec-p256", True),
    ("kari-384", "foreign-signer refuse, ec-reply kari, reply-shape rfc", "software", "ec-p384", True),
    ("kari-sha1-256", "foreign-signer refuse, ec-reply kari, kari-kdf sha1, kari-wrap aes256", "software", "ec-p256", True),
    ("kari-512-192", "foreign-signer refuse, ec-reply kari, kari-kdf sha512, kari-wrap aes192, encoding ber", "software",
     "ec-p256", True),
    ("kari-null", "foreign-signer refuse, ec-reply kari, kari-form null", "tpm", "ec-p256", True),
    ("kari-named", "foreign-signer refuse, ec-reply kari, kari-form named", "tpm", "ec-p384", True),
    ("kari-ukm", "foreign-signer refuse, ec-reply kari, kari-form ukm, kari-kdf sha1", "software", "ec-p256", True),
    ("kari-tpm", "foreign-signer refuse, ec-reply kari, reply-shape rfc", "tpm", "ec-p256", True),
    ("kari-tpm-384", "foreign-signer refuse, ec-reply kari, kari-kdf sha384", "tpm", "ec-p384", True),
    ("pwri", "foreign-signer refuse, ec-reply pwri", "software", "ec-p256", True),
    ("pwri-none", "foreign-signer refuse, ec-reply pwri, pwri-prf none, reply-shape rfc", "software", "ec-p256", True),
    ("pwri-512", "foreign-signer refuse, ec-reply pwri, pwri-prf sha512, pwri-iterations 100000, encoding ber", "software",
     "ec-p256", True),
    ("pwri-tpm", "foreign-signer refuse, ec-reply pwri", "tpm", "ec-p256", True),
    ("ec-ca", "ca-key ec", "software", "ec-p256", False),
    ("ec-ca-kari", "ca-key ec, foreign-signer refuse, ec-reply kari", "tpm", "ec-p256", True),
]


@pytest.mark.parametrize("name,switches,protection,algorithm,direct", FIRST, ids=[row[0] for row in FIRST])
def test_T3_first_enrollment(lab, ndes, name, switches, protection, algorithm, direct):
    """T3: an EC key in the request, and a reply by key transport, KeyAgreeRecipientInfo or PasswordRecipientInfo."""
    switch(lab, switches)
    shown = ready(lab, name, protection=protection, algorithm=algorithm)
    is_ours(lab, name, shown, algorithm, protection)
    assert record(lab, name)["direct"] is direct
    refused = events(lab, name, "RENEW_REFUSED")
    assert [event["method"] for event in refused] == ["challenge"] * direct


FAULTS = [
    # name, switches beside "foreign-signer refuse", error, what it says
    ("other-recipient", "ec-reply kari, kari-fault other-recipient", "InvalidReply", "another certificate"),
    ("other-curve", "ec-reply kari, kari-fault other-curve", "InvalidReply", "no point of the curve"),
    ("other-named", "ec-reply kari, kari-fault other-curve, kari-form named", "InvalidReply", "not of the curve"),
    ("off-curve", "ec-reply kari, kari-fault off-curve", "InvalidReply", "no point of the curve"),
    ("cut-agreement", "ec-reply kari, kari-fault truncated", "InvalidReply", "wrapped key of the reply has"),
    ("unknown-kdf", "ec-reply kari, kari-kdf unknown", "ServerAlgorithm", "1.3.6.1.4.1.55555.1"),
    ("unknown-wrap", "ec-reply kari, kari-wrap unknown", "ServerAlgorithm", "1.3.6.1.4.1.55555.1"),
    ("ten-million", "ec-reply pwri, pwri-iterations 10000000", "ServerAlgorithm", "10000000 iterations"),
    ("unknown-prf", "ec-reply pwri, pwri-prf unknown", "ServerAlgorithm", "1.3.6.1.4.1.55555.1"),
    ("cut-password", "ec-reply pwri, pwri-fault truncated", "InvalidReply", "length that cannot be"),
    ("other-password", "ec-reply pwri, pwri-fault other-password", "InvalidReply", "another password than the challenge"),
]


@pytest.mark.parametrize("name,switches,error,says", FAULTS, ids=[row[0] for row in FAULTS])
def test_T3_broken_reply(lab, ndes, name, switches, error, says):
    """A named error, nothing installed, and the same key at the next attempt."""
    name = f"b-{name}"
    lab.add(name, algorithm="ec-p256", protection="tpm")
    switch(lab, "foreign-signer refuse, reply-shape rfc, " + switches)
    done = lab.enroll(name, "--json")
    told = json.loads(done.stdout)["error"]
    assert done.returncode == 6 and told["name"] == error and says in told["message"] and told["remedy"], told
    home = lab.certificate(name)
    assert lab.json("show", name)["health"] == "none" and not (home / "current").exists()
    key = (home / "generations/1/key.pem").read_text()
    heal(lab)
    assert lab.enroll(name).returncode == 0
    assert (home / "current/key.pem").read_text() == key and key_of(lab, name) == NAMES["ec-p256"]


def test_pending_over_a_restart(lab, ndes):
    """A first request signed by the EC key waits; the daemon is killed; the reply comes by the challenge."""
    switch(lab, "foreign-signer refuse, ec-reply pwri, pending approve")
    lab.add("waits", algorithm="ec-p256", protection="tpm")
    assert lab.enroll("waits").returncode == 8
    home = lab.certificate("waits")
    before = record(lab, "waits")
    request = (home / "generations/1/request.der").read_bytes()
    lab.daemon("kill")
    lab.daemon("restart")
    lab.wait_for("waits", "pending")
    ndes("approve")
    set_clock(lab, before["next_poll"] + 1)
    shown = lab.wait_for("waits", "idle")
    assert request and record(lab, "waits")["direct"] and requests(lab, "waits")[-1] == 20
    is_ours(lab, "waits", shown, protection="tpm")


@pytest.mark.parametrize("how,says", [("refuse", "badAlg"), ("http-500", "HTTP 500")])
def test_refused_both_ways(lab, ndes, how, says):
    """What the first way was refused for is what is told, beside what the second one was."""
    switch(lab, f"wrong-challenge always, ec-reply {how}")
    lab.add(f"twice-{how}", algorithm="ec-p256")
    done = lab.enroll(f"twice-{how}", "--json")
    told = json.loads(done.stdout)["error"]
    assert done.returncode == 6 and told["name"] == "ServerRefused", told
    assert told["message"].index("badRequest") < told["message"].index("the EC key itself") < told["message"].index(says)
    assert "challenge" in told["remedy"]
    assert not (lab.certificate(f"twice-{how}") / "generations/1/challenge").exists()
    assert not record(lab, f"twice-{how}")["retry_at"]


def test_http_refusals_are_no_last_word(lab, ndes):
    """Both ways were refused by HTTP alone: the next attempt begins with the first one again, challenge and key kept."""
    switch(lab, "http-status 404, fault-on pki, ec-reply kari, wrong-challenge always")
    lab.add("again", algorithm="ec-p256")
    done = lab.enroll("again", "--json")
    assert json.loads(done.stdout)["error"]["name"] == "HttpError"
    left = record(lab, "again")
    assert left["method"] == "" and left["refused"] == 0 and left["retry_at"]
    home = lab.certificate("again") / "generations/1"
    assert (home / "challenge").exists() and (home / "key.pem").exists()
    heal(lab)
    set_clock(lab, left["retry_at"] + 1)
    is_ours(lab, "again", until(lab, "again", lambda shown: shown["activity"] == "idle"))


def test_a_failing_server_gets_the_same_message(lab, ndes):
    """It answers 500, the work done and the challenge used up: no other way is tried, the same request brings it."""
    switch(lab, "http-status 500, fault-on pki, ec-reply kari")
    lab.add("same", algorithm="ec-p256")
    assert json.loads(lab.enroll("same", "--json").stdout)["error"]["name"] == "HttpError"
    left = record(lab, "same")
    assert left["method"] == "challenge" and left["refused"] == 0
    heal(lab)
    set_clock(lab, left["retry_at"] + 1)
    is_ours(lab, "same", until(lab, "same", lambda shown: shown["activity"] == "idle"))
    assert requests(lab, "same") == [19, 19]
    sent = [event["sha256"] for event in map(json.loads, lab.ndes("log", "4003").splitlines())
            if event["transaction"] == left["transaction"]]
    assert len(sent) == 2 and len(set(sent)) == 1


def test_a_certificate_for_another_type_of_key(lab, ndes):
    """A server that issues for an RSA key what was asked for an EC key: refused, nothing installed."""
    switch(lab, "wrong-key on, foreign-signer refuse, ec-reply kari")
    lab.add("silent", algorithm="ec-p256")
    done = lab.enroll("silent", "--json")
    assert json.loads(done.stdout)["error"]["name"] == "CertificateRefused"
    assert not (lab.certificate("silent") / "current").exists()


@pytest.mark.parametrize("protection", ["tpm", "software"])
def test_applications_agree_on_keys(lab, protection):
    """OpenSSL opens what was encrypted to the certificate, by the key socket; another key does not open it."""
    for name in (f"opens-{protection}", f"other-{protection}"):
        ready(lab, name, algorithm="ec-p256", protection=protection)
    certificate = lab.certificate(f"opens-{protection}") / "current/cert.pem"
    sealed, opened = lab.files / "sealed", lab.files / "opened"
    done = lab.run("openssl", "cms", "-encrypt", "-binary", "-aes256", "-in", lab.write("plain", "to be read"), "-outform", "der",
                   "-out", sealed, certificate)
    assert done.returncode == 0, done.stderr
    for name, works in ((f"opens-{protection}", True), (f"other-{protection}", False)):
        opened.unlink(missing_ok=True)
        done = lab.openssl("cms", "-decrypt", "-provider", "default", "-provider", "ksp", "-binary", "-inform", "der", "-in",
                           sealed, "-out", opened, "-inkey", f"ksp:{name}", "-recip", certificate)
        assert (done.returncode == 0) == works, done.stderr
        assert (opened.exists() and opened.read_text() == "to be read") == works
