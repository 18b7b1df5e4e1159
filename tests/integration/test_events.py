"""Events: each one of the vocabulary is raised by what it names, with its fields, in order."""
import ast
import hashlib
import json
import os
import pathlib
import re
import ssl
import subprocess
import sys

import pytest

import vocabulary
from terminal import Typed
from test_renewal import set_clock

ROOM = pathlib.Path(__file__).with_name("journal_room.py")


def told(lab, name):
    events = lab.json("events", name)["events"]
    for event in events:
        vocabulary.check(event)
    assert not re.search(r"The event \w+ (lacks|has no) ", lab.log())
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    return events


def names(events):
    return [event["event"] for event in events]


def one(events, name):
    found = [event for event in events if event["event"] == name]
    assert len(found) == 1, names(events)
    return found[0]


SUCCESS = ["PROFILE_ACCEPTED", "CA_CAPS", "CA_CERTS", "REQUEST_GENERATED", "CERT_ISSUED", "CERT_INSTALLED"]


def test_success(lab):
    lab.add("good", protection="tpm-preferred")
    assert lab.enroll("good").returncode == 0
    events = told(lab, "good")
    assert names(events) == SUCCESS
    shown = lab.json("show", "good")
    accepted, caps, certs, request, issued, installed = events
    assert accepted["scope"] == "device" and accepted["keyProtection"] == "tpm-preferred" and accepted["windows"] == 306
    assert caps["url"] == certs["url"] == request["url"] and caps["url"].startswith(lab.url)
    assert caps["httpStatus"] == certs["httpStatus"] == 200 and "POSTPKIOperation" in caps["capabilities"]
    assert certs["fingerprints"] and all(re.fullmatch("[0-9a-f]{64}", one) for one in certs["fingerprints"])
    assert request["keyProtection"] == shown["keyProtection"] and request["keyAlgorithm"] == "rsa-2048"
    assert request["extendedKeyUsage"] == ["1.3.6.1.5.5.7.3.2"] and re.fullmatch("[0-9a-f]{40}", request["transaction"])
    assert issued["thumbprint"] == installed["thumbprint"] == shown["thumbprint"]
    assert issued["notAfter"] == installed["notAfter"] == shown["notAfter"] and installed["renewAt"] == shown["renewAt"]
    der = ssl.PEM_cert_to_DER_cert((lab.certificate("good") / "current/cert.pem").read_text())
    assert issued["thumbprint"] == hashlib.sha1(der).hexdigest()
    assert {event["certificate"] for event in events} == {shown["id"]} and {event["name"] for event in events} == {"good"}
    # What people see, and what another program would.
    text = lab.scepter("events", "good").stdout
    assert [line.split("  ")[1].strip() for line in text.splitlines()[1:]] == SUCCESS


FAILURES = [
    # switches of the server, stage, Windows' number, what the event says, and what it does not
    ("discover", [("http-status", "503"), ("fault-on", "cacert")], "discover", 307,
     {"httpStatus": 503, "error": "HttpError"}, ("pkiStatus",)),
    ("nobody", [("close", "on")], "discover", 307, {"error": "NetworkError"}, ("httpStatus", "pkiStatus")),
    ("other-ca", [("other-ca", "on")], "choose", 307, {"httpStatus": 200, "error": "CaMismatch"}, ("pkiStatus",)),
    ("no-caps", [("http-status", "404"), ("fault-on", "caps")], "choose", 307, {"error": "ServerAlgorithm"}, ()),
    ("post", [("http-status", "500"), ("fault-on", "pki")], "exchange", 32, {"httpStatus": 500, "error": "HttpError"},
     ("pkiStatus",)),
    ("signer", [("unknown-signer", "on")], "exchange", 32, {"httpStatus": 200, "error": "InvalidReply"}, ("pkiStatus",)),
    ("refused", [("fail-info", "1")], "exchange", 32,
     {"httpStatus": 200, "pkiStatus": "FAILURE", "failInfo": "badMessageCheck", "error": "ServerRefused"}, ()),
    ("template", [("template-missing", "on")], "exchange", 32,
     {"pkiStatus": "FAILURE", "failInfo": "badRequest", "hresult": "0x80094800",
      "hresultName": "CERTSRV_E_UNSUPPORTED_CERT_TYPE"}, ()),
    ("no-eku", [("drop-eku", "on")], "check", 32, {"pkiStatus": "SUCCESS", "error": "CertificateRefused"}, ("failInfo",)),
]


