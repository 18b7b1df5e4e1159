"""Debian's scepclient (micromdm): single DES, SHA-1, several recipients, PrintableString challenge."""
import os

import pytest
from conftest import certificate_text, chains, need, run


@pytest.fixture
def client(responder, folder):
    need("scepclient")
    need("openssl")
    responder.set(cipher="des")
    path = os.path.join(folder, "scepclient")
    os.mkdir(path)

    def enroll(challenge, name="dev1", check=True):
        result = run("scepclient", "-server-url", responder.url, "-challenge", challenge, "-private-key",
                     os.path.join(path, "key.pem"), "-certificate", os.path.join(path, "cert.pem"), "-cn", name,
                     "-keySize", "2048", check=check, cwd=path)
        return os.path.join(path, "cert.pem"), result
    return enroll


def test_enroll(responder, client):
    certificate, _ = client(responder.challenge())
    assert "CN = dev1" in certificate_text(certificate) and chains(responder, certificate)
    received = responder.events(4003)[0]
    assert (received["messageType"], received["cipher"], received["digest"]) == (19, "des", "sha1")
    assert responder.issued() == 1


def test_renewal_is_type_17(responder, client):
    client(responder.challenge())
    certificate, _ = client(responder.challenge())
    assert chains(responder, certificate)
    assert [event["messageType"] for event in responder.events(4003)] == [19, 17]


def test_wrong_challenge(responder, client):
    responder.set(wrong_challenge="always")
    certificate, result = client(responder.challenge(), check=False)
    assert result.returncode != 0 and "badRequest" in result.stdout and not os.path.exists(certificate)
    assert responder.issued() == 0


def test_single_tier_without_agents(responder, client):
    responder.set(single_tier="on", ra="none")
    certificate, _ = client(responder.challenge())
    assert chains_to_root(responder, certificate)


def chains_to_root(responder, certificate):
    return run("openssl", "verify", "-CAfile", responder.root, certificate).returncode == 0
