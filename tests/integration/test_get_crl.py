"""GetCRL, the last way to a CRL: of certificates that name none by http, once a day, and what servers make of it."""
import json
import os
import pathlib
import pwd
import re
import subprocess

import pytest

import labs
import vocabulary
from test_renewal import DAY, another, events, now, ready, set_clock, until

KEYS = [(algorithm, protection) for algorithm in ("rsa-2048", "ec-p256") for protection in ("software", "tpm")]


def heal(lab):
    lab.ndes("reset")
    for words in ("lifetime 90d", "crl-point none", "ec-reply kari"):
        lab.ndes("set", *words.split())


@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        yield made


@pytest.fixture
def ndes(lab):
    heal(lab)
    yield lab.ndes
    heal(lab)


def asked(lab):
    """Who asked for a CRL, in order: the subjects of the signers."""
    return [event["signer"] for event in map(json.loads, lab.ndes("log", "4003").splitlines()) if event["messageType"] == 22]


def a_day_later(lab, count=1):
    """The day's look, once @count more have asked."""
    before = len(asked(lab))
    set_clock(lab, now(lab) + 26 * 3600)
    lab.until(lambda: len(asked(lab)) >= before + count)


def diagnosis(lab, name):
    """What is said of the revocation of the certificate itself, by code."""
    found = [json.loads(line) for line in lab.scepter("diagnose", name, "--json").stdout.splitlines()]
    return {line["code"]: line["observed"] for line in found
            if line.get("step") == "revocation" and not line["observed"].startswith("The CA ")}


def clear(lab):
    for other in lab.serves()["certificates"]:
        # one that was revoked may be asking for another just now
        lab.until(lambda: lab.scepter("remove", other["id"]).returncode in (0, 3))


def alone(lab, name, **values):
    """A certificate, and none beside it that would ask, too."""
    clear(lab)
    return ready(lab, name, **values)


@pytest.mark.parametrize("algorithm,protection", KEYS, ids=["-".join(row) for row in KEYS])
def test_revoked(lab, ndes, algorithm, protection):
    """Signed with the certificate's own key, the reply opened with it, wherever that is."""
    name = f"g-{algorithm}-{protection}"
    first = alone(lab, name, algorithm=algorithm, protection=protection)
    assert first["keyProtection"] == protection
    bystander = ready(lab, f"{name}-beside", subject="CN=beside", algorithm=algorithm, protection=protection)
    found = diagnosis(lab, name)
    assert "is not in the CRL" in found["revocation-ok"]
    assert f"(GetCRL at {lab.url})" in found["revocation-ok"]
    a_day_later(lab, 2)
    assert lab.json("show", name)["health"] == "valid" and not events(lab, name, "CERT_REVOKED", "CRL_REFUSED")
    ndes("revoke", first["serialNumber"])
    a_day_later(lab, 2)
    shown = until(lab, name, lambda shown: shown["health"] == "revoked" and shown["activity"] == "needs-challenge")
    assert shown["thumbprint"] == first["thumbprint"]
    told = events(lab, name, "CERT_REVOKED")
    assert len(told) == 1 and told[0]["serial"] == first["serialNumber"]
    assert lab.json("show", f"{name}-beside")["health"] == "valid" and bystander["thumbprint"]
    assert "GetCRL at" in diagnosis(lab, name)["revocation-revoked"]
    assert set(asked(lab)[-4:]) == {"CN=pc1,O=Contoso", "CN=beside"}
    assert lab.enroll(name).returncode == 0
    assert lab.json("show", name)["health"] == "valid"


def test_not_asked_where_http_is_named(lab, ndes):
    ndes("set", "crl-point", "http")
    first = alone(lab, "h-http")
    before = len(asked(lab))
    ndes("set", "crl", "missing")  # what cannot be fetched is no reason either
    assert set(diagnosis(lab, "h-http")) == {"revocation-unreachable"}
    set_clock(lab, now(lab) + 26 * 3600)
    ndes("set", "crl", "published")
    ndes("revoke", first["serialNumber"])
    set_clock(lab, now(lab) + 26 * 3600)
    until(lab, "h-http", lambda shown: shown["health"] == "revoked")
    assert len(asked(lab)) == before


