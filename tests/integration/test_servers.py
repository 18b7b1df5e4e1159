"""Several servers, servers that are out of order, and a network that comes and goes: one request, one certificate, and the
server that answered on record."""
import contextlib
import json
import socket

import pytest

import labs
import neighbours
from front import front


@contextlib.contextmanager
def nobody():
    """The URL of a port where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/certsrv/mscep/mscep.dll"


def events(lab, name, kind=None):
    return [event for event in lab.json("events", name)["events"] if kind in (None, event["event"])]


def issued(lab):
    return int(lab.ndes("issued").strip().split()[-1])


def add(lab, name, *urls, **values):
    lab.add(name, url="\nUrl=".join(urls), **values)


def step(lab, seconds):
    lab.clock(f"+{seconds}")


def test_first_is_not_there(lab):
    with nobody() as gone:
        add(lab, "second", gone, lab.url)
        done = lab.enroll("second")
    assert done.returncode == 0, done.stderr
    assert lab.json("show", "second")["respondentServerUrl"] == lab.url


def test_none_is_there(lab):
    with nobody() as gone, nobody() as too:
        add(lab, "none", gone, too)
        done = lab.enroll("none", "--json")
    assert done.returncode == 7, done.stdout
    failure = json.loads(done.stdout.strip().splitlines()[-1])["error"]
    assert failure["name"] == "NetworkError" and too in failure["message"]


@pytest.mark.parametrize("renewal", [False, True], ids=["enrollment", "renewal"])
def test_out_of_order_on_the_way(lab, renewal):
    """It tells its certificates and does not take the request: the next one gets the same request."""
    name = f"way-{'renewal' if renewal else 'enrollment'}"
    with front(lab) as first:
        add(lab, name, first.url, lab.url)
        if renewal:
            assert lab.enroll(name).returncode == 0
            assert lab.json("show", name)["respondentServerUrl"] == first.url
            step(lab, 60)
        first.broken, before = ("PKIOperation",), issued(lab)
        done = lab.scepter("renew", name, "--wait") if renewal else lab.enroll(name)
        assert done.returncode == 0, done.stderr
    assert first.refused >= 1 and issued(lab) == before + 1
    skipped = events(lab, name, "SERVER_SKIPPED")
    assert [event["url"] for event in skipped] == [first.url] and skipped[0]["error"] == "NetworkError"
    assert lab.json("show", name)["respondentServerUrl"] == lab.url
    begun = len(events(lab, name, "CERT_INSTALLED")) - 1
    transactions = {event["transaction"] for event in events(lab, name, "REQUEST_GENERATED")[begun:]}
    assert len(transactions) == 1


def test_lost_answer_is_asked_for_again(lab):
    """The request arrived, the answer did not: the same request again gives the certificate that was issued."""
    lab.ndes("set", "close", "on")
    lab.ndes("set", "fault-on", "pki")
    lab.ndes("set", "fault-times", "1")
    lab.add("lost", count=5)
    before = issued(lab)
    done = lab.enroll("lost")
    assert done.returncode == 7, done.stderr
    assert lab.json("show", "lost")["activity"] == "failed" and issued(lab) == before + 1
    step(lab, 4000)
    shown = lab.wait_for("lost", "idle")
    assert shown["health"] == "valid" and issued(lab) == before + 1
    assert len({event["transaction"] for event in events(lab, "lost", "REQUEST_GENERATED")}) == 1
    lab.ndes("reset")


def test_other_ra_certificates_meanwhile(lab):
    """What was stored nobody can open any more: the next attempt makes another request, with the same key."""
    with front(lab, "PKIOperation") as only:
        add(lab, "rolled", only.url)
        assert lab.enroll("rolled").returncode == 7
        key = (lab.certificate("rolled") / "generations/1/key.pem").read_bytes()
        lab.ndes("set", "ra", "one")
        only.broken = ()
        step(lab, 4000)
        shown = lab.wait_for("rolled", "idle")
    assert shown["health"] == "valid"
    assert (lab.certificate("rolled") / "current/key.pem").read_bytes() == key
    assert len({event["transaction"] for event in events(lab, "rolled", "REQUEST_GENERATED")}) == 2
    lab.ndes("reset")


@pytest.mark.parametrize("operation", ["cacert", "pki"])
def test_retry_after(lab, operation):
    """A server that says when to come back is not asked before, once it does not answer."""
    name = f"later-{operation}"
    for switch, value in (("http-status", "503"), ("retry-after", "7200"), ("fault-on", operation)):
        lab.ndes("set", switch, value)
    lab.add(name)
    assert lab.enroll(name).returncode == 6
    failed = events(lab, name, "ENROL_FAILED")[-1]
    assert 7198 <= failed["nextAt"] - failed["time"] <= 7202, failed  # the clock goes on between the two
    lab.ndes("reset")
    step(lab, 7210)
    lab.wait_for(name, "idle")


def test_pending_without_a_server(lab):
    """A poll that fails changes nothing: the request waits, the failure is told, and the next poll ends it."""
    lab.ndes("set", "pending", "1")
    with front(lab) as first:
        add(lab, "waits", first.url, lab.url, delay=1)
        assert lab.enroll("waits").returncode == 8
        first.broken = ("operation",)
        step(lab, 70)
        shown = lab.until(lambda: [one for one in [lab.json("show", "waits")] if one["lastError"]["name"]])[0]
        assert shown["activity"] == "pending" and shown["lastError"]["name"] == "NetworkError", shown
        assert shown["status"] == 2
        assert "error" in events(lab, "waits", "RETRY")[-1] and not events(lab, "waits", "ENROL_FAILED")
        lab.daemon("kill")
        lab.daemon("restart")
        assert lab.json("show", "waits")["activity"] == "pending"
        first.broken = ()
        step(lab, 4000)
        shown = lab.wait_for("waits", "idle")
    assert shown["health"] == "valid" and shown["lastError"]["name"] == ""
    assert shown["respondentServerUrl"] == first.url, "another server knows nothing of the request"
    assert len({event["transaction"] for event in events(lab, "waits") if "transaction" in event}) == 1
    lab.ndes("reset")


def test_limit_of_pending(lab):
    """PendingLimit= ends it, but not by a clock that the server contradicts."""
    lab.ndes("set", "pending", "approve")
    lab.add("limited", server="PendingLimit=2h")
    assert lab.enroll("limited").returncode == 8
    lab.ndes("set", "date-skew", "behind 30d")
    step(lab, 3 * 3600)
    lab.until(lambda: len(events(lab, "limited", "RETRY")) == 1)
    assert lab.json("show", "limited")["activity"] == "pending"
    lab.ndes("set", "date-skew", "0")
    step(lab, 3601)
    shown = lab.wait_for("limited", "failed")
    assert shown["lastError"]["name"] == "ServerRefused" and "2 hours" in shown["lastError"]["message"]
    lab.ndes("reset")


@contextlib.contextmanager
def network_manager(lab):
    name = "org.freedesktop.NetworkManager"
    with contextlib.closing(neighbours.Neighbour(lab, name, "/org/freedesktop/NetworkManager", name)) as made:
        made.mock.AddProperty(name, "State", neighbours.dbus.UInt32(20))

        def become(state):
            made.mock.UpdateProperties(name, {"State": neighbours.dbus.UInt32(state)})
            made.mock.EmitSignal(name, "StateChanged", "u", [neighbours.dbus.UInt32(state)])
        made.become = become
        yield made


def test_network_comes_up():
    """What failed for want of an answer is tried when NetworkManager says so, long before its date."""
    with labs.lab("--no-tpm") as lab, network_manager(lab) as manager:
        manager.become(20)
        for switch, value in (("http-status", "503"), ("retry-after", "7200"), ("fault-on", "cacert")):
            lab.ndes("set", switch, value)
        lab.add("roams")
        assert lab.enroll("roams").returncode == 6
        lab.add("refused")
        lab.ndes("reset")
        lab.ndes("set", "wrong-challenge", "always")
        assert lab.enroll("refused").returncode == 6
        lab.ndes("reset")
        step(lab, 120)
        for state in (40, 50):  # not further than the link
            manager.become(state)
        assert lab.json("show", "roams")["activity"] == "failed"
        manager.become(60)
        assert lab.wait_for("roams", "idle")["health"] == "valid"
        assert lab.json("show", "refused")["activity"] == "failed", "a refusal is not the network's"


def test_network_that_flaps_while_the_ca_thinks():
    """Neither do polls come more often than once a minute."""
    with labs.lab("--no-tpm") as lab, network_manager(lab) as manager, front(lab) as way:
        manager.become(20)
        lab.ndes("set", "pending", "approve")
        add(lab, "thinks", way.url)
        assert lab.enroll("thinks").returncode == 8
        way.broken = ("operation",)
        step(lab, 70)
        lab.until(lambda: way.refused)
        lab.until(lambda: lab.json("show", "thinks")["lastError"]["name"])
        before = way.refused
        for _ in range(20):
            manager.become(70)
            manager.become(20)
        step(lab, 30)
        lab.serves()
        assert way.refused == before
        way.broken = ()
        lab.ndes("approve")
        step(lab, 31)
        manager.become(70)
        lab.wait_for("thinks", "idle")


def test_network_that_flaps():
    """Coming up again and again makes no storm: not within a minute of the failure."""
    with labs.lab("--no-tpm") as lab, network_manager(lab) as manager:
        manager.become(20)
        for switch, value in (("http-status", "503"), ("retry-after", "7200"), ("fault-on", "cacert")):
            lab.ndes("set", switch, value)
        lab.add("flaps")
        assert lab.enroll("flaps").returncode == 6
        for _ in range(20):
            manager.become(20)
            manager.become(70)  # the last word: the service asks how it is, and may see no more than that
        step(lab, 30)
        lab.serves()
        assert len(events(lab, "flaps", "ENROL_FAILED")) == 1
        step(lab, 31)
        lab.until(lambda: len(events(lab, "flaps", "ENROL_FAILED")) == 2)
