"""Each reason of the policy module that a device can bring about, and NDES alone, without the module."""
import base64

import pytest
from asn1crypto import core
from device import Device, csr, key_of

from ndes import messages


def altered(challenge, change):
    data = bytearray(base64.b64decode(challenge))
    return base64.b64encode(change(data) or bytes(data)).decode()


def flip(at):
    def change(data):
        data[at] ^= 1
    return change


def intune(r):
    return r.challenge(form="intune")


def used(r):
    challenge = r.challenge()
    assert Device(r).enroll(challenge).status == "0"
    return challenge


CASES = [
    # reason, event, diagnostic, challenge, what the request says besides
    ("ChallengePasswordMissing", 20502, "0x00000410", lambda r: None, {}),
    ("ChallengePasswordMissing", 20502, "0x00000410", lambda r: "", {}),
    ("ChallengeDecryptionError", 20502, "0x00000410", lambda r: "0123456789ABCDEF", {}),
    ("ChallengeDecodingError", 20502, "0x00000410", lambda r: "no base 64", {}),
    ("ChallengeDecodingError", 20502, "0x00000410", lambda r: intune(r)[:-1], {}),
    ("ChallengeDecodingError", 20502, "0x00000410", intune, {"string": core.UTF8String}),
    ("ChallengeDeserializationError", 20502, "0x00000410", lambda r: intune(r)[:400], {}),
    ("ChallengeDeserializationError", 20502, "0x00000410", lambda r: altered(intune(r), flip(0)), {}),
    ("SigningCertThumbprintMismatch", 20502, "0x00000409", lambda r: altered(intune(r), flip(10)), {}),
    ("SignatureValidationFailed", 20502, "0x00000409", lambda r: altered(intune(r), flip(1000)), {}),
    ("ChallengeUsed", 20502, "0x00000410", used, {}),
    ("ChallengeInvalidTimestamp", 20502, "0x00000410", lambda r: r.challenge(starts="1h"), {}),
    ("ChallengeExpired", 20501, "0x00000411", lambda r: r.challenge(lifetime="0"), {}),
    ("SubjectNameMissing", 20501, "0x0FFFFFFF", lambda r: r.challenge(subject="CN=dev1,O=Lab"), {"subject": ""}),
    ("SubjectNameMismatch", 20501, "0x0FFFFFFF", lambda r: r.challenge(subject="CN=dev1"), {}),
    ("SubjectAltNameMissing", 20501, "0x0FFFFFFF", lambda r: r.challenge(san=["dns:dev1.example.com"]), {"dns": None}),
    ("SubjectAltNameMismatch", 20501, "0x0FFFFFFF", lambda r: r.challenge(san=["dns:other"]), {}),
    ("KeyUsageMismatch", 20501, "0x0FFFFFFF", lambda r: r.challenge(ku=128), {}),
    ("KeyLengthMismatch", 20501, "0x0FFFFFFF", lambda r: r.challenge(key_size=3072), {}),
    ("EnhancedKeyUsageMissing", 20501, "0x0FFFFFFF", lambda r: r.challenge(eku=["1.3.6.1.5.5.7.3.2"]), {"ekus": ()}),
    ("EnhancedKeyUsageMismatch", 20501, "0x0FFFFFFF", lambda r: r.challenge(eku=["1.3.6.1.5.5.7.3.4"]), {}),
]


@pytest.fixture(scope="module")
def one(tmp_path_factory, authorities):
    from conftest import Responder
    server = Responder(str(tmp_path_factory.mktemp("reasons")), authorities)
    yield server
    server.stop()


@pytest.fixture
def responder(one):
    yield one
    one.call("reset")


@pytest.mark.parametrize("reason, event, diagnostic, challenge, request_says", CASES,
                         ids=[f"{row[0]}-{index}" for index, row in enumerate(CASES)])
def test_reason(responder, reason, event, diagnostic, challenge, request_says):
    challenge, before = challenge(responder), responder.issued()
    reply = Device(responder).enroll(challenge, **request_says)
    assert (reply.status, reply.fail_info, reply.hresult) == ("2", "2", "-2147024809")
    told = responder.events(20500, 20501, 20502)[-1]
    assert (told["event"], told["diagnostic"], told["reason"]) == (event, diagnostic, reason)
    assert responder.issued() == before


def test_a_request_that_is_none(responder):
    device = Device(responder)
    for payload in (b"\x30\x00", b"nonsense"):
        reply = device.ask(payload)
        assert (reply.status, reply.fail_info) == ("2", "2")
        assert responder.events(20502)[-1]["reason"] == "CertificateRequestDecodingFailed"
    damaged = bytearray(csr(key_of("2048"), responder.challenge()))
    damaged[-1] ^= 1
    assert device.ask(bytes(damaged)).fail_info == str(messages.BAD_MESSAGE_CHECK)


def test_bound_to_all(responder):
    """What is asked for to the letter is issued."""
    challenge = responder.challenge(form="intune", subject="CN=dev1,O=Lab", san=["dns:dev1.example.com"], ku=160,
                                    eku=["1.3.6.1.5.5.7.3.2"], key_size=2048)
    assert Device(responder).enroll(challenge).status == "0"
    assert Device(responder).enroll(challenge).status == "2"


@pytest.mark.parametrize("challenge", [None, "0123456789ABCDEF", "used", "expired", "early"])
def test_without_the_module(responder, challenge):
    """NDES tells nothing but event 29, and the connector nothing at all."""
    made = {"used": used, "expired": lambda r: r.challenge(lifetime="0"), "early": lambda r: r.challenge(starts="1h")}
    responder.set(policy_module="off")
    challenge = made[challenge](responder) if challenge in made else challenge
    before = len(responder.events())
    assert Device(responder).enroll(challenge).status == "2"
    events = [event["event"] for event in responder.events()[before:]]
    assert 29 in events and not [event for event in events if event > 10000]


def test_without_the_module_nothing_is_bound(responder):
    responder.set(policy_module="off", diagnostic="0x408", challenge_reason="Unknown")
    assert Device(responder).enroll(responder.challenge(subject="CN=other", key_size=4096)).status == "0"
    device = Device(responder)
    first = device.enroll()
    assert device.renew(first).status == "0"


def test_events_in_their_order(responder):
    assert Device(responder).enroll(kind=messages.RENEWAL_REQ).status == "2"
    assert "not signed with" in responder.events(28)[0]["reason"]
    before = len(responder.events())
    assert Device(responder).enroll().status == "0"
    assert [event["event"] for event in responder.events()[before:] if event["event"]] == [4003, 20500, 4006, 20600]