def test_ldap_alone(lab, ndes):
    """A place that nobody here reaches is as good as none."""
    ndes("set", "crl-point", "ldap")
    first = alone(lab, "h-ldap")
    assert "GetCRL at" in diagnosis(lab, "h-ldap")["revocation-ok"]
    ndes("revoke", first["serialNumber"])
    a_day_later(lab)
    until(lab, "h-ldap", lambda shown: shown["health"] == "revoked")


REFUSALS = [
    # name, switch, error, what is said
    ("refuse", "get-crl refuse", "ServerRefused", "badRequest"),
    ("pending", "get-crl pending", "ServerRefused", "PENDING"),
    ("http", "get-crl http-500", "HttpError", "500"),
    ("certificate", "get-crl certificate", "InvalidReply", "without a CRL"),
    ("nothing", "get-crl nothing", "InvalidReply", "without a CRL"),
    ("missing", "crl missing", "ServerRefused", "badRequest"),
    ("stranger", "unknown-signer on", "InvalidReply", "none of those the server gave"),
    ("nonce", "wrong-nonce on", "InvalidReply", "recipientNonce"),
    ("des", "cipher des", "ServerAlgorithm", "single DES"),
]


@pytest.mark.parametrize("name,switch,error,says", REFUSALS, ids=[row[0] for row in REFUSALS])
def test_refused(lab, ndes, name, switch, error, says):
    """Told once, for as long as the certificate lives, and asked for all the same: the server may learn it."""
    name = f"n-{name}"
    first = alone(lab, name)
    ndes("set", *switch.split())
    found = diagnosis(lab, name)
    assert set(found) == {"revocation-unnamed"}
    assert "names no CRL; GetCRL: " in found["revocation-unnamed"] and says in found["revocation-unnamed"]
    a_day_later(lab)
    told = lab.until(lambda: events(lab, name, "CRL_REFUSED"))
    vocabulary.check(told[0])
    assert told[0]["error"] == error and says in told[0]["message"] and told[0]["url"] == lab.url, told
    a_day_later(lab)
    lab.daemon("restart")
    a_day_later(lab)
    shown = lab.json("show", name)
    assert shown["activity"] == "idle" and shown["health"] == "valid" and shown["lastError"]["name"] == ""
    assert len(events(lab, name, "CRL_REFUSED")) == 1
    heal(lab)
    ndes("revoke", first["serialNumber"])
    a_day_later(lab)
    until(lab, name, lambda shown: shown["health"] == "revoked")
    assert len(events(lab, name, "CRL_REFUSED", "CERT_REVOKED")) == 2


def test_told_again_for_another_certificate(lab, ndes):
    first = alone(lab, "t-again")
    ndes("set", "get-crl", "refuse")
    a_day_later(lab)
    lab.until(lambda: events(lab, "t-again", "CRL_REFUSED"))
    set_clock(lab, first["renewAt"] + 1)
    second = until(lab, "t-again", another(first))
    a_day_later(lab)
    told = lab.until(lambda: found if len(found := events(lab, "t-again", "CRL_REFUSED")) > 1 else None)
    assert [one["thumbprint"] for one in told] == [first["thumbprint"], second["thumbprint"]]


FOREIGN = [
    # name, switch, the code of a diagnosis
    ("other-ca", "get-crl other-ca", "revocation-foreign"),
    ("other-key", "crl foreign", "revocation-foreign"),
    ("early", "crl future", "revocation-early"),
    ("stale", "crl expired", "revocation-stale"),
]


@pytest.mark.parametrize("name,switch,code", FOREIGN, ids=[row[0] for row in FOREIGN])
def test_crl_that_proves_nothing(lab, ndes, name, switch, code):
    """Judged as one that was fetched: of another CA or another time it says nothing, and nothing is told of it."""
    name = f"f-{name}"
    alone(lab, name)
    ndes("set", *switch.split())
    found = diagnosis(lab, name)
    assert set(found) == {code} and "GetCRL at" in found[code]
    a_day_later(lab)
    a_day_later(lab)
    assert lab.json("show", name)["health"] == "valid" and not events(lab, name, "CERT_REVOKED", "CRL_REFUSED")


