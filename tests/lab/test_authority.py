"""The CA beside issuing: revoking, CRLs, certificates asked for, the CA that comes next."""
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from conftest import LAB, fetch, need, run
from device import Device, certificates, is_ca

from ndes import ber, ca, messages
from parts.layout import LabError

PADDING = PKCS1v15(), hashes.SHA256()


def crl_url(certificate):
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    return points[0].full_name[0].value


def serial(certificate):
    return f"{certificate.serial_number:x}"


def question(certificate, number=None):
    """IssuerAndSerialNumber."""
    return ber.seq(certificate.issuer.public_bytes(), ber.integer(number or certificate.serial_number))


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def pem_of(*certificates_wanted):
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates_wanted)


def test_revoked(responder, folder):
    """OpenSSL takes the certificate until it is revoked."""
    need("openssl")
    issued = Device(responder).enroll().certificate()
    leaf = write(folder, "leaf.pem", pem_of(issued))
    chain = write(folder, "chain.pem", pem_of(*(one for one in Device(responder).ca_certificates() if is_ca(one))))

    def verify():
        status, headers, body = fetch(crl_url(issued))
        assert (status, headers["Content-Type"]) == (200, "application/pkix-crl")
        crl = write(folder, "crl.der", body)
        run("openssl", "crl", "-inform", "der", "-in", crl, "-out", crl + ".pem")
        return run("openssl", "verify", "-CAfile", responder.root, "-untrusted", chain, "-CRLfile", crl + ".pem",
                   "-crl_check", leaf, check=False)

    assert verify().returncode == 0
    run(LAB, "ndes", responder.layout.dir, "revoke", serial(issued))
    result = verify()
    assert result.returncode and "certificate revoked" in result.stdout
    assert [event["event"] for event in responder.events(20400, 20200, 20300)] == [20400, 20200, 20300]
    assert "before" in run(LAB, "ndes", responder.layout.dir, "revoke", serial(issued)).stdout


def test_revoked_certificate_does_not_renew(responder):
    device = Device(responder)
    first = device.enroll()
    responder.call("revoke", serial=serial(first.certificate()))
    assert device.renew(first).status == "2"
    assert "revoked" in responder.events(28)[0]["reason"]


def test_who_is_not_revoked(responder):
    for text in ("1234", "no number", ""):
        with pytest.raises(LabError, match="was issued"):
            responder.call("revoke", serial=text)
    issued = Device(responder).enroll().certificate()
    responder.set(diagnostic="0x402")
    with pytest.raises(LabError, match="may not revoke"):
        responder.call("revoke", serial=serial(issued))
    assert responder.events(20202)[0]["diagnosticName"] == "RevokeCert_AccessDenied"


def test_crl_by_scep(responder):
    device = Device(responder)
    issued = device.enroll().certificate()
    assert not list(device.ask(question(issued), messages.GET_CRL).crl())
    responder.call("revoke", serial=serial(issued))
    reply = device.ask(question(issued), messages.GET_CRL)
    assert reply.status == "0" and [entry.serial_number for entry in reply.crl()] == [issued.serial_number]
    responder.set(crl="missing")
    assert device.ask(question(issued), messages.GET_CRL).status == "2"


def test_certificate_by_scep(responder):
    device = Device(responder)
    issued = device.enroll().certificate()
    reply = device.ask(question(issued), messages.GET_CERT)
    assert reply.status == "0" and reply.certificates() == [issued]
    assert responder.issued() == 1


def test_unknown_by_scep(responder):
    device = Device(responder)
    issued = device.enroll().certificate()
    for kind in (messages.GET_CERT, messages.GET_CRL):
        reply = device.ask(question(issued, 4711), kind)
        assert (reply.status, reply.fail_info) == ("2", str(messages.BAD_CERT_ID))
        other = ber.seq(ca.name(common_name="Other CA"), ber.integer(issued.serial_number))
        assert device.ask(other, kind).fail_info == str(messages.BAD_CERT_ID)
        assert device.ask(b"\x30\x00", kind).fail_info == str(messages.BAD_REQUEST)
    assert device.ask(question(issued), 18).fail_info == str(messages.BAD_REQUEST)
    assert device.poll("never seen").fail_info == str(messages.BAD_CERT_ID)


def test_crl_of_nobody(responder):
    base = responder.url.partition("/certsrv")[0]
    for name in ("", "ca-issuing", "ca-leaf.crl", "other-ca-issuing.crl", "..%2fca%2froot.key"):
        assert fetch(f"{base}/CertEnroll/{name}")[0] == 404
    assert fetch(f"{base}/CertEnroll/ca-root.crl")[0] == 200


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


def test_what_was_issued_and_revoked_stays(responder):
    device = Device(responder)
    issued = device.enroll().certificate()
    responder.call("revoke", serial=serial(issued))
    responder.stop()
    responder.start()
    assert device.ask(question(issued), messages.GET_CERT).certificates() == [issued]
    assert [entry.serial_number for entry in x509.load_der_x509_crl(fetch(crl_url(issued))[2])] == [issued.serial_number]
    assert [event["event"] for event in responder.events(10010, 10020)] == [10010, 10020, 10010]