@pytest.mark.parametrize("name,switches,stage,number,says,silent", FAILURES, ids=[row[0] for row in FAILURES])
def test_failure(lab, ndes, name, switches, stage, number, says, silent):
    for switch in switches:
        ndes("set", *switch)
    name = f"bad-{name}"
    lab.add(name)
    done = lab.enroll(name, "--json")
    assert done.returncode in (6, 7), done.stdout
    events = told(lab, name)
    failed = one(events, "ENROL_FAILED")
    assert failed["stage"] == stage and failed["url"].startswith(lab.url) and failed["windows"] == number
    assert failed["remedy"] == json.loads(done.stdout)["error"]["remedy"]
    for member, value in says.items():
        assert failed[member] == value, failed
    assert not [member for member in silent if member in failed], failed
    record = json.loads((lab.certificate(name) / "record.json").read_text())
    assert record["last_stage"] == stage and record["last_url"] == failed["url"] and record["last_time"]
    assert record["last_http_status"] == failed.get("httpStatus", 0)
    # A success forgets the failure.
    ndes("reset")
    assert lab.enroll(name).returncode == 0
    record = json.loads((lab.certificate(name) / "record.json").read_text())
    assert record["last_stage"] == "" and record["last_pki_status"] == "SUCCESS" and record["last_http_status"] == 200
    assert record["last_hresult"] == 0 and record["last_fail_info"] == ""
    assert names(told(lab, name))[-1] == "CERT_INSTALLED"


def test_no_capabilities(lab):
    caps = one(told(lab, "bad-no-caps")[:2], "CA_CAPS")
    assert caps["httpStatus"] == 404 and "capabilities" not in caps


def test_kept_aside(lab, ndes):
    ndes("set", "drop-eku", "on")
    lab.add("kept-aside")
    assert lab.enroll("kept-aside").returncode == 6
    events = told(lab, "kept-aside")
    assert names(events)[3:7] == ["REQUEST_GENERATED", "CERT_ISSUED", "CERT_REFUSED", "ENROL_FAILED"]
    issued, refused, failed = events[4:7]
    der = ssl.PEM_cert_to_DER_cert((lab.certificate("kept-aside") / "refused.pem").read_text())
    assert refused["thumbprint"] == issued["thumbprint"] == hashlib.sha1(der).hexdigest()
    assert refused["error"] == failed["error"] == "CertificateRefused"


def test_key_that_cannot_be_made(lab):
    """Before the server is asked there is nothing of it to tell."""
    lab.add("no-key", protection="tpm", algorithm="rsa-4096")
    assert lab.enroll("no-key").returncode == 5
    events = told(lab, "no-key")
    assert names(events) == ["PROFILE_ACCEPTED", "ENROL_FAILED"]
    assert events[1]["stage"] == "key" and "url" not in events[1] and events[1]["windows"] == 32


def test_pending_and_cancelled(lab, ndes):
    ndes("set", "pending", "approve")
    lab.add("waits", delay=7, count=3)
    assert lab.enroll("waits").returncode == 8
    pending = one(told(lab, "waits"), "PENDING")
    assert (pending["attempt"], pending["attempts"]) == (1, 3)
    assert pending["nextAt"] - pending["time"] in range(7 * 60 - 5, 7 * 60 + 1)
    assert lab.scepter("cancel", "waits").returncode == 0
    lab.wait_for("waits", "idle")
    assert one(told(lab, "waits"), "ENROL_CANCELLED")["stage"] == "pending"


def test_no_secret_in_events(lab):
    """Not even where the server refuses the challenge."""
    lab.add("secret")
    lab.ndes("set", "wrong-challenge", "always")
    challenge = lab.challenge()
    lab.scepter("enroll", "secret", "--wait", "--challenge-file", challenge)
    lab.ndes("reset")
    assert "ENROL_FAILED" in names(told(lab, "secret"))
    assert challenge.read_text().strip() not in (lab.certificate("secret") / "events.jsonl").read_text() + lab.log()


