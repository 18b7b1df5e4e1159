"""Renewal at its date: each way a server takes it, what it refuses, and everything that comes between."""
import contextlib
import hashlib
import json
import pathlib
import subprocess
import time

import pytest

import labs
import messages
from test_applications import Holder

DAY = 86400


def heal(lab):
    """No fault any more, and certificates of two days: many renewals before the server's own certificates end."""
    lab.ndes("reset")
    lab.ndes("set", "lifetime", "2d")


@contextlib.contextmanager
def renewing(*options):
    with labs.lab(*options) as made:
        heal(made)
        yield made


@pytest.fixture(scope="module")
def lab():
    with renewing("--no-tpm") as made:
        yield made


@pytest.fixture
def ndes(lab):
    yield lab.ndes
    heal(lab)


def now(lab):
    return int(time.time()) + int(lab.clock())


def set_clock(lab, moment):
    """The daemon's and the server's."""
    lab.clock(f"@{moment}")


def ready(lab, name, **values):
    """A certificate; its properties."""
    lab.add(name, **values)
    done = lab.enroll(name)
    assert done.returncode == 0, done.stderr
    return lab.json("show", name)


def until(lab, name, wanted):
    """Its properties, once wanted(properties): a step of the clock is taken in turns of the daemon."""
    def look():
        shown = lab.json("show", name)
        return shown if wanted(shown) else None
    return lab.until(look)


def another(before):
    return lambda shown: shown["activity"] == "idle" and shown["thumbprint"] not in ("", before["thumbprint"])


def come(lab, name, before, moment=None):
    """Its date comes, and it is renewed by itself; the new properties."""
    set_clock(lab, (moment or before["renewAt"]) + 1)
    return until(lab, name, another(before))


def events(lab, name, *kinds):
    return [event for event in lab.json("events", name)["events"] if event["event"] in kinds]


def requests(lab, name):
    """The message types of the requests of this certificate that the server has decoded."""
    own = {event["transaction"] for event in events(lab, name, "REQUEST_GENERATED")}
    return [event["messageType"] for event in map(json.loads, lab.ndes("log", "4003").splitlines()) if event["transaction"] in own]


def test_at_its_date(lab):
    first = ready(lab, "d-date")
    set_clock(lab, first["renewAt"] - 60)
    assert lab.json("show", "d-date")["thumbprint"] == first["thumbprint"]
    second = come(lab, "d-date", first)
    assert second["notAfter"] > first["notAfter"] and second["serialNumber"] != first["serialNumber"]
    assert second["renewAt"] > first["renewAt"] and second["health"] == "valid"
    home = lab.certificate("d-date")
    assert (home / "current").readlink() == pathlib.Path("generations/2")
    keys = {(home / f"generations/{n}/key.pem").read_text() for n in (1, 2)}
    assert len(keys) == 2
    due = events(lab, "d-date", "RENEW_DUE")
    assert len(due) == 1 and due[0]["renewAt"] == first["renewAt"] and due[0]["threshold"] == 20
    # and once more
    third = come(lab, "d-date", second)
    assert third["notAfter"] > second["notAfter"]


WAYS = [
    # name, switches, [Renewal] Method, the types of the requests, the way that worked
    ("renewal", "", "auto", [17], "renewal"),
    ("no-capability", "caps no-renewal", "auto", [19], "signed-pkcsreq"),
    ("type-19", "renewal type-19", "auto", [17, 19], "signed-pkcsreq"),
    ("http-500", "renewal http-500", "auto", [17, 19], "signed-pkcsreq"),
    ("signed", "", "signed-pkcsreq", [19], "signed-pkcsreq"),
    ("insists", "caps no-renewal", "renewal", [17], "renewal"),
]


@pytest.mark.parametrize("name,switches,method,types,way", WAYS, ids=[row[0] for row in WAYS])
def test_T7_ways(lab, ndes, name, switches, method, types, way):
    first = ready(lab, f"w-{name}", method=method)
    for one in filter(None, switches.split(", ")):
        ndes("set", *one.split())
    before = len(requests(lab, f"w-{name}"))
    second = come(lab, f"w-{name}", first)
    assert requests(lab, f"w-{name}")[before:] == types
    record = json.loads((lab.certificate(f"w-{name}") / "record.json").read_text())
    assert record["renewed_by"] == way and record["refused"] == 0 and not record["renewing"]
    refused = events(lab, f"w-{name}", "RENEW_REFUSED")
    assert len(refused) == len(types) - 1
    # the way that worked comes first the next time
    before = len(requests(lab, f"w-{name}"))
    come(lab, f"w-{name}", second)
    assert requests(lab, f"w-{name}")[before:] == types[-1:]


