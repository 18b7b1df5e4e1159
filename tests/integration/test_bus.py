"""The interface itself: descriptors that are no memfds, unknown options, pages, strings that are no UTF-8."""
import os
import pathlib
import socket
import sys
import xml.etree.ElementTree as tree

import dbus
import dbus.bus
import dbus.lowlevel
import pytest

import labs

MANAGER, PROFILE, CERTIFICATE = "org.scepter1.Manager", "org.scepter1.Profile", "org.scepter1.Certificate"


@pytest.fixture(scope="module")
def bus(lab):
    return dbus.bus.BusConnection(lab.env["DBUS_SYSTEM_BUS_ADDRESS"])


@pytest.fixture(scope="module")
def manager(bus):
    return dbus.Interface(bus.get_object("org.scepter1", "/org/scepter1", introspect=False), MANAGER)


def memfd(content):
    fd = os.memfd_create("test")
    os.write(fd, content)
    return fd


def error_name(call):
    with pytest.raises(dbus.DBusException) as raised:
        call()
    return raised.value.get_dbus_name().replace("org.scepter1.Error.", "")


def descriptors():
    read, write = os.pipe()
    pair = socket.socketpair()
    yield "pipe", read
    yield "socket", pair[0].fileno()
    yield "file", os.open("/etc/passwd", os.O_RDONLY)
    yield "directory", os.open("/", os.O_RDONLY)
    yield "null", os.open("/dev/null", os.O_RDONLY)
    yield "path", os.open("/etc/passwd", os.O_PATH)
    os.close(write)


def test_no_memfd(manager):
    for name, fd in descriptors():
        got = error_name(lambda fd=fd: manager.AddProfile("ini", dbus.types.UnixFd(fd), {}, signature="sha{sv}"))
        assert got == "NotAMemfd", name


def test_lying_memfd(manager):
    fd = os.memfd_create("sparse")
    os.ftruncate(fd, 10 << 30)
    assert error_name(lambda: manager.ApplySyncML(dbus.types.UnixFd(fd), {}, signature="ha{sv}")) == "TooLarge"


def test_unknown_option(manager):
    call = lambda: manager.ListCertificates(dbus.UInt64(0), dbus.UInt32(0), {"nonsense": 1}, signature="tua{sv}")  # noqa: E731
    with pytest.raises(dbus.DBusException) as raised:
        call()
    assert raised.value.get_dbus_name() == "org.scepter1.Error.UnknownOption" and "nonsense" in str(raised.value)


WRONG = [
    (lambda m: m.AddProfile("toml", dbus.types.UnixFd(memfd(b"x")), {}, signature="sha{sv}"), "InvalidArgument"),
    (lambda m: m.ListCertificates(dbus.UInt64(0), dbus.UInt32(251), {}, signature="tua{sv}"), "InvalidArgument"),
    (lambda m: m.Enroll(dbus.ObjectPath("/"), {}, signature="oa{sv}"), "NotFound"),
    (lambda m: m.Enroll(dbus.ObjectPath("/org/scepter1/profile/x"), {}, signature="oa{sv}"), "NotFound"),
    (lambda m: m.GetEvents({"certificate": dbus.ObjectPath("/nothing")}, signature="a{sv}"), "NotFound"),
    (lambda m: m.GetEvents({"limit": dbus.UInt32(10001)}, signature="a{sv}"), "InvalidArgument"),
]


@pytest.mark.parametrize("row", range(len(WRONG)))
def test_wrong_arguments(manager, row):
    call, wanted = WRONG[row]
    assert error_name(lambda: call(manager)) == wanted


def test_wrong_signature(manager):
    with pytest.raises(dbus.DBusException) as raised:
        manager.Subscribe("x", signature="s")
    assert "InvalidArgs" in raised.value.get_dbus_name() or "InvalidArgument" in raised.value.get_dbus_name()


def test_pages(lab, manager):
    lab.add("paged")
    for name in ("paged", "paged-2", "paged-3"):
        if name != "paged":
            lab.add(name)
        assert lab.enroll(name).returncode == 0
    seen, cursor, rounds = [], dbus.UInt64(0), 0
    while True:
        page, cursor = manager.ListCertificates(cursor, dbus.UInt32(1), {}, signature="tua{sv}")
        assert len(page) <= 1
        seen += [str(row[1]) for row in page]
        rounds += 1
        if not cursor:
            break
    assert seen == ["paged", "paged-2", "paged-3"] and rounds == 3
    page, _ = manager.ListCertificates(dbus.UInt64(0), dbus.UInt32(0), {"name": "paged-2"}, signature="tua{sv}")
    assert [str(row[1]) for row in page] == ["paged-2"]


def enroll_message(profile, challenge):
    message = dbus.lowlevel.MethodCallMessage("org.scepter1", "/org/scepter1", MANAGER, "Enroll")
    message.append(dbus.ObjectPath(profile), {"challenge": dbus.types.UnixFd(challenge)}, signature="oa{sv}")
    return message