def test_of_another_key_alone_revokes_nobody(lab, ndes):
    """The old key of the CA, which has gone to somebody else, lists the certificate."""
    first = alone(lab, "f-lists")
    ndes("revoke", first["serialNumber"])
    ndes("set", "crl", "foreign")
    a_day_later(lab)
    a_day_later(lab)
    assert lab.json("show", "f-lists")["health"] == "valid"
    ndes("set", "crl", "published")
    a_day_later(lab)
    until(lab, "f-lists", lambda shown: shown["health"] == "revoked")


@pytest.mark.parametrize("switch", ["get-crl beside", "get-crl two-keys", "encoding ber", "reply-shape rfc", "caps list:AES,SHA-256", "crl expired"])
def test_taken(lab, ndes, switch):
    """As servers send it: with a certificate beside, one CRL for each key of the CA, by GET, and one whose time is over."""
    name = "k-" + re.sub("[^a-z0-9]", "-", switch.lower())
    first = alone(lab, name)
    ndes("set", *switch.split())
    ndes("revoke", first["serialNumber"])
    a_day_later(lab)
    until(lab, name, lambda shown: shown["health"] == "revoked")


def test_server_is_gone_for_a_while(lab, ndes):
    """No answer is no word of the server: nothing is told, and the next day counts."""
    first = alone(lab, "s-gone")
    ndes("revoke", first["serialNumber"])
    ndes("set", "http-status", "503")
    assert set(diagnosis(lab, "s-gone")) == {"revocation-unreachable"}
    before = len(lab.ndes("log").splitlines())
    set_clock(lab, now(lab) + 26 * 3600)
    lab.until(lambda: len(lab.ndes("log").splitlines()) > before)
    assert not events(lab, "s-gone", "CERT_REVOKED", "CRL_REFUSED")
    heal(lab)
    a_day_later(lab)
    until(lab, "s-gone", lambda shown: shown["health"] == "revoked")


def test_another_server_at_its_place(lab, ndes):
    """Nothing is encrypted to a server that does not lead to the anchor."""
    alone(lab, "s-other")
    before = len(asked(lab))
    ndes("set", "other-ca", "on")
    found = diagnosis(lab, "s-other")
    assert "root" in found["revocation-unreachable"].lower()
    set_clock(lab, now(lab) + 26 * 3600)
    assert len(asked(lab)) == before


def test_without_its_profile(lab, ndes):
    """Nobody says any more how its server is reached."""
    alone(lab, "o-orphan")
    identity = lab.json("show", "o-orphan")["id"]
    assert lab.scepter("profile", "remove", "o-orphan").returncode == 0
    before = len(asked(lab))
    assert "GetCRL" not in diagnosis(lab, identity)["revocation-unnamed"]
    set_clock(lab, now(lab) + 26 * 3600)
    assert lab.scepter("diagnose", identity).returncode in (0, 1)
    assert len(asked(lab)) == before


def test_while_pending(lab, ndes):
    """The request that waits puts both on record: that there is no CRL, and then what one says."""
    first = alone(lab, "p-waits")
    ndes("set", "pending", "approve")
    before = len(asked(lab))
    set_clock(lab, first["renewAt"] + 1)
    until(lab, "p-waits", lambda shown: shown["activity"] == "pending")
    lab.until(lambda: len(asked(lab)) > before)  # that day's look
    ndes("set", "get-crl", "refuse")
    a_day_later(lab)
    lab.until(lambda: events(lab, "p-waits", "CRL_REFUSED"))
    ndes("set", "get-crl", "answer")
    ndes("revoke", first["serialNumber"])
    a_day_later(lab)
    shown = until(lab, "p-waits", lambda shown: shown["health"] == "revoked")
    assert shown["activity"] == "pending" and len(events(lab, "p-waits", "CRL_REFUSED")) == 1
    heal(lab)
    ndes("approve")
    set_clock(lab, now(lab) + 7200)
    assert until(lab, "p-waits", another(first))["health"] == "valid"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another user asks")
