"""The CA beside issuing: the one that comes next."""
import os

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from conftest import need, run
from device import Device, certificates, is_ca

from ndes import messages

PADDING = PKCS1v15(), hashes.SHA256()


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def pem_of(*certificates_wanted):
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates_wanted)


def next_certificate(responder, folder, trusted):
    """What GetNextCACert brings, if OpenSSL finds it signed by @trusted."""
    body = responder.get("GetNextCACert")[2]
    path, out = write(folder, "next.der", body), os.path.join(folder, "next.p7")
    result = run("openssl", "cms", "-verify", "-inform", "der", "-in", path, "-CAfile",
                 write(folder, "trusted.pem", pem_of(trusted)), "-partial_chain", "-purpose", "any", "-binary", "-out", out,
                 check=False)
    if result.returncode:
        return None
    with open(out, "rb") as file:
        return certificates(file.read())[0]


@pytest.mark.parametrize("single_tier", ["off", "on"])
def test_rollover(responder, folder, single_tier):
    need("openssl")
    responder.set(single_tier=single_tier)
    device = Device(responder)
    present = [one for one in device.ca_certificates() if is_ca(one)][0]
    responder.set(rollover="forged")
    assert next_certificate(responder, folder, present) is None
    responder.set(rollover="on")
    coming = next_certificate(responder, folder, present)
    assert coming.subject == present.subject and coming.public_key().public_numbers() != \
        present.public_key().public_numbers()
    # Encrypted to the next CA: the certificate comes from it (RFC 8894 5.1).
    early, now = device.enroll(to=coming).certificate(), device.enroll().certificate()
    coming.public_key().verify(early.signature, early.tbs_certificate_bytes, *PADDING)
    present.public_key().verify(now.signature, now.tbs_certificate_bytes, *PADDING)
    responder.set(rollover="done")
    assert coming in device.ca_certificates() and present not in device.ca_certificates()
    late = device.enroll().certificate()
    coming.public_key().verify(late.signature, late.tbs_certificate_bytes, *PADDING)


@pytest.mark.parametrize("how", ["pwri", "kari"])
def test_reply_to_an_ec_key(responder, folder, how):
    """OpenSSL opens it: with the challenge as a password, or with the key."""
    need("openssl")
    responder.set(ec_reply=how, reply_shape="rfc")
    challenge, device = responder.challenge(), Device(responder, "ec", "ec")
    reply = device.enroll(challenge)
    envelope, out = write(folder, "envelope.der", reply.content), os.path.join(folder, "out")
    key = write(folder, "key.pem", device.signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    signer = write(folder, "signer.der", device.signer.der)
    run("openssl", "x509", "-inform", "der", "-in", signer, "-out", signer + ".pem")
    how_to_open = ["-pwri_password", challenge] if how == "pwri" else ["-inkey", key, "-recip", signer + ".pem"]
    run("openssl", "cms", "-decrypt", "-inform", "der", "-in", envelope, "-binary", "-out", out, *how_to_open)
    with open(out, "rb") as file:
        issued = [one for one in certificates(file.read()) if not is_ca(one)][0]
    assert issued.public_key().public_numbers() == device.key.public_key().public_numbers()


def test_ec_without_a_challenge(responder):
    """No password, no reply by password; nothing is issued for it."""
    responder.set(ec_reply="pwri")
    reply = Device(responder, "ec", "ec").enroll(None)
    assert (reply.status, reply.fail_info) == ("2", str(messages.BAD_ALG)) and responder.issued() == 0