def test_requests_at_once_get_one_enrollment(lab, bus, manager):
    """Also before the certificate's object exists, and for one that rests."""
    lab.add("at-once")
    profile = next(row["path"] for row in lab.json("profile", "list")["profiles"] if row["name"] == "at-once")
    paths = set()
    for _ in range(2):
        challenge = memfd(lab.challenge().read_bytes().strip())
        for _ in range(3):
            bus.send_message(enroll_message(profile, challenge))
        paths.add(str(bus.send_message_with_reply_and_block(enroll_message(profile, challenge), 30).get_args_list()[0]))
        shown = lab.wait_for("at-once", "idle", "failed")
        assert shown["health"] == "valid", shown
        rows, _ = manager.ListCertificates(dbus.UInt64(0), dbus.UInt32(0), {"name": "at-once"}, signature="tua{sv}")
        assert {str(row[0]) for row in rows} == paths and len(rows) == 1


def remove_message(path):
    message = dbus.lowlevel.MethodCallMessage("org.scepter1", path, CERTIFICATE, "Remove")
    message.append({}, signature="a{sv}")
    return message


def test_requests_while_it_is_removed(lab, bus):
    """What is being removed begins nothing and is removed once; what was removed begins anew."""
    lab.add("going")
    profile = next(row["path"] for row in lab.json("profile", "list")["profiles"] if row["name"] == "going")
    for turn in range(10):
        challenge = memfd(lab.challenge().read_bytes().strip())
        path = bus.send_message_with_reply_and_block(enroll_message(profile, challenge), 30).get_args_list()[0]
        assert lab.wait_for("going", "idle", "failed")["health"] == "valid"
        bus.send_message(remove_message(path))
        second = remove_message(path) if turn % 2 else enroll_message(profile, challenge)
        try:
            bus.send_message_with_reply_and_block(second, 30)
            assert turn % 2 == 0, "it was removed twice"
            lab.wait_for("going", "idle", "failed")  # the first had been removed by then
        except dbus.DBusException as e:
            assert e.get_dbus_name() in ("org.scepter1.Error.Busy", "org.freedesktop.DBus.Error.UnknownObject",
                                         "org.scepter1.Error.NotFound")
            gone = (lab.scepter("show", "going").returncode == 3 for _ in range(1000))
            assert any(gone), "its removal does not end"
        lab.serves()
    profile = dbus.Interface(bus.get_object("org.scepter1", profile, introspect=False), PROFILE)
    profile.Remove({"with-certificates": True}, signature="a{sv}")


def shape(text, interface):
    """Members with their arguments, of one interface of a document."""
    found = next(one for one in tree.fromstring(text).iter("interface") if one.get("name") == interface)
    return [(member.tag, member.attrib, [(part.tag, part.attrib) for part in member]) for member in found]


def test_introspection_is_the_xml(lab, bus, manager):
    """Of all three kinds of objects; comments are for readers of the file."""
    lab.add("told")
    assert lab.enroll("told").returncode == 0
    rows, _ = manager.ListCertificates(dbus.UInt64(0), dbus.UInt32(0), {"name": "told"}, signature="tua{sv}")
    profile = next(row["path"] for row in lab.json("profile", "list")["profiles"] if row["name"] == "told")
    for path, interface in (("/org/scepter1", MANAGER), (profile, PROFILE), (str(rows[0][0]), CERTIFICATE)):
        live = bus.get_object("org.scepter1", path, introspect=False).Introspect(
            dbus_interface="org.freedesktop.DBus.Introspectable")
        wanted = (labs.SOURCE / f"dbus/{interface}.xml").read_text()
        assert shape(live, interface) == shape(wanted, interface)
        for other in {MANAGER, PROFILE, CERTIFICATE} - {interface}:
            assert other not in live


def test_properties_are_read_only(bus):
    properties = dbus.Interface(bus.get_object("org.scepter1", "/org/scepter1", introspect=False),
                                "org.freedesktop.DBus.Properties")
    with pytest.raises(dbus.DBusException):
        properties.Set(MANAGER, "Version", "x")
    assert str(properties.Get(MANAGER, "Version"))
    assert error_name(lambda: properties.Get(MANAGER, "Nothing"))


def test_bytes_that_are_no_text(lab):
    """A profile whose texts are not UTF-8, and a server whose words are not: the service lives and says so."""
    path = lab.write("latin.profile", lab.profile_text("latin").encode().replace(b"O=Contoso", b"O=Caf\xe9"))
    done = lab.scepter("profile", "add", path, "--json")
    assert done.returncode == 2
    for raw in (b"\xff\xfe", b"a\x00b"):
        path = lab.write("raw.profile", raw)
        assert lab.scepter("profile", "add", path).returncode == 2
    lab.serves()


def raw_call(address, body):
    """A message with a string that is not UTF-8, past libdbus: the bus itself or the service may hang up, not die."""
    path = address.split("unix:path=")[1].split(",")[0]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        connection.recv(1000)
        connection.sendall(b"BEGIN\r\n" + body)
        try:
            connection.recv(1000)
        except OSError:
            pass


def test_raw_rubbish_on_the_bus(lab):
    for body in (b"l\1\0\1" + b"\xff" * 60, os.urandom(200), b""):
        raw_call(lab.env["DBUS_SYSTEM_BUS_ADDRESS"], body)
    lab.serves()


def test_rubbish_on_the_key_socket(lab):
    for body in (b"\1\1\0\0\0\0\0\1\xff\xff\xff\xff", os.urandom(5000), b"\2" * 12, b"\1\2\0\0\0\0\0\1\0\0\0\5hello", b""):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(lab.env["SCEPTER_KEYS"])
            try:
                connection.sendall(body)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError:
                pass
    lab.serves()
    assert pathlib.Path(lab.env["SCEPTER_KEYS"]).is_socket()


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
