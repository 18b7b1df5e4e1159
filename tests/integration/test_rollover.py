"""The CA changes: a profile that follows learns the next CA while the present one vouches for it, and renews under it; any
other refuses it and says so."""
import hashlib
import subprocess

import pytest

import labs
from test_renewal import DAY, another, awake, come, events, heal, now, set_clock, until

FOLLOW = {"server": "FollowRollover=yes"}


@pytest.fixture(scope="module")
def lab():
    with labs.lab("--no-tpm") as made:
        yield made


@pytest.fixture
def ndes(lab):
    def reset():
        heal(lab)
        lab.ndes("set", "single-tier", "on")
    reset()
    yield lab.ndes
    reset()


def ready(lab, name, **values):
    lab.add(name, **values)
    done = lab.enroll(name)
    assert done.returncode == 0, done.stderr
    return lab.json("show", name)


def switch(lab, **values):
    for name, value in values.items():
        lab.ndes("set", name.replace("_", "-"), value)


def told(lab, name, kind, count=1):
    """The events of this kind, once there are that many."""
    return lab.until(lambda: found if len(found := events(lab, name, kind)) >= count else None)


def digest(path):
    der = subprocess.run(["openssl", "x509", "-in", path, "-outform", "der"], capture_output=True, check=True).stdout
    return hashlib.sha256(der).hexdigest()


def leads(home):
    """The installed certificate leads to anchor.pem."""
    chain = home / "current/chain.pem"
    between = ("-untrusted", chain) if chain.stat().st_size else ()
    return subprocess.run(["openssl", "verify", "-no_check_time", "-CAfile", home / "anchor.pem", *between,
                           home / "current/cert.pem"], capture_output=True, check=False).returncode == 0


def a_day_later(lab):
    set_clock(lab, now(lab) + 26 * 3600)


def test_learns_and_follows(lab, ndes):
    """With the first certificate there is nothing to learn; a renewal before the change learns it, the one behind follows."""
    first = ready(lab, "f-whole", **FOLLOW)
    home = lab.certificate("f-whole")
    old = digest(home / "anchor.pem")
    assert digest(lab.root) == old and not (home / "next-anchor.pem").exists()
    switch(lab, rollover="on")
    second = come(lab, "f-whole", first)
    learnt = told(lab, "f-whole", "CA_NEXT")
    new = digest(home / "next-anchor.pem")
    assert [learnt[0]["anchor"], learnt[0]["nextAnchor"]] == [old, new] and old != new and len(learnt) == 1
    assert (home / "next-anchor.pem").stat().st_mode & 0o777 == 0o644
    assert digest(home / "anchor.pem") == old and leads(home)
    # told once, and it outlives the daemon
    third = come(lab, "f-whole", second)
    lab.daemon("kill", check=False)
    lab.daemon("restart")
    assert len(events(lab, "f-whole", "CA_NEXT")) == 1 and digest(home / "next-anchor.pem") == new
    switch(lab, rollover="done")
    fourth = come(lab, "f-whole", third)
    followed = events(lab, "f-whole", "CA_FOLLOWED")
    assert [(one["anchor"], one["nextAnchor"]) for one in followed] == [(old, new)]
    assert digest(home / "anchor.pem") == new and leads(home) and not (home / "next-anchor.pem").exists()
    assert lab.scepter("key", "test", "f-whole").returncode == 0
    # and it goes on under it, though the profile still names the old root
    lab.daemon("restart")
    fifth = come(lab, "f-whole", fourth)
    assert fifth["thumbprint"] != fourth["thumbprint"] and digest(home / "anchor.pem") == new and leads(home)
    assert len(events(lab, "f-whole", "CA_FOLLOWED")) == 1
    said = lab.scepter("diagnose", "f-whole", "--json").stdout
    assert '"ca-ok"' in said and '"ca-mismatch"' not in said and '"certificate-ok"' in said, said


def test_T18_learns_between_renewals(lab, ndes):
    """T18: the daily look finds it, and then the change comes before the next renewal."""
    first = ready(lab, "f-daily", **FOLLOW)
    switch(lab, rollover="on")
    a_day_later(lab)
    told(lab, "f-daily", "CA_NEXT")
    assert lab.json("show", "f-daily")["thumbprint"] == first["thumbprint"]
    switch(lab, rollover="done")
    come(lab, "f-daily", first)
    assert events(lab, "f-daily", "CA_FOLLOWED") and leads(lab.certificate("f-daily"))


