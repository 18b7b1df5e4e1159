"""strongSwan's pki against the responder: enrollment, renewal, polling, refusals."""
import os
import threading

from conftest import certificate_text, chains


def test_enroll(responder, strongswan):
    certificate, _, _ = strongswan.enroll(responder.challenge())
    text = certificate_text(certificate)
    assert "Subject: C = US, O = peer, CN = ss1" in text and "DNS:ss1.example.com" in text
    assert "Digital Signature, Key Encipherment" in text and "TLS Web Client Authentication" in text
    assert chains(responder, certificate)
    assert responder.issued() == 1
    received = responder.events(4003)[0]
    assert (received["messageType"], received["cipher"], received["digest"]) == (19, "aes", "sha256")
    assert responder.events(20500)[0]["diagnosticName"] == "Success"
    assert responder.events(4006)[0]["template"] == "GeneralPurposeTemplate"


def test_renewal_without_challenge(responder, strongswan):
    certificate, key, _ = strongswan.enroll(responder.challenge())
    renewed, _, _ = strongswan.enroll(more=("--cert", certificate, "--key", key))
    assert chains(responder, renewed)
    assert [event["messageType"] for event in responder.events(4003)] == [19, 17]
    assert [event["renewal"] for event in responder.events(4006)] == [False, True]


def test_renewal_refused(responder, strongswan):
    certificate, key, _ = strongswan.enroll(responder.challenge())
    for mode in ("refuse", "type-19", "challenge"):
        responder.set(renewal=mode)
        none, _, errors = strongswan.enroll(more=("--cert", certificate, "--key", key), check=False)
        assert none is None and "badRequest" in errors
    assert [event["event"] for event in responder.events(28, 29)] == [28, 28, 29]
    responder.set(renewal="http-500")
    none, _, errors = strongswan.enroll(more=("--cert", certificate, "--key", key), check=False)
    assert none is None and "HTTP 500" in errors
    assert responder.issued() == 1


def test_pending_is_polled(responder, strongswan):
    responder.set(pending="2")
    certificate, _, _ = strongswan.enroll(responder.challenge(), more=("--interval", "1", "--maxpolltime", "30"))
    assert chains(responder, certificate)
    assert [event["messageType"] for event in responder.events(4003)] == [19, 20, 20]
    assert responder.issued() == 1


def test_approval(responder, strongswan):
    responder.set(pending="approve")
    result = []
    client = threading.Thread(target=lambda: result.append(
        strongswan.enroll(responder.challenge(), more=("--interval", "1", "--maxpolltime", "60"))))
    client.start()
    while not responder.call("state")["waiting"]:
        client.join(0.05)
        assert client.is_alive()
    assert responder.issued() == 0
    assert responder.call("approve") == 1
    client.join(60)
    assert chains(responder, result[0][0]) and responder.issued() == 1


def test_challenge_counts_once(responder, strongswan):
    challenge = responder.challenge()
    strongswan.enroll(challenge)
    none, _, errors = strongswan.enroll(challenge, check=False)
    assert none is None and "badRequest" in errors
    assert responder.events(20502)[0]["reason"] == "ChallengeUsed"
    assert responder.issued() == 1


def test_challenges_are_checked(responder, strongswan):
    def refused(challenge):
        none, _, errors = strongswan.enroll(challenge, check=False)
        assert none is None and "badRequest" in errors
        event = responder.events(20501, 20502)[-1]
        return event["event"], event["diagnostic"], event["reason"]

    assert refused("0123456789ABCDEF") == (20502, "0x00000410", "ChallengeDecryptionError")
    assert refused(None) == (20502, "0x00000410", "ChallengePasswordMissing")
    assert refused(responder.challenge(lifetime="0")) == (20501, "0x00000411", "ChallengeExpired")
    mismatch = (20501, "0x0FFFFFFF")
    assert refused(responder.challenge(subject="CN=other")) == (*mismatch, "SubjectNameMismatch")
    assert refused(responder.challenge(san=["dns:other"])) == (*mismatch, "SubjectAltNameMismatch")
    assert refused(responder.challenge(key_size=4096)) == (*mismatch, "KeyLengthMismatch")
    assert refused(responder.challenge(eku=["1.3.6.1.5.5.7.3.2"])) == (*mismatch, "EnhancedKeyUsageMissing")
    assert refused(responder.challenge(ku=128)) == (*mismatch, "KeyUsageMismatch")
    responder.set(challenge_encoding="printable")
    assert refused(responder.challenge()) == (20502, "0x00000410", "ChallengeDecodingError")
    assert responder.issued() == 0
    responder.set(challenge_encoding="any")
    strongswan.enroll(responder.challenge(subject="CN=ss1,O=peer,C=US", san=["dns:ss1.example.com"], key_size=2048))
    strongswan.enroll(responder.challenge(form="intune"))
    assert responder.issued() == 2


def test_single_tier(responder, strongswan):
    responder.set(single_tier="on")
    strongswan.get_ca()
    certificate, _, _ = strongswan.enroll(responder.challenge())
    assert "Issuer: C = US, O = Lab, CN = Lab Root CA" in certificate_text(certificate)
    assert chains(responder, certificate)


def test_template_missing(responder, strongswan):
    responder.set(template_missing="on")
    assert strongswan.enroll(responder.challenge(), check=False)[0] is None
    assert responder.events(31)[0]["template"] == "GeneralPurposeTemplate"


def test_replay_issues_once(responder, strongswan):
    responder.set(record="on")
    strongswan.enroll(responder.challenge())
    with open(responder.recorded("request"), "rb") as file:
        request = file.read()
    for _ in range(3):
        assert responder.post(request)[0] == 200
    assert responder.issued() == 1
    assert len(os.listdir(os.path.join(responder.layout.ndes, "record"))) == 8


def test_get_in_every_alphabet(responder, strongswan):
    """Escaped, with blanks for plus, base64url, without padding: one and the same message."""
    import base64
    from urllib.parse import quote
    responder.set(record="on")
    strongswan.enroll(responder.challenge())
    with open(responder.recorded("request"), "rb") as file:
        request = file.read()
    plain = base64.b64encode(request).decode()
    assert "+" in plain and "/" in plain
    for text in (quote(plain, safe=""), plain, plain.replace("+", "%20"), plain.rstrip("="),
                 base64.urlsafe_b64encode(request).decode()):
        assert responder.get("PKIOperation", "&message=" + text)[0] == 200
    assert {event["sha256"] for event in responder.events(4003)} == {responder.events(4003)[0]["sha256"]}
    assert responder.issued() == 1
