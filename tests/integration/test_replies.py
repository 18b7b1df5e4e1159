"""What a server may send as GetCACert and as a reply, and what it may not: T2, T4, T5 and T6, each of which stopped somebody's
enrollment at some client."""
import itertools
import json
import pathlib
import urllib.request

import pytest
from asn1crypto import cms, x509

import labs

ORDERS = [",".join(words) for words in itertools.permutations(("sign", "encrypt", "ca", "root"))]


@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        yield made


@pytest.fixture
def ndes(lab):
    lab.ndes("set", "record", "on")
    yield lab.ndes
    lab.ndes("reset")


def enrolled(lab, name, **values):
    lab.add(name, **values)
    done = lab.enroll(name)
    assert done.returncode == 0, done.stderr
    return lab.json("show", name)


def published(lab):
    """The certificates of GetCACert, in its order."""
    with urllib.request.urlopen(lab.url + "?operation=GetCACert&message=0", timeout=20) as answer:
        body = answer.read()
        if answer.headers["Content-Type"] == "application/x-x509-ca-cert":  # one alone
            return [x509.Certificate.load(body)]
    return [one.chosen for one in cms.ContentInfo.load(body)["content"]["certificates"]]


def usage(certificate):
    if certificate.ca:
        return "root" if certificate.self_issued else "ca"
    return "encrypt" if "key_encipherment" in certificate.key_usage_value.native else "sign"


def last(lab, what):
    """SignedData of the last message of this direction."""
    path = sorted(pathlib.Path(lab.dir / "lab/ndes/record").glob(f"*.{what}.der"))[-1]
    return cms.ContentInfo.load(path.read_bytes())["content"]


def signer(signed):
    return signed["signer_infos"][0]["sid"].chosen["serial_number"].native


def recipient(signed):
    inner = cms.ContentInfo.load(signed["encap_content_info"]["content"].native)["content"]
    return inner["recipient_infos"][0].chosen["rid"].chosen["serial_number"].native


@pytest.mark.parametrize("order", ORDERS)
def test_T2_ra_certificates_in_any_order(lab, ndes, order):
    """T2: GetCACert with two RA certificates (sign, encipher), CA and root in any order."""
    ndes("set", "ra-order", order)
    found = published(lab)
    assert ",".join(usage(one) for one in found) == order
    name = "t2-" + order.replace(",", "-")
    assert enrolled(lab, name, algorithm="ec-p256")["health"] == "valid"
    numbers = {usage(one): one.serial_number for one in found}
    assert recipient(last(lab, "request")) == numbers["encrypt"] and signer(last(lab, "reply")) == numbers["sign"]


FORMS = [
    # name, switches, protection
    ("rsa-encryption", "signature rsa", "software"),
    ("full-name", "signature full, reply-shape rfc", "software"),
    ("unsorted", "attributes unsorted", "software"),
    ("unsorted-signed", "attributes unsorted-signed", "software"),
    ("indefinite", "encoding ber", "software"),
    ("oaep", "transport oaep", "software"),
    ("oaep-tpm", "transport oaep", "tpm"),
    ("oaep-sha256", "transport oaep-sha256", "software"),
    ("oaep-sha256-tpm", "transport oaep-sha256, reply-shape rfc", "tpm"),
    ("all", "signature rsa, attributes unsorted, encoding ber, transport oaep", "tpm"),
]
SIGNATURES = {"rsa": "rsassa_pkcs1v15", "full": "sha256_rsa"}


@pytest.mark.parametrize("name,switches,protection", FORMS, ids=[row[0] for row in FORMS])
def test_T4_forms_of_a_reply(lab, ndes, name, switches, protection):
    """T4: rsaEncryption as the signature's OID, unsorted signed attributes, indefinite lengths, an RSA-OAEP recipient."""
    chosen = dict(one.split() for one in switches.split(", "))
    for switch in chosen.items():
        ndes("set", *switch)
    assert enrolled(lab, f"t4-{name}", protection=protection)["keyProtection"] == protection
    raw = sorted(pathlib.Path(lab.dir / "lab/ndes/record").glob("*.reply.der"))[-1].read_bytes()
    info = last(lab, "reply")["signer_infos"][0]
    assert (raw[1] == 0x80) == ("encoding" in chosen)
    if "signature" in chosen:
        assert info["signature_algorithm"]["algorithm"].native == SIGNATURES[chosen["signature"]]
    sent = [one.dump() for one in info["signed_attrs"]]
    assert (sent == sorted(sent)) == ("attributes" not in chosen)
    inner = cms.ContentInfo.load(last(lab, "reply")["encap_content_info"]["content"].native)["content"]
    how = inner["recipient_infos"][0].chosen["key_encryption_algorithm"]["algorithm"].native
    assert how == ("rsaes_oaep" if "transport" in chosen else "rsaes_pkcs1v15")


@pytest.mark.parametrize("agents,same", [("split", False), ("one", True), ("none", True)])
def test_T5_signer_of_the_reply(lab, ndes, agents, same):
    """T5: signed by an RA and not the CA; by the certificate that opens requests; by the CA itself."""
    ndes("set", "ra", agents)
    numbers = {one.serial_number: usage(one) for one in published(lab)}
    enrolled(lab, f"t5-{agents}", algorithm="ec-p256")
    signs, opens = signer(last(lab, "reply")), recipient(last(lab, "request"))
    assert signs in numbers and (signs == opens) == same
    assert (numbers[signs] == "ca") == (agents == "none")


@pytest.mark.parametrize("operation", ["cacert", "pki"])
@pytest.mark.parametrize("body,says", [("stub", ""), ("half", ""), ("empty", "empty"), ("html", "web page")])
def test_T6_no_message_at_all(lab, ndes, operation, body, says):
    """T6: status 200 with a PKCS #7 of 13 octets, half of one, nothing, or an HTML page."""
    name = f"t6-{operation}-{body}"
    lab.add(name, protection="tpm")
    ndes("set", "fault-on", operation)
    ndes("set", "body", body)
    pid = lab.daemon_pid()
    done = lab.enroll(name, "--json")
    told = json.loads(done.stdout)["error"]
    assert done.returncode == 6 and told["name"] == "InvalidReply" and says in told["message"] and told["remedy"], told
    shown = lab.json("show", name)
    assert shown["activity"] == "failed" and shown["health"] == "none" and lab.daemon_pid() == pid
    home = lab.certificate(name)
    assert not (home / "current").exists()
    key = (home / "generations/1/key.pem").read_text()
    lab.ndes("reset")
    done = lab.enroll(name)
    assert done.returncode == 0, done.stderr
    assert (home / "current/key.pem").read_text() == key
