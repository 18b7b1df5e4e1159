"""Every switch of the reply and of the certificate does what it says: requests by strongSwan, replies read with
the OpenSSL program."""
import datetime
import os
import re
import subprocess

import pytest
from conftest import certificate_text, need, run


def attribute(text, dotted):
    """The value of a signed attribute as openssl prints it; None: there is none."""
    value = r"\s*(?:set|value\.set):\s*(\S[^\n]*(?:\n\s+[0-9a-f]{4} -[^\n]*)*)"
    match = re.search(re.escape(f"({dotted})") + value, text)
    return match[1].strip() if match else None


class Reply:
    """A recorded CertRep, read with openssl; opened with the requester's key."""

    def __init__(self, responder, key, signer):
        self.path, self.key, self.signer = responder.recorded("reply"), key, signer
        self.folder = os.path.dirname(self.path)
        self.text = run("openssl", "cms", "-cmsout", "-print", "-inform", "der", "-in", self.path).stdout

    def attribute(self, dotted):
        return attribute(self.text, dotted)

    def content(self):
        """The envelope; the signature has to be right, by the agent's certificate or one in the reply."""
        out = self.path + ".content"
        run("openssl", "cms", "-verify", "-noverify", "-certfile", self.signer, "-inform", "der", "-in", self.path,
            "-out", out, "-binary")
        return out

    def certificate(self, name="leaf.pem"):
        """What stands in the envelope first."""
        envelope, opened = self.content(), self.path + ".opened"
        run("openssl", "cms", "-decrypt", "-inform", "der", "-in", envelope, "-inkey", self.key, "-out", opened,
            "-binary", "-provider", "legacy", "-provider", "default")
        text = run("openssl", "pkcs7", "-inform", "der", "-in", opened, "-print_certs").stdout
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text[text.index("-----BEGIN"):text.index("-----END CERTIFICATE-----") + 26])
        return path

    def envelope_text(self):
        return run("openssl", "cms", "-cmsout", "-print", "-inform", "der", "-in", self.content()).stdout


@pytest.fixture
def ask(responder, strongswan):
    """Sets switches, sends a fresh request, and gives the reply; strongSwan itself may refuse it."""
    need("openssl")
    responder.set(record="on")

    def send(**switches):
        responder.set(**switches)
        _, key, _ = strongswan.enroll(responder.challenge(), more=("--interval", "1", "--maxpolltime", "1"),
                                      check=False)
        return Reply(responder, key, strongswan.sign)
    return send


STATUS, FAIL_INFO, TRANSACTION = "2.16.840.1.113733.1.9.3", "2.16.840.1.113733.1.9.4", "2.16.840.1.113733.1.9.7"
RECIPIENT_NONCE, SCEP_ERROR = "2.16.840.1.113733.1.9.6", "1.3.6.1.4.1.311.21.33"


def test_shapes(ask):
    reply = ask(reply_shape="rfc")
    assert reply.attribute(STATUS) == "PRINTABLESTRING:0"
    assert "algorithm: sha256" in reply.text and "signingTime" in reply.text and "d.certificate:" in reply.text
    assert "rsaEncryption" in reply.text.split("signatureAlgorithm:")[-1]
    assert "aes-128-cbc" in reply.envelope_text()
    reply = ask(reply_shape="ndes")
    assert "algorithm: sha1" in reply.text and "signingTime" not in reply.text and "d.certificate:" not in reply.text
    assert "des-ede3-cbc" in reply.envelope_text()


def test_failure_shapes(ask):
    reply = ask(reply_shape="ndes", wrong_challenge="always")
    assert reply.attribute(STATUS) == "PRINTABLESTRING:2" and reply.attribute(FAIL_INFO) == "PRINTABLESTRING:2"
    assert reply.attribute(SCEP_ERROR) == "PRINTABLESTRING:-2147024809"
    assert "eContent: \n" in reply.text and "0000 - 00" in reply.text
    reply = ask(reply_shape="rfc")
    assert reply.attribute(SCEP_ERROR) is None and "<ABSENT>" in reply.text.split("eContent:")[1][:20]
    assert ask(wrong_challenge="off", fail_info="3").attribute(FAIL_INFO) == "PRINTABLESTRING:3"
    assert ask(fail_info="off", pki_status="1").attribute(STATUS) == "PRINTABLESTRING:1"
    assert ask(pki_status="off", pending="9").attribute(STATUS) == "PRINTABLESTRING:3"


@pytest.mark.parametrize("cipher, name", [("des", "des-cbc"), ("des3", "des-ede3-cbc"), ("aes", "aes-128-cbc"),
                                          ("aes256", "aes-256-cbc")])