def test_T18_thumbprint_alone(lab, ndes):
    """T18: the pin is a thumbprint, and the root is known from the server alone."""
    text = lab.profile_text("f-pin", **FOLLOW).replace(f"RootCertificate={lab.root}", f"CaThumbprint={lab.env['LAB_ROOT_SHA1']}")
    assert "RootCertificate" not in text
    assert lab.scepter("profile", "add", lab.write("f-pin.profile", text)).returncode == 0
    switch(lab, rollover="on")
    assert lab.enroll("f-pin").returncode == 0
    first = lab.json("show", "f-pin")
    told(lab, "f-pin", "CA_NEXT")  # with the first certificate already
    switch(lab, rollover="done", ra="none")
    come(lab, "f-pin", first)
    assert events(lab, "f-pin", "CA_FOLLOWED") and leads(lab.certificate("f-pin"))


def test_another_announcement(lab, ndes):
    """The CA thinks better of it: the one that it announced last is the one."""
    first = ready(lab, "f-better", **FOLLOW)
    home = lab.certificate("f-better")
    switch(lab, rollover="on", rollover_begins="later")
    second = come(lab, "f-better", first)
    told(lab, "f-better", "CA_NEXT")
    switch(lab, rollover_begins="now")
    third = come(lab, "f-better", second)
    both = told(lab, "f-better", "CA_NEXT", 2)
    assert both[0]["anchor"] == both[1]["anchor"] and both[0]["nextAnchor"] != both[1]["nextAnchor"]
    assert digest(home / "next-anchor.pem") == both[1]["nextAnchor"]
    switch(lab, rollover="done", rollover_begins="later")  # and not the one before
    set_clock(lab, third["renewAt"] + 1)
    shown = until(lab, "f-better", lambda shown: shown["activity"] == "failed")
    assert shown["lastError"]["name"] == "CaMismatch" and shown["thumbprint"] == third["thumbprint"]


def test_T18_does_not_follow(lab, ndes):
    """T18: the default: announced or not, another CA is refused and told, and the old certificate goes on."""
    first = ready(lab, "f-no")
    home = lab.certificate("f-no")
    switch(lab, rollover="on")
    second = come(lab, "f-no", first)
    switch(lab, rollover="done")
    set_clock(lab, second["renewAt"] + 1)
    shown = until(lab, "f-no", lambda shown: shown["activity"] == "failed")
    assert shown["lastError"]["name"] == "CaMismatch" and shown["lastError"]["remedy"]
    assert shown["thumbprint"] == second["thumbprint"] and leads(home) and digest(home / "anchor.pem") == digest(lab.root)
    assert not list(home.glob("*next*")) and not events(lab, "f-no", "CA_NEXT")
    assert lab.scepter("key", "test", "f-no").returncode == 0


def test_T18_not_announced(lab, ndes):
    """T18: who follows follows an announcement, and no mere change."""
    first = ready(lab, "f-sudden", **FOLLOW)
    switch(lab, rollover="done")
    set_clock(lab, first["renewAt"] + 1)
    shown = until(lab, "f-sudden", lambda shown: shown["activity"] == "failed")
    assert shown["lastError"]["name"] == "CaMismatch" and shown["thumbprint"] == first["thumbprint"]
    assert not list(lab.certificate("f-sudden").glob("*next*"))


def test_two_tiers_keep_their_root(lab, ndes):
    """Another issuing CA below the same root: nothing to take over, and it is renewed under it."""
    switch(lab, single_tier="off")
    first = ready(lab, "f-tiers", **FOLLOW)
    switch(lab, rollover="on")
    second = come(lab, "f-tiers", first)
    switch(lab, rollover="done")
    come(lab, "f-tiers", second)
    home = lab.certificate("f-tiers")
    assert not list(home.glob("*next*")) and digest(home / "anchor.pem") == digest(lab.root) and leads(home)
    assert not events(lab, "f-tiers", "CA_NEXT", "CA_FOLLOWED")
    # a look that comes only after the roll-over finds that there is no next CA any more
    assert {event["error"] for event in events(lab, "f-tiers", "CA_NEXT_REFUSED")} <= {"HttpError"}