def test_T7_a_server_that_wants_a_challenge(lab, ndes):
    """Every way is refused: the challenge is asked for while the old certificate has its time, and given."""
    first = ready(lab, "c-asks")
    ndes("set", "renewal", "refuse")
    set_clock(lab, first["renewAt"] + 1)
    shown = until(lab, "c-asks", lambda shown: shown["activity"] == "needs-challenge")
    assert shown["thumbprint"] == first["thumbprint"] and shown["health"] == "expiring"
    assert shown["lastError"]["name"] == "ChallengeNeeded" and "--challenge-file" in shown["lastError"]["remedy"]
    assert len(events(lab, "c-asks", "RENEW_REFUSED")) == 2 and len(events(lab, "c-asks", "CHALLENGE_NEEDED")) == 1
    assert lab.enroll("c-asks").returncode == 0
    assert another(first)(lab.json("show", "c-asks"))


def test_a_server_that_comes_to_renew(lab, ndes):
    """It is asked again now and then, while the challenge has not come."""
    first = ready(lab, "c-again")
    ndes("set", "renewal", "refuse")
    set_clock(lab, first["renewAt"] + 1)
    until(lab, "c-again", lambda shown: shown["activity"] == "needs-challenge")
    moment = json.loads((lab.certificate("c-again") / "record.json").read_text())["retry_at"]
    assert now(lab) < moment < first["notAfter"]
    heal(lab)
    come(lab, "c-again", first, moment)


def test_method_challenge(lab, ndes):
    """As Windows does it: nothing is asked of the server without a fresh challenge."""
    first = ready(lab, "c-method", method="challenge")
    before = len(requests(lab, "c-method"))
    set_clock(lab, first["renewAt"] + 1)
    until(lab, "c-method", lambda shown: shown["activity"] == "needs-challenge")
    assert json.loads((lab.certificate("c-method") / "record.json").read_text())["retry_at"] == 0
    assert len(requests(lab, "c-method")) == before
    assert lab.enroll("c-method").returncode == 0
    assert another(first)(lab.json("show", "c-method"))


def instance_values(lab):
    return messages.csp_values(lab, ValidPeriod=None, ValidPeriodUnits=None)


def test_a_management_service_delivers_the_challenge(lab, ndes):
    """Windows' way, in both shapes: at the date the certificate waits, and the next document with a challenge renews it."""
    instance, message = f"{messages.CSP}/m-csp", messages.Message()
    message.add(f"{messages.ROOTS}/{hashlib.sha1(messages.root_der(lab)).hexdigest()}/EncodedCertificate",
                messages.root_base64(lab), "b64")
    messages.install(message, instance_values(lab), instance)
    messages.apply(lab, message)
    messages.apply(lab, messages.intune(lab, "m-agent"))
    names = ["m-csp", "m-agent"]
    first = {name: until(lab, name, lambda shown: shown["activity"] == "idle") for name in names}
    for name in sorted(names, key=lambda name: first[name]["renewAt"]):
        set_clock(lab, first[name]["renewAt"] + 1)
        until(lab, name, lambda shown: shown["activity"] == "needs-challenge")
    message = messages.Message()
    message.command("Replace", instance + "/Install/Challenge", lab.challenge().read_text().strip(), "chr")
    started = message.command("Exec", instance + "/Install/Enroll", format="null")
    answer = messages.apply(lab, message)
    assert answer.codes[started] == 202, (answer.codes, answer.reasons)
    assert messages.apply(lab, messages.intune(lab, "m-agent", challenge=False)).codes[6] == 500  # no challenge in it
    assert messages.apply(lab, messages.intune(lab, "m-agent")).codes[6] == 202
    for name in names:
        until(lab, name, another(first[name]))
    assert messages.apply(lab, messages.intune(lab, "m-agent")).codes[6] == 418