def test_of_a_user(lab, ndes):
    """His key signs on his behalf; nobody else sees the certificate."""
    clear(lab)
    user = pwd.getpwnam("daemon")
    lab.add("u-own", type="user", subject="CN={{UserName}}", san="", protection="tpm")
    done = lab.scepter("enroll", "u-own", "--for", user.pw_name, "--wait", "--challenge-file", lab.challenge())
    assert done.returncode == 0, done.stderr
    first = lab.json("show", "u-own")
    ndes("revoke", first["serialNumber"])
    a_day_later(lab)
    until(lab, "u-own", lambda shown: shown["health"] == "revoked")
    assert asked(lab)[-1] == "CN=daemon"


def test_each_once_a_day(lab, ndes):
    """Not at the same moment for all, and not twice a day."""
    alone(lab, "d-0", subject="CN=d0")
    for number in range(1, 6):
        ready(lab, f"d-{number}", subject=f"CN=d{number}")
    set_clock(lab, now(lab) + DAY)
    lab.until(lambda: {f"CN=d{number}" for number in range(6)} <= set(asked(lab)))
    lab.serves()
    before = len(asked(lab))
    for _ in range(20):  # another day by hours
        set_clock(lab, now(lab) + 3600)
        lab.serves()
    assert len(asked(lab)) == before
    set_clock(lab, now(lab) + 6 * 3600)
    lab.until(lambda: len(asked(lab)) == before + 6)
    lab.serves()
    assert len(asked(lab)) == before + 6


def workers(lab):
    """What the daemon has started and not ended: where it executes its workers itself."""
    pid = lab.daemon_pid()
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def slow_look(lab, where):
    """The day's look has begun, and the server takes its time."""
    lab.until(lambda: not workers(lab))
    for words in (f"fault-on {where}", "delay 4"):
        lab.ndes("set", *words.split())
    set_clock(lab, now(lab) + 26 * 3600)
    lab.until(lambda: workers(lab))


@pytest.mark.parametrize("where", ["cacert", "pki"])
@pytest.mark.parametrize("end", ["stop", "remove", "renew"])
def test_end_in_the_middle(lab, ndes, where, end):
    """The service, the certificate or its generation ends while the server is being asked."""
    name = f"e-{where}-{end}"
    first = alone(lab, name)
    if end != "renew":
        ndes("revoke", first["serialNumber"])
    slow_look(lab, where)
    if end == "stop":
        lab.daemon("restart")  # what it leaves behind is what the sanitizers tell at the end
        heal(lab)
        a_day_later(lab)
        until(lab, name, lambda shown: shown["health"] == "revoked")
    elif end == "remove":
        lab.until(lambda: lab.scepter("remove", name).returncode == 0)
        assert lab.serves()["certificates"] == []
    else:
        # The one before it is revoked once it is replaced: that says nothing of the new one.
        heal(lab)
        assert lab.scepter("renew", name, "--wait").returncode == 0
        ndes("revoke", first["serialNumber"])
        lab.until(lambda: not workers(lab))
        a_day_later(lab)
        assert lab.json("show", name)["health"] == "valid" and not events(lab, name, "CERT_REVOKED")


def test_diagnosis_that_nobody_waits_for(lab, ndes):
    alone(lab, "e-diagnosis")
    for words in ("fault-on pki", "delay 4"):
        ndes("set", *words.split())
    before = len(asked(lab))
    reader = subprocess.Popen([labs.BUILD / "bin/scepter", "diagnose", "e-diagnosis"], env=lab.env, stdout=subprocess.PIPE)
    lab.until(lambda: len(asked(lab)) > before)
    reader.kill()
    reader.communicate()
    heal(lab)
    assert "GetCRL at" in lab.until(lambda: diagnosis(lab, "e-diagnosis"))["revocation-ok"]
