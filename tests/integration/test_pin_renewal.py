"""Renewals that a user-verified key signs: with its PIN alone, which is held for the one transaction, and asked for again after
a restart of the service."""
import pytest

import crash
import labs
from agent import agent
from terminal import Typed
from test_ec import record
from test_pin import forget, patient  # noqa: F401: a fixture of each test
from test_renewal import another, heal, renewing, requests, set_clock, until

RIGHT, WRONG = "4711 right", "4711 wrong"
needs_preload = pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")


@pytest.fixture(scope="module")
def lab():
    with renewing() as made:
        yield made


@pytest.fixture(autouse=True)
def healed(lab):
    yield
    heal(lab)
    for one in lab.json("list")["certificates"]:  # or else they come due while the next test looks at its own
        lab.scepter("remove", one["name"])


def ready(lab, name, **values):
    lab.add(name, protection="user-verified", type="user", **{"algorithm": "ec-p256", **values})
    done = Typed(lab, "enroll", name, "--wait", "--challenge-file", lab.challenge(), lines=[RIGHT, RIGHT])
    assert done.status == 0, done.text
    return lab.json("show", name)


def renew(lab, name, pin=RIGHT):
    lab.clock("+60")  # a renewal ends later than what it renews
    return Typed(lab, "renew", name, "--wait", lines=[pin])


WAYS = [("auto", "rsa-2048", [17]), ("renewal", "ec-p256", [17]), ("signed-pkcsreq", "rsa-2048", [19]),
        ("signed-pkcsreq", "ec-p256", [19])]


@pytest.mark.parametrize("method, algorithm, types", WAYS, ids=[f"{row[0]}-{row[1]}" for row in WAYS])
def test_by_the_pin_alone(lab, method, algorithm, types):
    name = f"{method}-{algorithm}"
    first = ready(lab, name, method=method, algorithm=algorithm)
    lab.ndes("set", "ec-reply", "kari")
    done = renew(lab, name)
    assert done.status == 0, done.text
    second = lab.json("show", name)
    assert second["thumbprint"] != first["thumbprint"] and second["keyProtection"] == "user-verified"
    assert second["uris"][1] != first["uris"][1] and requests(lab, name)[1:] == types
    assert not (lab.certificate(name) / "generations/2/transport.pem").exists()
    assert Typed(lab, "key", "test", name, lines=[RIGHT]).status == 0
    assert RIGHT not in lab.log()


def test_a_wrong_pin_asks_nothing_of_the_server(lab):
    first = ready(lab, "wrong", method="renewal")
    done = renew(lab, "wrong", WRONG)
    assert done.status == 5 and "4 tries are left" in done.text
    assert requests(lab, "wrong")[1:] == [] and lab.json("show", "wrong")["thumbprint"] == first["thumbprint"]
    lab.ndes("set", "ec-reply", "kari")
    assert renew(lab, "wrong").status == 0


def test_the_challenge_is_left(lab):
    """Where the server takes no signature of the old key, as any other key does."""
    ready(lab, "refused")
    lab.ndes("set", "renewal", "challenge")
    done = renew(lab, "refused")
    assert done.status == 6 and "challenge" in done.text, done.text


def pends(lab, name, **values):
    """A renewal that waits for its CA; the transaction."""
    first = ready(lab, name, **values)
    lab.ndes("set", "ec-reply", "kari")
    lab.ndes("set", "pending", "approve")
    done = renew(lab, name)
    assert done.status == 8, done.text
    return first, record(lab, name)["transaction"]


@pytest.mark.parametrize("algorithm", ["rsa-2048", "ec-p256"])
def test_polls(lab, algorithm):
    """Within one life of the service nobody is asked again."""
    name = f"polls-{algorithm}"
    first, transaction = pends(lab, name, algorithm=algorithm)
    with agent(lab) as one:
        lab.ndes("set", "pending", "off")
        for _ in range(4):
            shown = lab.json("show", name)
            if another(first)(shown):
                break
            left = record(lab, name)
            set_clock(lab, left["next_poll"] + 1)
            shown = until(lab, name, lambda shown: another(first)(shown) or record(lab, name)["polls"] != left["polls"])
        assert another(first)(lab.json("show", name)) and one.silent()
    assert len(requests(lab, name)) == 3 and transaction


@pytest.mark.parametrize("what", ["restart", "kill"])
def test_pending_over_a_restart(lab, what):
    """Its polls want the PIN, which is gone: the same transaction goes on once that is there."""
    name = f"over-{what}"
    first, transaction = pends(lab, name)
    lab.daemon(what)
    if what == "kill":
        lab.daemon("restart")
    shown = lab.wait_for(name, "waiting-for-user")
    assert shown["lastError"]["name"] == "PinNeeded" and record(lab, name)["transaction"] == transaction
    assert renew(lab, name, WRONG).status == 5
    assert record(lab, name)["transaction"] == transaction
    with agent(lab) as one:
        one.asked(name=name, reason="wrong", tries_left=4)
        one.tell(pin=RIGHT)
        lab.wait_for(name, "pending")
        assert record(lab, name)["transaction"] == transaction
        lab.ndes("set", "pending", "off")
        set_clock(lab, record(lab, name)["next_poll"] + 1)
        until(lab, name, another(first))
        assert one.silent()
    assert Typed(lab, "key", "test", name, lines=[RIGHT]).status == 0
    assert lab.json("show", name)["keyProtection"] == "user-verified"


@needs_preload
def test_T9_killed_while_it_waits_again():
    """The arrow that only this takes: pending, waiting-for-user."""
    with crash.walking() as walk:
        lab, name = walk.lab, "walked"
        heal(lab)
        forget(lab)
        _, transaction = pends(lab, name)
        for step in walk.steps():
            walk.arm(step)
            lab.daemon("restart", check=False)
            walk.struck_or(name, lambda shown: shown["activity"] == "waiting-for-user")
            struck = walk.revive()
            lab.wait_for(name, "waiting-for-user")
            assert record(lab, name)["transaction"] == transaction
            assert renew(lab, name).status == 8
            if not struck:
                break
        assert ("pending", "waiting-for-user") in walk.arrows