def test_T18_another_ca(lab, ndes):
    """T18: refused and told, and what is installed goes on; a CA that comes back is renewed at."""
    first = ready(lab, "t-18")
    ndes("set", "other-ca", "on")
    set_clock(lab, first["renewAt"] + 1)
    shown = until(lab, "t-18", lambda shown: shown["activity"] == "failed")
    assert shown["lastError"]["name"] == "CaMismatch" and shown["lastError"]["remedy"]
    assert shown["thumbprint"] == first["thumbprint"] and shown["health"] == "expiring"
    assert lab.scepter("key", "test", "t-18").returncode == 0
    moment = events(lab, "t-18", "ENROL_FAILED")[-1]["nextAt"]
    heal(lab)
    come(lab, "t-18", first, moment)


def test_T1_old_certificate_once_more(lab, ndes):
    """T1: SUCCESS with the old serial number is no renewal."""
    first = ready(lab, "t-1")
    ndes("set", "stale", "on")
    set_clock(lab, first["renewAt"] + 1)
    shown = until(lab, "t-1", lambda shown: shown["activity"] == "failed")
    assert shown["lastError"]["name"] == "CertificateRefused" and shown["thumbprint"] == first["thumbprint"]
    heal(lab)
    failed = events(lab, "t-1", "ENROL_FAILED")[-1]
    come(lab, "t-1", first, failed["nextAt"])


def test_same_key(lab):
    first = ready(lab, "k-reuse", algorithm="rsa-2048\nReuseAtRenewal=yes")
    second = come(lab, "k-reuse", first)
    home = lab.certificate("k-reuse")
    assert (home / "generations/1/key.pem").read_text() == (home / "generations/2/key.pem").read_text()
    assert second["serialNumber"] != first["serialNumber"]


def test_no_server(lab, ndes):
    """Attempts come by themselves, each later than the last; the first that finds the server ends it."""
    first = ready(lab, "n-away")
    ndes("set", "close", "on")
    moment = first["renewAt"]
    for attempt in range(1, 4):
        set_clock(lab, moment + 1)
        shown = until(lab, "n-away", lambda shown, n=attempt: shown["activity"] == "failed" and shown["attempts"] == n)
        assert shown["lastError"]["name"] == "NetworkError" and shown["thumbprint"] == first["thumbprint"]
        moment = events(lab, "n-away", "ENROL_FAILED")[-1]["nextAt"]
        assert now(lab) < moment < now(lab) + DAY / 16 + 10
    heal(lab)
    second = come(lab, "n-away", first, moment)
    home = lab.certificate("n-away")
    assert sorted(path.name for path in (home / "generations").iterdir()) == ["1", "2"]
    assert second["lastError"]["name"] == "" and second["attempts"] == 0


def test_by_hand(lab):
    first = ready(lab, "h-renew")
    set_clock(lab, now(lab) + 60)
    done = lab.scepter("renew", "h-renew", "--wait")
    assert done.returncode == 0, done.stderr
    assert another(first)(lab.json("show", "h-renew"))
    lab.add("h-none")
    assert lab.scepter("renew", "h-none").returncode == 3
    # a challenge that was refused is no challenge any more: nothing is sent without one
    assert lab.enroll("h-none", "--challenge-file", lab.write("wrong", "wrong"), challenge=False).returncode == 6
    sent = len(requests(lab, "h-none"))
    assert lab.scepter("renew", "h-none", "--wait").returncode == 6
    assert lab.json("show", "h-none")["activity"] == "needs-challenge" and len(requests(lab, "h-none")) == sent
    assert lab.enroll("h-none").returncode == 0
    assert lab.scepter("profile", "remove", "h-renew").returncode == 0
    done = lab.scepter("renew", "h-renew")
    assert done.returncode == 3 and "profile" in done.stderr


def test_orphan_is_not_renewed(lab):
    first = ready(lab, "o-gone")
    identity = first["id"]
    assert lab.scepter("profile", "remove", "o-gone").returncode == 0
    set_clock(lab, first["renewAt"] + 1)
    shown = until(lab, identity, lambda shown: shown["health"] == "expiring")
    assert shown["activity"] == "idle" and shown["thumbprint"] == first["thumbprint"]
    assert not events(lab, identity, "RENEW_DUE")