REFUSALS = [
    # name, switches, the error, what the message says
    ("forged", {"rollover": "forged"}, "InvalidReply", "somebody else than the CA in force"),
    ("ra", {"rollover-fault": "ra"}, "InvalidReply", "only the CA itself"),
    ("tampered", {"rollover-fault": "tampered"}, "InvalidReply", "is not valid"),
    ("nothing", {"rollover-fault": "nothing"}, "InvalidReply", "signed nothing"),
    ("content", {"rollover-fault": "content"}, "InvalidReply", "neither a certificate nor"),
    ("no-ca", {"rollover-fault": "no-ca"}, "InvalidReply", "not that of a CA"),
    ("two", {"rollover-fault": "two"}, "InvalidReply", "2 next CAs"),
    ("sha1", {"rollover-fault": "sha1"}, "ServerAlgorithm", "digest sha1"),
    ("html", {"fault-on": "nextca", "body": "html"}, "InvalidReply", "web page"),
    ("empty", {"fault-on": "nextca", "body": "empty"}, "InvalidReply", "with nothing"),
    ("huge", {"fault-on": "nextca", "body": "huge"}, "InvalidReply", "larger than"),
    ("half", {"fault-on": "nextca", "body": "half"}, "InvalidReply", "not a CMS message"),
    ("status", {"fault-on": "nextca", "http-status": "500"}, "HttpError", "500"),
    ("closed", {"fault-on": "nextca", "close": "on"}, "NetworkError", ""),
]


@pytest.mark.parametrize("name,switches,error,says", REFUSALS, ids=[row[0] for row in REFUSALS])
def test_refused(lab, ndes, name, switches, error, says):
    """The renewal goes on as if nothing were announced; it is told, once, and the change is refused when it comes."""
    name = f"x-{name}"
    first = ready(lab, name, **FOLLOW)
    switch(lab, rollover="on")
    switch(lab, **switches)
    second = come(lab, name, first)
    refused = told(lab, name, "CA_NEXT_REFUSED")[0]
    assert says in refused["message"] and refused["remedy"] and error in ("", refused["error"]), refused
    third = come(lab, name, second)
    assert len(events(lab, name, "CA_NEXT_REFUSED")) == 1 and not events(lab, name, "CA_NEXT")
    heal(lab)
    switch(lab, single_tier="on", rollover="done")
    set_clock(lab, third["renewAt"] + 1)
    shown = until(lab, name, lambda shown: shown["activity"] == "failed")
    assert shown["lastError"]["name"] == "CaMismatch" and shown["thumbprint"] == third["thumbprint"]
    assert not list(lab.certificate(name).glob("*next*"))


def test_unlisted(lab, ndes):
    """Nobody asks for what the capabilities do not list."""
    first = ready(lab, "f-unlisted", **FOLLOW)
    switch(lab, rollover="on", rollover_fault="unlisted")
    before = lab.ndes("log").count("GetNextCACert")
    second = come(lab, "f-unlisted", first)
    come(lab, "f-unlisted", second)
    assert lab.ndes("log").count("GetNextCACert") == before
    assert not events(lab, "f-unlisted", "CA_NEXT", "CA_NEXT_REFUSED")


def test_not_before_its_time():
    """An announced CA that has not begun is kept, and not believed before."""
    with labs.lab("--no-tpm") as lab:
        switch(lab, single_tier="on", lifetime="20d")
        first = ready(lab, "early", **FOLLOW)
        home = lab.certificate("early")
        switch(lab, rollover="on", rollover_begins="later")
        a_day_later(lab)
        told(lab, "early", "CA_NEXT")
        switch(lab, rollover="done")
        done = lab.scepter("renew", "early", "--wait", "--json")
        assert done.returncode == 6, done
        shown = lab.json("show", "early")
        assert shown["lastError"]["name"] == "CaExpired" and "not valid yet" in shown["lastError"]["message"]
        assert shown["thumbprint"] == first["thumbprint"] and digest(home / "anchor.pem") == digest(lab.root)
        set_clock(lab, now(lab) + 3 * DAY)
        awake(lab, "early", another(first))
        assert digest(home / "anchor.pem") != digest(lab.root) and leads(home)


def test_removed_with_it(lab, ndes):
    first = ready(lab, "f-gone", **FOLLOW)
    switch(lab, rollover="on")
    come(lab, "f-gone", first)
    told(lab, "f-gone", "CA_NEXT")
    home = lab.certificate("f-gone")
    assert lab.scepter("remove", "f-gone").returncode == 0
    assert not home.exists()
