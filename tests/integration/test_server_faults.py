"""A server that fails in a documented way: a named error, the certificate told as failed, and a healthy enrollment
straight afterwards with the same key."""
import json

import pytest

FAULTS = [
    # name, switches, error, exit status, what the message or remedy says
    ("html-200", [("body", "html")], "InvalidReply", 6, ["web page"]),
    ("http-500", [("http-status", "500")], "HttpError", 6, ["500"]),
    ("http-403", [("http-status", "403")], "HttpError", 6, ["403"]),
    ("http-404", [("http-status", "404")], "HttpError", 6, ["404"]),
    ("http-503", [("http-status", "503")], "HttpError", 6, ["503"]),
    ("nothing", [("close", "on")], "NetworkError", 7, []),
    ("empty", [("body", "empty"), ("fault-on", "cacert")], "InvalidReply", 6, []),
    ("50-megabytes", [("body", "huge")], "InvalidReply", 6, ["larger"]),
    ("caps-404", [("http-status", "404"), ("fault-on", "caps")], "ServerAlgorithm", 6, ["SHA-1"]),
    ("template", [("template-missing", "on")], "ServerRefused", 6, ["template", "80094800"]),
    ("cut", [("body", "cut")], None, None, []),
    ("html-on-post", [("body", "html"), ("fault-on", "pki")], "InvalidReply", 6, ["web page"]),
    ("http-500-on-post", [("http-status", "500"), ("fault-on", "pki")], "HttpError", 6, ["500"]),
    ("other-ca", [("other-ca", "on")], "CaMismatch", 6, []),
    ("ra-expired", [("ra-expired", "on")], "CaExpired", 6, []),
    ("wrong-key", [("wrong-key", "on")], "CertificateRefused", 6, ["another key"]),
    ("wrong-challenge", [("wrong-challenge", "always")], "ServerRefused", 6, ["badRequest", "challenge"]),
    ("fail-info-1", [("fail-info", "1")], "ServerRefused", 6, ["badMessageCheck"]),
    ("fail-info-9", [("fail-info", "9")], "InvalidReply", 6, []),
    ("pki-status-1", [("pki-status", "1")], "InvalidReply", 6, []),
    ("unknown-signer", [("unknown-signer", "on")], "InvalidReply", 6, []),
    ("wrong-nonce", [("wrong-nonce", "on")], "InvalidReply", 6, ["nonce"]),
    ("wrong-transaction", [("wrong-transaction", "on")], "InvalidReply", 6, ["transaction"]),
    ("single-des", [("cipher", "des")], "ServerAlgorithm", 6, ["AllowLegacy"]),
    ("no-eku", [("drop-eku", "on")], "CertificateRefused", 6, []),
    ("no-san", [("drop-san", "on")], "CertificateRefused", 6, []),
]


@pytest.mark.parametrize("name,switches,error,status,says", FAULTS, ids=[row[0] for row in FAULTS])
def test_fault(lab, ndes, protection, name, switches, error, status, says):
    name = f"f-{name}-{protection}"
    lab.add(name, protection=protection)
    for switch in switches:
        ndes("set", *switch)
    done = lab.enroll(name, "--json")
    assert done.returncode == status or (status is None and done.returncode != 0), (done.returncode, done.stdout)
    told = json.loads(done.stdout)["error"]
    assert error is None or told["name"] == error, told
    assert told["message"] and told["remedy"]
    for word in says:
        assert word in told["message"] + told["remedy"], (word, told)
    shown = lab.json("show", name)
    assert shown["activity"] == "failed" and shown["health"] == "none" and shown["status"] == 16
    assert shown["lastError"]["name"] == told["name"] and shown["lastError"]["remedy"]
    home = lab.certificate(name)
    assert not (home / "current").exists()
    assert not [path for path in home.rglob("*.new")]
    key = (home / "generations/1/key.pem").read_text() if (home / "generations/1/key.pem").exists() else None
    # The server is healthy again: the same key, and a certificate.
    ndes("reset")
    done = lab.enroll(name)
    assert done.returncode == 0, done.stderr
    if key:
        assert (home / "current/key.pem").read_text() == key
    assert lab.json("show", name)["lastError"]["name"] == ""


def test_single_des_where_it_is_allowed(lab, ndes):
    ndes("set", "cipher", "des")
    lab.add("des", server="AllowLegacy=des")
    done = lab.enroll("des")
    assert done.returncode == 0, done.stderr
    assert any("DES" in deviation and deviation.startswith("note: ") for deviation in lab.json("show", "des")["deviations"])


def test_missing_eku_is_kept_aside(lab, ndes):
    ndes("set", "drop-eku", "on")
    lab.add("kept")
    assert lab.enroll("kept").returncode == 6
    assert (lab.certificate("kept") / "refused.pem").exists()
    assert lab.json("show", "kept")["deviations"][0].startswith("kept: the extended key usage")


def test_reused_challenge(lab):
    """A one-time challenge: the second request with it is refused, and says so."""
    challenge = lab.challenge()
    for name, status in (("first-use", 0), ("second-use", 6)):
        lab.add(name)
        done = lab.scepter("enroll", name, "--wait", "--challenge-file", challenge, "--json")
        assert done.returncode == status, done.stdout
    assert json.loads(done.stdout)["error"]["name"] == "ServerRefused"


def test_require_caps(lab):
    lab.add("wants-aes", server="RequireCaps=AES")
    done = lab.enroll("wants-aes", "--json")
    assert json.loads(done.stdout)["error"]["name"] == "ServerAlgorithm" and "AES" in done.stdout