def test_health_is_told(lab):
    """By signals, at the dates at which it changes."""
    first = ready(lab, "s-told", method="challenge")
    monitor = subprocess.Popen(["dbus-monitor", "--address", lab.env["DBUS_SYSTEM_BUS_ADDRESS"],
                                f"type='signal',path='{first['path']}',member='PropertiesChanged'"],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert monitor.stdout.readline()  # it listens
        for moment, health in ((first["renewAt"] + 1, "expiring"), (first["notAfter"] + 2, "expired")):
            set_clock(lab, moment)
            while f'"{health}"' not in monitor.stdout.readline():
                assert monitor.poll() is None
    finally:
        monitor.kill()
        monitor.wait()


# AfterExpiry=, the activity it ends in, how many requests the old certificate signed (this server takes none of them)
AFTER_EXPIRY = [("renew", "needs-challenge", 2), ("enroll", "needs-challenge", 0), ("stop", "idle", 0)]


@pytest.mark.parametrize("policy,activity,signed", AFTER_EXPIRY, ids=[row[0] for row in AFTER_EXPIRY])
def test_after_expiry(policy, activity, signed):
    """The machine was off for days."""
    with renewing("--no-tpm") as lab:
        first = ready(lab, "x", method=f"auto\nAfterExpiry={policy}")
        lab.daemon("kill")
        set_clock(lab, first["notAfter"] + 3 * DAY)
        lab.daemon("restart")
        shown = until(lab, "x", lambda shown: shown["health"] == "expired" and shown["activity"] == activity)
        assert shown["thumbprint"] == first["thumbprint"]
        assert shown["lastError"]["name"] == ("" if policy == "stop" else "ChallengeNeeded")
        assert len(requests(lab, "x")) == 1 + signed and len(events(lab, "x", "RENEW_REFUSED")) == signed
        if activity == "needs-challenge":
            assert lab.enroll("x").returncode == 0
            assert another(first)(lab.json("show", "x"))


def test_T8_clock_that_went_back(lab):
    """T8: by years and forward again: nothing is requested twice, and nothing is missed."""
    first = ready(lab, "b-back")
    at = now(lab)
    before = len(requests(lab, "b-back"))
    set_clock(lab, 3600)
    shown = until(lab, "b-back", lambda shown: shown["activity"] == "idle")
    assert shown["thumbprint"] == first["thumbprint"]
    set_clock(lab, at + 60)
    assert len(requests(lab, "b-back")) == before
    come(lab, "b-back", first)


def test_T8_dates_of_a_clock_that_was_ahead(lab, ndes):
    """An attempt was put off to a date that is a day away since the clock went back: it comes all the same."""
    lab.add("b-ahead")
    at = now(lab)
    set_clock(lab, at + 30 * DAY)
    ndes("set", "close", "on")
    assert lab.enroll("b-ahead").returncode == 7
    heal(lab)
    set_clock(lab, at)
    set_clock(lab, at + 61)
    until(lab, "b-ahead", lambda shown: shown["activity"] == "idle" and shown["health"] == "valid")


def test_cancelled_by_hand(lab, ndes):
    """It does not begin again at once, and is not given up."""
    first = ready(lab, "x-cancel")
    ndes("set", "pending", "approve")
    set_clock(lab, first["renewAt"] + 1)
    until(lab, "x-cancel", lambda shown: shown["activity"] == "pending")
    assert lab.scepter("cancel", "x-cancel").returncode == 0
    until(lab, "x-cancel", lambda shown: shown["activity"] == "idle")
    set_clock(lab, first["renewAt"] + 120)
    assert lab.json("show", "x-cancel")["activity"] == "idle" and len(events(lab, "x-cancel", "RENEW_DUE")) == 1
    heal(lab)
    come(lab, "x-cancel", first, first["renewAt"] + 3700)


def test_T8_slept_through(lab):
    """Its date was missed by two hours: the renewal is spread over the next hour, and comes."""
    lab.ndes("set", "lifetime", "30d")
    first = ready(lab, "l-late")
    set_clock(lab, first["renewAt"] + 7200)
    until(lab, "l-late", lambda shown: shown["health"] == "expiring")
    assert awake(lab, "l-late", another(first))["health"] == "valid"


def awake(lab, name, wanted):
    """Its properties, once wanted(properties): the clock goes on by steps that nobody sleeps through. What was put off for
    an hour comes; on a busy machine a step may be slept through all the same, and another wait be drawn."""
    latest = now(lab) + 3 * 3600
    while not wanted(shown := lab.json("show", name)):
        if shown["activity"] in ("idle", "failed"):
            assert now(lab) < latest
            set_clock(lab, now(lab) + 100)
    return shown


def generations(lab, name):
    return sorted(int(path.name) for path in (lab.certificate(name) / "generations").iterdir())


def test_programs_keep_the_old_key(lab):
    """A program goes on with the key it has loaded: on its connection, in a child, and with a service started anew."""
    first = ready(lab, "p-old")
    old = [uri for uri in first["uris"] if "id=" in uri][0]
    with Holder(lab, "ksp:p-old") as holder:
        second = come(lab, "p-old", first)
        assert [holder.tell(word) for word in ("sign", "fork")] == ["ok"] * 2
        lab.daemon("restart")
        assert [holder.tell(word) for word in ("sign", "fork")] == ["ok"] * 2
        assert old not in second["uris"]
        # and it is found by its id, with its certificate, by who knows that
        done = lab.openssl("storeutl", "-provider", "default", "-provider", "ksp", "-noout", "-text", "-certs", old)
        assert done.returncode == 0 and first["serialNumber"] in done.stdout.replace(":", "").lower(), done.stdout


def test_old_generations_go(lab):
    """They are kept for programs, until they have expired; one that a program has open stays."""
    shown = ready(lab, "p-gone")
    with Holder(lab, "ksp:p-gone") as holder:
        for _ in range(4):
            shown = come(lab, "p-gone", shown)
        assert generations(lab, "p-gone") == [1, 4, 5]
        assert holder.tell("sign") == "ok"
    for _ in range(2):
        shown = come(lab, "p-gone", shown)
    assert generations(lab, "p-gone") == [6, 7]
    record = json.loads((lab.certificate("p-gone") / "record.json").read_text())
    assert len(record["old"]) == 1 and record["old"][0].startswith("6 ")


def test_keys_in_the_tpm():
    """The old key signs the renewal and opens the reply, the new one is made there too."""
    with renewing() as lab:
        first = ready(lab, "tpm", protection="tpm")
        second = come(lab, "tpm", first)
        assert second["keyProtection"] == "tpm"
        assert lab.scepter("key", "test", "tpm").returncode == 0


@pytest.mark.parametrize("where", ["requesting", "pending"])
def test_killed_on_the_way(where):
    """The same transaction goes on, with the same bytes and one certificate at the CA."""
    with renewing("--no-tpm") as lab:
        first = ready(lab, "killed")
        issued = int(lab.ndes("issued").split()[-1])
        if where == "requesting":
            lab.ndes("set", "fault-on", "pki")
            lab.ndes("set", "delay", "30s")
        else:
            lab.ndes("set", "pending", "approve")
        set_clock(lab, first["renewAt"] + 1)
        until(lab, "killed", lambda shown: shown["activity"] == where)
        home = lab.certificate("killed")
        lab.until((home / "generations/2/request.der").exists)
        request = (home / "generations/2/request.der").read_bytes()
        lab.daemon("kill")
        heal(lab)
        if where == "pending":
            assert (home / "generations/2/request.der").read_bytes() == request
            lab.ndes("approve")
        lab.daemon("restart")
        if where == "pending":
            set_clock(lab, now(lab) + 7200)
        until(lab, "killed", another(first))
        assert int(lab.ndes("issued").split()[-1]) == issued + 1
        generated = {event["transaction"] for event in events(lab, "killed", "REQUEST_GENERATED")}
        assert len(generated) == 2


@pytest.mark.parametrize("who", ["certificate", "ca"])
def test_revoked(who):
    """Seen within a day, told, and another certificate is asked for, which the old one may not sign."""
    with renewing("--no-tpm") as lab:
        lab.ndes("set", "lifetime", "30d")
        first = ready(lab, "revoked")
        ready(lab, "other")
        if who == "certificate":
            lab.ndes("revoke", first["serialNumber"])
        else:
            lab.ndes("set", "crl", "ca-revoked")
        set_clock(lab, now(lab) + 3601)
        shown = until(lab, "revoked", lambda shown: shown["health"] == "revoked" and shown["activity"] == "needs-challenge")
        assert shown["thumbprint"] == first["thumbprint"]
        told = events(lab, "revoked", "CERT_REVOKED")
        assert len(told) == 1 and told[0]["serial"] == first["serialNumber"] and told[0]["revokedAt"] <= now(lab)
        assert not events(lab, "revoked", "RENEW_REFUSED")
        if who == "certificate":
            assert lab.json("show", "other")["health"] == "valid"
            heal(lab)
            assert lab.enroll("revoked").returncode == 0
            assert lab.json("show", "revoked")["health"] == "valid"
        else:
            until(lab, "other", lambda shown: shown["health"] == "revoked")