def test_lines_of_the_version_before(lab):
    """Numbers where there are names now: shown, not lost."""
    lab.add("old")
    assert lab.enroll("old").returncode == 0
    path = lab.certificate("old") / "events.jsonl"
    path.write_text('{"time":1700000000,"event":306,"what":"accepted","certificate":"x","name":"old","message":"It was"}\n'
                    + path.read_text())
    first = lab.scepter("events", "old").stdout.splitlines()[1]
    assert "306" in first and "It was" in first
    assert [event["event"] for event in lab.json("events", "old")["events"]] == [306] + SUCCESS


def test_removal(lab):
    """It has no file to be kept in: the log has it."""
    lab.add("leaves")
    assert lab.enroll("leaves").returncode == 0
    assert lab.scepter("remove", "leaves").returncode == 0
    assert "Certificate 'leaves': The certificate and its key were removed" in lab.log()


def test_journal():
    """The real journald, in a room of its own: ids, fields, priorities, and the catalog's words beside them."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for a journald beside the machine's own")
    if not os.access("/lib/systemd/systemd-journald", os.X_OK):
        pytest.skip("systemd-journald is not installed")
    done = subprocess.run(["unshare", "-m", sys.executable, "-B", ROOM], capture_output=True, text=True, check=False,
                          timeout=200)
    if "unshare failed" in done.stderr:
        pytest.skip("this machine gives no mount namespace")
    assert done.returncode == 0, done.stderr
    *lines, text = done.stdout.strip().split("\n")
    entries = [entry for entry in map(json.loads, lines) if "SCEPTER_EVENT" in entry]
    assert [entry["SCEPTER_EVENT"] for entry in entries] == SUCCESS + ["CERT_REMOVED"]
    assert len({entry["MESSAGE_ID"] for entry in entries}) == len(entries)
    assert not [entry for entry in entries if entry["SCEPTER_NAME"] != "logged" or not entry["SCEPTER_CERTIFICATE"]]
    installed = entries[5]
    assert installed["PRIORITY"] == "5" and installed["SCEPTER_WINDOWS"] == "39"
    assert installed["MESSAGE"] == "Certificate 'logged': The certificate was installed"
    assert re.fullmatch("[0-9a-f]{40}", installed["SCEPTER_THUMBPRINT"])
    assert entries[6]["SCEPTER_THUMBPRINT"] == installed["SCEPTER_THUMBPRINT"]
    text = ast.literal_eval(text)
    assert "Subject: CERT_INSTALLED: a certificate was installed" in text and "'logged' has a certificate of http" in text
    assert "@SCEPTER_" not in text


def test_reminders_of_a_pin(lab):
    """Daily, and every six hours in the last week; none of them is a failure."""
    lab.add("pin", protection="user-verified", type="user", algorithm="ec-p256")
    assert Typed(lab, "enroll", "pin", "--wait", "--challenge-file", lab.challenge(), lines=["4711", "4711"]).status == 0
    shown = lab.json("show", "pin")

    def reminder(count, when):
        set_clock(lab, when)
        told_ = lab.until(lambda: (found := [event for event in told(lab, "pin") if event["event"] == "PIN_NEEDED"])
                          and len(found) == count and found)
        return told_[-1]
    first = reminder(1, shown["renewAt"] + 1)
    assert first["nextAt"] == first["time"] + 24 * 3600 and first["notAfter"] == shown["notAfter"]
    assert "scepter renew pin" in first["remedy"]
    second = reminder(2, first["nextAt"] + 1)
    assert second["nextAt"] == second["time"] + 24 * 3600
    third = reminder(3, shown["notAfter"] - 6 * 24 * 3600)
    assert third["nextAt"] == third["time"] + 6 * 3600
    reminder(4, third["nextAt"] + 1)
    events = names(told(lab, "pin"))
    assert events.count("RENEW_DUE") == 1 and "ENROL_FAILED" not in events
    lab.clock(0)
