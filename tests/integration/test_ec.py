"""EC keys over SCEP: who signs the message, how the reply reaches an EC key, and what of that is refused."""
import contextlib
import json

import pytest

import labs
from test_renewal import another, come, events, ready, requests, set_clock, until

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
