"""The daily looks at what is installed, at the CRLs and at what the CA announces, go on while a request waits for its CA."""
import json

import pytest

import labs
from test_renewal import DAY, another, awake, events, now, ready, requests, set_clock, until


def heal(lab):
    lab.ndes("reset")
    lab.ndes("set", "lifetime", "30d")


@pytest.fixture
def lab():
    with labs.lab("--no-tpm") as made:
        heal(made)
        yield made


def pending(lab, name, before):
    """Its renewal waits for the administrator; its record."""
    lab.ndes("set", "pending", "approve")
    set_clock(lab, before["renewAt"] + 1)
    until(lab, name, lambda shown: shown["activity"] == "pending")
    return record(lab, name)


def record(lab, name):
    return json.loads((lab.certificate(name) / "record.json").read_text())


def a_day_later(lab, name, kind):
    """The events of this kind, once there is one."""
    set_clock(lab, now(lab) + 26 * 3600)
    return lab.until(lambda: events(lab, name, kind))


def same_request(was, now_is):
    kept = ("transaction", "nonce", "request_url", "requested", "current", "pending_since", "renewing", "method", "plan",
            "next_key_id", "activity", "activity_since")
    assert {key: was[key] for key in kept} == {key: now_is[key] for key in kept}


@pytest.mark.parametrize("restart", [False, True], ids=["on", "killed"])
def test_revoked_while_pending(lab, restart):
    """Told and on record within a day; the request waits on as it was, and what it brings is valid."""
    first = ready(lab, "waits")
    bystander = ready(lab, "beside")
    was = pending(lab, "waits", first)
    home = lab.certificate("waits")
    request = (home / "generations/2/request.der").read_bytes()
    lab.ndes("revoke", first["serialNumber"])
    told = a_day_later(lab, "waits", "CERT_REVOKED")
    shown = until(lab, "waits", lambda shown: shown["health"] == "revoked")
    assert shown["activity"] == "pending" and shown["thumbprint"] == first["thumbprint"]
    assert told[0]["serial"] == first["serialNumber"] and told[0]["revokedAt"] <= now(lab)
    is_now = record(lab, "waits")
    assert is_now["revoked_at"] == told[0]["revokedAt"]
    same_request(was, is_now)
    if restart:
        lab.daemon("kill", check=False)
        lab.daemon("restart")
        shown = until(lab, "waits", lambda shown: shown["activity"] == "pending")
        assert shown["health"] == "revoked"
        same_request(was, record(lab, "waits"))
    # looked at once more, nobody is told again
    set_clock(lab, now(lab) + 26 * 3600)
    until(lab, "waits", lambda shown: shown["activity"] == "pending" and record(lab, "waits")["polls"] > is_now["polls"])
    assert (home / "generations/2/request.der").read_bytes() == request
    assert len(events(lab, "waits", "CERT_REVOKED")) == 1 and not events(lab, "beside", "CERT_REVOKED")
    issued = int(lab.ndes("issued").split()[-1])
    heal(lab)
    lab.ndes("approve")
    set_clock(lab, now(lab) + 7200)
    second = until(lab, "waits", another(first))
    assert second["health"] == "valid" and record(lab, "waits")["revoked_at"] == 0
    kinds = requests(lab, "waits")
    assert kinds[:2] == [19, 17] and set(kinds[2:]) == {20}
    assert not [one for one in events(lab, "waits", "RENEW_REFUSED")]
    awake(lab, "beside", another(bystander))  # its own turn came in these days
    assert int(lab.ndes("issued").split()[-1]) == issued + 2


def test_denied_after_that(lab):
    """The CA denies the request of a certificate that it has revoked: the next one needs a challenge."""
    first = ready(lab, "denied")
    pending(lab, "denied", first)
    lab.ndes("revoke", first["serialNumber"])
    a_day_later(lab, "denied", "CERT_REVOKED")
    lab.ndes("deny")
    heal(lab)
    set_clock(lab, now(lab) + 7200)
    shown = until(lab, "denied", lambda shown: shown["activity"] == "failed")
    assert shown["health"] == "revoked" and shown["thumbprint"] == first["thumbprint"]
    set_clock(lab, now(lab) + 2 * DAY)
    until(lab, "denied", lambda shown: shown["activity"] == "needs-challenge")
    assert lab.enroll("denied").returncode == 0
    assert lab.json("show", "denied")["health"] == "valid"


def test_cancelled_after_that(lab):
    """What was found out stays when the request does not."""
    first = ready(lab, "cancelled")
    pending(lab, "cancelled", first)
    lab.ndes("revoke", first["serialNumber"])
    a_day_later(lab, "cancelled", "CERT_REVOKED")
    assert lab.scepter("cancel", "cancelled").returncode == 0
    shown = until(lab, "cancelled", lambda shown: shown["activity"] == "idle")
    assert shown["health"] == "revoked" and record(lab, "cancelled")["revoked_at"]


def test_next_ca_while_pending(lab):
    """The announcement is learnt by a request that waits, and outlives its end."""
    lab.ndes("set", "single-tier", "on")
    first = ready(lab, "learns", server="FollowRollover=yes")
    was = pending(lab, "learns", first)
    home = lab.certificate("learns")
    assert not (home / "next-anchor.pem").exists()
    lab.ndes("set", "rollover", "on")
    told = a_day_later(lab, "learns", "CA_NEXT")
    assert len(told) == 1 and (home / "next-anchor.pem").exists()
    assert lab.json("show", "learns")["activity"] == "pending"
    same_request(was, record(lab, "learns"))
    lab.ndes("approve")
    set_clock(lab, now(lab) + 7200)
    until(lab, "learns", another(first))
    assert len(events(lab, "learns", "CA_NEXT")) == 1 and (home / "next-anchor.pem").exists()
