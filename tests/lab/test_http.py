"""The responder as a web server: what it answers to browsers, to GetCACaps and GetCACert, and its faults."""
import http.client
import socket
import subprocess
import time
import urllib.error
from urllib.parse import urlsplit

import pytest
from conftest import fetch, need

from ndes import switches
from parts.layout import LabError


def connect(responder):
    return socket.create_connection(urlsplit(responder.url).netloc.split(":"), timeout=30)


def certificates(responder, body):
    """Texts, one for each certificate."""
    need("openssl")
    found = subprocess.run(["openssl", "pkcs7", "-inform", "der", "-print_certs", "-text", "-noout"], input=body,
                           stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode().replace(" = ", "=")
    return found.split("Certificate:\n")[1:]


def test_browser_is_forbidden(responder):
    for url in (responder.url, responder.url + "/pkiclient.exe", responder.url.rpartition("/")[0] + "/"):
        status, _, body = fetch(url)
        assert status == 403 and b"<html>" in body
    assert fetch(responder.url.replace("mscep.dll", "other.dll"))[0] == 403
    assert fetch(responder.url.replace("/certsrv", "/cgi-bin"))[0] == 404


def test_paths(responder):
    for url in (responder.url, responder.url.upper().replace("HTTP:", "http:"), responder.url + "/pkiclient.exe"):
        assert fetch(url + "?operation=GetCACaps&message=default")[0] == 200


def test_operations(responder):
    assert responder.get("GetNextCACert")[0] == 400
    assert responder.get("getcacaps")[0] == 400
    assert responder.get("PKIOperation")[0] == 400
    assert responder.get("PKIOperation", "&message=%21%21")[0] == 400
    assert responder.get("PKIOperation", "&message=MAA=")[0] == 500
    assert responder.post(b"garbage")[0] == 500
    assert [event["event"] for event in responder.events(16)] == [16] * 4


def test_bodies_are_bounded(responder):
    with connect(responder) as channel:
        channel.sendall(b"POST /certsrv/mscep/mscep.dll?operation=PKIOperation HTTP/1.1\r\nHost: x\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert channel.recv(100).startswith(b"HTTP/1.1 411")
    for length in (b"99999999", b"-1", b"1e3"):
        with connect(responder) as channel:
            channel.sendall(b"POST /certsrv/mscep/mscep.dll?operation=PKIOperation HTTP/1.1\r\nHost: x\r\n"
                            b"Content-Length: " + length + b"\r\n\r\n")
            assert channel.recv(100).startswith(b"HTTP/1.1 413")


def test_capabilities(responder):
    status, headers, body = responder.get("GetCACaps")
    assert (status, headers["Content-Type"]) == (200, "text/plain")
    assert body == b"POSTPKIOperation\nRenewal\nSHA-512\nSHA-256\nSHA-1\nDES3"
    responder.set(get_only="on")
    assert b"POST" not in responder.get("GetCACaps")[2]
    assert responder.post(b"x")[0] == 405
    responder.set(get_only="off", caps="empty")
    assert responder.get("GetCACaps")[2] == b""
    responder.set(caps="list:AES,Renewal")
    assert responder.get("GetCACaps")[2] == b"AES\nRenewal"
    responder.set(caps="missing")
    assert responder.get("GetCACaps")[0] == 404


def test_ca_certificates(responder):
    status, headers, body = responder.get("GetCACert", "&message=default")
    assert (status, headers["Content-Type"]) == (200, "application/x-x509-ca-ra-cert")
    texts = certificates(responder, body)
    assert len(texts) == 3
    assert not any("Subject: C=US, O=Lab, CN=Lab Root CA" in text for text in texts)
    agents = [text for text in texts if "CN=NDES1-MSCEP-RA" in text.split("Subject:")[1]]
    usages = sorted(text.split("X509v3 Key Usage: critical\n")[1].split("\n")[0].strip() for text in agents)
    assert usages == ["Digital Signature", "Key Encipherment"]


def test_ca_switches(responder):
    responder.set(root_included="on")
    assert len(certificates(responder, responder.get("GetCACert")[2])) == 4
    responder.set(root_included="off", single_tier="on")
    texts = certificates(responder, responder.get("GetCACert")[2])
    assert len(texts) == 3 and all("Issuer: C=US, O=Lab, CN=Lab Root CA" in text for text in texts)
    responder.set(single_tier="off", ra="one")
    assert len(certificates(responder, responder.get("GetCACert")[2])) == 2
    responder.set(ra="none")
    status, headers, body = responder.get("GetCACert")
    assert headers["Content-Type"] == "application/x-x509-ca-cert" and body[:1] == b"\x30"
    responder.set(ra="split", other_ca="on")
    assert all("O=Other" in text for text in certificates(responder, responder.get("GetCACert")[2]))


def test_status_wears_off(responder):
    responder.set(http_status="503", fault_on="caps", fault_times="2")
    assert responder.get("GetCACert")[0] == 200
    assert [responder.get("GetCACaps")[0] for _ in range(4)] == [503, 503, 200, 200]
    assert [event["httpStatus"] for event in responder.events(0) if event["operation"] == "GetCACaps"] == \
        [503, 503, 200, 200]


def test_bodies(responder):
    responder.set(body="html")
    status, headers, body = responder.get("GetCACaps")
    assert (status, headers["Content-Type"]) == (200, "text/html") and b"Sign in" in body
    responder.set(body="empty")
    status, headers, body = responder.get("GetCACert")
    assert (status, headers["Content-Type"], body) == (200, "application/x-x509-ca-ra-cert", b"")
    responder.set(body="cut")
    with pytest.raises(http.client.IncompleteRead):
        responder.get("GetCACert")
    responder.set(body="huge")
    assert len(responder.get("GetCACert")[2]) == 50 << 20
    responder.set(body="slow 0.3")
    start = time.monotonic()
    assert responder.get("GetCACaps")[2].startswith(b"POST")
    assert time.monotonic() - start > 0.2
    responder.set(body="off", delay="0.2", content_type="none")
    start = time.monotonic()
    assert "Content-Type" not in responder.get("GetCACaps")[1]
    assert time.monotonic() - start > 0.15


def test_no_answer(responder):
    responder.set(close="on")
    with pytest.raises((urllib.error.URLError, http.client.RemoteDisconnected, ConnectionError)):
        responder.get("GetCACaps")
    responder.call("reset")
    assert responder.get("GetCACaps")[0] == 200


def test_long_target(responder):
    responder.set(uri_limit="2000")
    assert responder.get("GetCACaps", "&message=" + "a" * 1000)[0] == 200
    assert responder.get("GetCACaps", "&message=" + "a" * 3000)[0] == 414


@pytest.mark.parametrize("name, value", [("frob", "on"), ("close", "yes"), ("fail-info", "10"), ("fail-info", "-1"),
                                         ("body", "slow"), ("body", "slow x"), ("caps", "windows"),
                                         ("lifetime", "soon"), ("pending", "0"), ("http-status", "99"),
                                         ("pki-status", "two"), ("cipher", "rc4"), ("digest", "md5")])
def test_unknown_is_refused(responder, name, value):
    with pytest.raises(LabError, match=name):
        responder.call("set", name=name, value=value)
    assert responder.call("state")["switches"] == {}


def test_every_switch_has_a_default_it_takes():
    for switch in switches.TABLE:
        switch.read(switch.default)
        assert switch.help and switch.name in switches.help_text()


def test_control_channel_refuses_nonsense(responder):
    for message in ({"op": "frob"}, {"op": "set"}, {"op": "challenge", "form": "poem"}, {"op": "challenge", "x": 1},
                    {"op": "challenge", "subject": "no subject"}):
        with pytest.raises(LabError):
            responder.call(**message)
