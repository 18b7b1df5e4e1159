"""The CA beside issuing: the one that comes next."""
import os

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from conftest import need, run
from device import Device, certificates, is_ca

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