def test_ciphers(ask, cipher, name):
    reply = ask(cipher=cipher)
    assert f"algorithm: {name}" in reply.envelope_text()
    assert "CN = ss1" in certificate_text(reply.certificate())


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
def test_digests(ask, digest):
    reply = ask(digest=digest, signature="full")
    assert f"algorithm: {digest}" in reply.text
    assert f"{digest}WithRSAEncryption" in reply.text.split("signatureAlgorithm:")[-1]


def test_encoding_and_transport(ask):
    reply = ask(encoding="ber")
    with open(reply.path, "rb") as file:
        assert file.read(2) == b"\x30\x80"
    assert "CN = ss1" in certificate_text(reply.certificate())
    assert "rsaesOaep" in ask(transport="oaep").envelope_text()


def test_lies(responder, ask):
    honest = ask()
    with open(responder.recorded("request"), "rb") as file:
        request = subprocess.run(["openssl", "cms", "-cmsout", "-print", "-inform", "der"], stdin=file,
                                 stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode()
    assert honest.attribute(TRANSACTION).split(":")[1] in request
    assert honest.attribute(RECIPIENT_NONCE)
    transaction = responder.events(4003)[-1]["transaction"]
    assert transaction == honest.attribute(TRANSACTION).split(":")[1]
    lie = ask(wrong_transaction="on")
    assert responder.events(4003)[-1]["transaction"] != lie.attribute(TRANSACTION).split(":")[1]
    responder.set(wrong_transaction="off")
    assert "Stranger" in ask(unknown_signer="on").text
    certificate = ask(unknown_signer="off", wrong_key="on").certificate()
    public = run("openssl", "x509", "-in", certificate, "-noout", "-pubkey").stdout
    assert public != run("openssl", "pkey", "-in", ask().key, "-pubout").stdout
    assert "CN = somebody-else" in certificate_text(ask(wrong_key="off", wrong_subject="on").certificate())


def test_wrong_nonce(responder, ask):
    """Read from the messages: strongSwan itself does not look at it."""
    for lie in (False, True):
        reply = ask(wrong_nonce="on" if lie else "off")
        request = responder.recorded("request")
        printed = run("openssl", "cms", "-cmsout", "-print", "-inform", "der", "-in", request).stdout
        sent = attribute(printed, "2.16.840.1.113733.1.9.5")
        assert sent and reply.attribute(RECIPIENT_NONCE)
        assert (reply.attribute(RECIPIENT_NONCE) == sent) != lie


def test_what_is_left_out(ask):
    text = certificate_text(ask(drop_eku="on").certificate())
    assert "Extended Key Usage" not in text and "ss1.example.com" in text
    text = certificate_text(ask(drop_eku="off", drop_san="on", drop_ku="on").certificate())
    assert "Alternative Name" not in text and "X509v3 Key Usage" not in text and "Client Authentication" in text


def test_life(responder, ask):
    def life(**switches):
        ask(**switches)
        event = responder.events(4006)[-1]
        start, end = (datetime.datetime.fromisoformat(event[name]) for name in ("notBefore", "notAfter"))
        return (end - start).total_seconds()

    assert life() == 365 * 86400
    assert life(lifetime="90s") == 90
    assert life(backdate="10m") == 90 + 600
    assert life(lifetime="30d", backdate="0") == 30 * 86400


def test_order(ask):
    assert "CN = ss1" in certificate_text(ask(order="leaf-first").certificate())
    assert "Subject: C = US, O = Lab, CN = Lab Issuing CA" in certificate_text(ask(order="ca-first").certificate())


def test_stale_renewal(responder, strongswan):
    responder.set(stale="on")
    certificate, key, _ = strongswan.enroll(responder.challenge())
    strongswan.enroll(more=("--cert", certificate, "--key", key), check=False)
    serials = [event["serial"] for event in responder.events(4006)]
    assert serials[0] == serials[1] and responder.events(4006)[1]["stale"]


def test_expired_agents(responder, strongswan):
    responder.set(ra_expired="on")
    strongswan.get_ca()
    _, _, body = responder.get("GetCACert")
    found = subprocess.run(["openssl", "pkcs7", "-inform", "der", "-print_certs"], input=body, stdout=subprocess.PIPE,
                           check=True, timeout=60).stdout
    ended = 0
    for part in found.decode().split("-----END CERTIFICATE-----")[:-1]:
        result = subprocess.run(["openssl", "x509", "-noout", "-checkend", "0"], stdout=subprocess.DEVNULL,
                                input=(part[part.index("-----BEGIN"):] + "-----END CERTIFICATE-----\n").encode(),
                                check=False, timeout=60)
        ended += result.returncode
    assert ended == 2
