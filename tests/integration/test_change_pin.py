"""scepter change-pin and Certificate.ChangePin: another PIN for the same key, and whichever it is after a kill."""
import os

import dbus
import dbus.bus
import pytest

import crash
import labs
from terminal import Typed
from test_pin import forget, patient  # noqa: F401: a fixture of each test

OLD, NEW, WRONG = "4711 old", "0815 new", "4711 wrong"
needs_preload = pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")


def enroll(lab, name, algorithm="ec-p256"):
    lab.add(name, protection="user-verified", type="user", algorithm=algorithm)
    done = Typed(lab, "enroll", name, "--wait", "--challenge-file", lab.challenge(), lines=[OLD, OLD])
    assert done.status == 0, done.text


def opens(lab, name, pin):
    done = Typed(lab, "key", "test", name, lines=[pin])
    assert done.status in (0, 5), done.text
    return done.status == 0


def change(lab, name, *pins, options=()):
    return Typed(lab, "change-pin", name, *options, lines=pins, strict=False)


@pytest.mark.parametrize("algorithm", ["rsa-2048", "ec-p256"])
def test_another_pin(lab, algorithm):
    enroll(lab, algorithm, algorithm)
    before = lab.json("show", algorithm)
    done = change(lab, algorithm, OLD, NEW, NEW)
    assert done.status == 0 and "has the new PIN" in done.text
    assert opens(lab, algorithm, NEW) and not opens(lab, algorithm, OLD)
    lab.daemon("restart")
    assert opens(lab, algorithm, NEW) and not opens(lab, algorithm, OLD)
    after = lab.json("show", algorithm)
    assert (after["thumbprint"], after["uris"], after["keyAttributes"]) == \
        (before["thumbprint"], before["uris"], before["keyAttributes"])
    done = change(lab, algorithm, NEW, OLD, OLD, options=["--json"])
    assert done.status == 0 and f'"changed":"{after["id"]}"' in done.text
    assert opens(lab, algorithm, OLD)
    for pin in (OLD, NEW):
        assert pin not in lab.log()
        assert not any(pin.encode() in path.read_bytes() for path in lab.state.rglob("*") if path.is_file())


def test_wrong_ones_count(lab):
    enroll(lab, "counted")
    assert not opens(lab, "counted", WRONG)
    for left in (3, 2, 1, 0):
        done = change(lab, "counted", WRONG, NEW, NEW)
        assert done.status == 5 and f"{left} tr" in done.text, done.text
    done = change(lab, "counted", OLD, NEW, NEW)
    assert done.status == 5 and "not tried" in done.text
    lab.clock(24 * 3600 + 60)
    assert change(lab, "counted", OLD, NEW, NEW).status == 0
    lab.clock(0)


TYPED = [("differ", [OLD, NEW, NEW + "x"], "differ"), ("short", [OLD, "123", "123"], "4 to 32"), ("none", ["\x03"], "No PIN"),
         ("none-new", [OLD, "\x04"], "No PIN")]


def test_what_is_typed_wrong(lab):
    enroll(lab, "typed")
    for _ in range(2):  # none of it is a try
        for _, lines, word in TYPED:
            done = change(lab, "typed", *lines)
            assert done.status in (1, 2) and word in done.text, done.text
    assert opens(lab, "typed", OLD)
    done = lab.scepter("change-pin", "typed", start_new_session=True)
    assert done.returncode == 5 and "terminal" in done.stderr
    assert change(lab, "nothing-of-that-name").status == 3


def memfd(pin):
    fd = os.memfd_create("pin")
    os.write(fd, pin.encode())
    return fd


def call(lab, name, old, new):
    """The name of the error; ""."""
    bus = dbus.bus.BusConnection(lab.env["DBUS_SYSTEM_BUS_ADDRESS"])
    try:
        bus.call_blocking("org.scepter1", lab.json("show", name)["path"], "org.scepter1.Certificate", "ChangePin", "hha{sv}",
                          (dbus.types.UnixFd(old), dbus.types.UnixFd(new), {}))
    except dbus.DBusException as failure:
        return failure.get_dbus_name().replace("org.scepter1.Error.", "")
    finally:
        bus.close()
        os.close(old)
        os.close(new)
    return ""


def test_refusals(lab, ndes):
    for name, protection in (("soft", "software"), ("chip", "tpm")):
        lab.add(name, protection=protection, algorithm="ec-p256")
        assert lab.enroll(name).returncode == 0
        assert call(lab, name, memfd(OLD), memfd(NEW)) == "NotSupported"
    enroll(lab, "refused")
    assert call(lab, "refused", os.open("/dev/null", os.O_RDONLY), memfd(NEW)) == "NotAMemfd"
    assert call(lab, "refused", memfd(OLD), os.open("/dev/null", os.O_RDONLY)) == "NotAMemfd"
    assert call(lab, "refused", memfd(OLD), memfd("1" * 33)) == "TooLarge"
    assert call(lab, "refused", memfd(OLD), memfd("123")) == "InvalidArgument"
    assert opens(lab, "refused", OLD)
    # before there is a certificate, and while its request waits
    ndes("set", "pending", "1")
    lab.add("pends", protection="user-verified", type="user", algorithm="ec-p256")
    Typed(lab, "enroll", "pends", "--wait", "--challenge-file", lab.challenge(), lines=[OLD, OLD])
    lab.wait_for("pends", "pending")
    assert call(lab, "pends", memfd(OLD), memfd(NEW)) == "Busy"
    assert lab.scepter("cancel", "pends").returncode == 0
    lab.wait_for("pends", "idle")
    assert call(lab, "pends", memfd(OLD), memfd(NEW)) == "NotFound"


@needs_preload
def test_T9_killed_at_each_change_of_the_disk():
    """The old PIN or the new one opens the key; never none, never both; and another change goes through."""
    with crash.walking() as walk:  # all of them: they are few
        lab, pins = walk.lab, [OLD, NEW]
        enroll(lab, "walked")
        last = 0
        for step in walk.steps():
            forget(lab)
            walk.arm(step)
            done = change(lab, "walked", pins[0], pins[1], pins[1])
            struck = walk.revive()
            if opens(lab, "walked", pins[1]):
                pins.reverse()
            else:
                assert struck and done.status != 0 and opens(lab, "walked", pins[0])
            assert not opens(lab, "walked", pins[1])
            assert change(lab, "walked", pins[0], pins[1], pins[1]).status == 0
            pins.reverse()
            if not struck:
                break
            last = step
        assert last > 2, "the walk has found too few changes"
