"""The client at an NDES whose surroundings are wrong: its RA certificates, its TLS, its templates, what stands before it."""
import json

import pytest

# switches, error, what message or remedy say; error None: it enrolls, and the deviations say it
NDES = [
    ([("ra-order", "sign,encrypt,ca")], None, []),
    ([("ra-order", "ca,encrypt,sign")], None, []),
    ([("ra-stale", "pair"), ("ra-order", "sign,encrypt,ca")], None, []),
    ([("ra", "one")], None, []),
    ([("single-tier", "on"), ("ra", "none")], None, []),
    ([("paths", "mscep.dll")], None, []),
    ([("paths", "pkiclient.exe")], None, []),
    ([("policy-module", "off")], None, []),
    ([("rollover", "done")], None, []),
    ([("reply-shape", "rfc"), ("encoding", "ber")], None, []),
    ([("rewrite-subject", "cn-only")], None, ["note: The CA changed the subject to 'CN = pc1'"]),
    ([("add-eku", "1.3.6.1.5.5.7.3.1")], None, ["note: The CA added the extended key usage 1.3.6.1.5.5.7.3.1"]),
    ([("ra-future", "on")], "CaExpired", ["not valid yet"]),
    ([("ra-old-ca", "on")], "CaMismatch", ["not issued by its present CA", "Re-issue both RA certificates"]),
    ([("single-tier", "on"), ("rollover", "done")], "CaMismatch", ["Lab Root CA"]),
    ([("caps", "closed")], "ServerAlgorithm", ["SHA-1"]),
    ([("http-status", "302"), ("fault-on", "pki")], "HttpError", ["302", "/login"]),
    ([("http-status", "401")], "HttpError", ["401", "pass-through"]),
    ([("http-status", "504")], "HttpError", ["504", "proxy connector"]),
    ([("balancer", "on")], "ServerRefused", ["challenge"]),
    ([("diagnostic", "0x411")], "ServerRefused", ["challenge"]),
    ([("template-missing", "general")], "ServerRefused", ["0x80094800", "template"]),
    ([("key-minimum", "4096")], "ServerRefused", ["0x80094811", "CERTSRV_E_KEY_LENGTH", "larger key"]),
    ([("ca-offline", "on")], "ServerRefused", ["0x800706ba", "RPC_S_SERVER_UNAVAILABLE", "open RPC"]),
]
TLS = [
    ("good", None, ""),
    ("expired", "TlsError", "expired"),
    ("not-yet-valid", "TlsError", "not yet valid"),
    ("wrong-name", "TlsError", "does not match|no alternative certificate subject name|target host name"),
    ("unknown-ca", "TlsError", "unable to get local issuer certificate"),
    ("self-signed", "TlsError", "self-signed certificate"),
    ("old-version", "TlsError", "protocol version"),
]


def label(switches):
    return "+".join("=".join(switch) for switch in switches)


@pytest.mark.parametrize("switches, error, says", NDES, ids=[label(row[0]) for row in NDES])
def test_ndes(lab, ndes, protection, switches, error, says):
    name = f"n-{NDES.index((switches, error, says))}-{protection}"
    lab.add(name, protection=protection)
    for switch in switches:
        ndes("set", *switch)
    done = lab.enroll(name, "--json")
    assert (done.returncode == 0) == (error is None), done.stdout
    if error:
        told = json.loads(done.stdout)["error"]
        assert told["name"] == error, told
        text = told["message"] + told["remedy"]
    else:
        text = "\n".join(lab.json("show", name)["deviations"])
    for word in says:
        assert word in text, (word, text)


@pytest.mark.parametrize("face, error, says", TLS, ids=[row[0] for row in TLS])
def test_tls(lab, ndes, face, error, says):
    name, issued = f"t-{face}", ndes("issued")
    lab.add(name, url=lab.env["LAB_TLS_URL"], server=f"CaBundle={lab.env['LAB_TLS_CA']}")
    ndes("set", "tls", face)
    done = lab.enroll(name, "--json")
    assert (done.returncode == 0) == (error is None), done.stdout
    if error:
        told = json.loads(done.stdout)["error"]
        assert told["name"] == error and any(word in told["message"] for word in says.split("|")), told
        assert ndes("issued") == issued
