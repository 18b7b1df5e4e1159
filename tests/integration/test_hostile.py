"""A local user who means ill: files of a file system that is his, user namespaces in which he is root, and the uid of
somebody who is gone."""
import contextlib
import json
import os
import socket
import subprocess
import sys

import dbus
import dbus.bus
import pytest

import frames
import labs
from installed import Installed
from labs import SOURCE

ROOM = SOURCE / "tests/integration/fuse_room.py"
USER = 1  # daemon
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as several users")


@pytest.fixture(scope="module")
def lab():
    with labs.lab("--no-tpm") as made:
        made.add("device", algorithm="ec-p256")
        made.add("own", type="user", subject="CN={{UserName}}", san="", algorithm="ec-p256")
        assert made.enroll("device").returncode == 0 and made.enroll("own", "--for", "daemon").returncode == 0
        yield made


@pytest.fixture
def fuse(lab):
    """A descriptor that answers nothing but its close."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("there is no /dev/fuse")
    with labs.open_folder() as folder:
        (folder / "mount").mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "socket"))
            listener.listen()
            room = subprocess.Popen(["unshare", "-m", "--propagation", "private", sys.executable, "-B", ROOM, folder / "mount",
                                     folder / "socket"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                listener.settimeout(30)
                try:
                    there, _ = listener.accept()
                except TimeoutError:
                    room.kill()
                    pytest.skip("no FUSE here: " + room.communicate()[1].decode()[-200:])
                with there:
                    _, (fd,), _, _ = socket.recv_fds(there, 1, 1)
                os.set_inheritable(fd, False)
                yield fd
            finally:
                room.kill()
                room.communicate()
            with contextlib.suppress(OSError):  # it has nobody to ask any more
                os.close(fd)


def test_fuse_file_in_place_of_a_document(lab, fuse):
    """Refused by what it is, without a question to its file system, which would never answer."""
    manager = dbus.Interface(dbus.bus.BusConnection(lab.env["DBUS_SYSTEM_BUS_ADDRESS"])
                             .get_object("org.scepter1", "/org/scepter1", introspect=False), "org.scepter1.Manager")
    for call in (lambda: manager.AddProfile("ini", dbus.types.UnixFd(fuse), {}, signature="sha{sv}", timeout=20),
                 lambda: manager.ApplySyncML(dbus.types.UnixFd(fuse), {}, signature="ha{sv}", timeout=20)):
        with pytest.raises(dbus.DBusException) as raised:
            call()
        assert raised.value.get_dbus_name() == "org.scepter1.Error.NotAMemfd"
    assert lab.serves()


def test_fuse_file_at_the_key_socket(lab, fuse):
    """Nobody there wants a descriptor: it is dropped, and the rest is served."""
    with socket.socket(socket.AF_UNIX) as rude, frames.Channel(lab.env["SCEPTER_KEYS"], USER) as other:
        rude.connect(lab.env["SCEPTER_KEYS"])
        socket.send_fds(rude, [b"\0" * 4], [fuse])
        assert other.sign(other.open("own")[0], scheme=frames.ECDSA)
    pid = lab.daemon_pid()
    assert not any("/mount/file" in os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd"))


def test_a_document_that_changes_while_it_is_read(lab):
    """Longer and shorter while the service reads: what it gets is one of many texts, and none of them kills it."""
    fd = os.memfd_create("restless")
    text = lab.profile_text("restless").encode()
    shaker = subprocess.Popen([sys.executable, "-c", "import os, sys\nfd = int(sys.argv[1])\nwhile True:\n"
                               "    os.ftruncate(fd, 0)\n    os.ftruncate(fd, 60000)\n"
                               "    os.pwrite(fd, sys.argv[2].encode(), 0)\n", str(fd), text], pass_fds=[fd])
    try:
        manager = dbus.Interface(dbus.bus.BusConnection(lab.env["DBUS_SYSTEM_BUS_ADDRESS"])
                                 .get_object("org.scepter1", "/org/scepter1", introspect=False), "org.scepter1.Manager")
        pid = lab.daemon_pid()
        for _ in range(200):
            try:
                manager.AddProfile("ini", dbus.types.UnixFd(fd), {"replace": True}, signature="sha{sv}")
            except dbus.DBusException as refused:
                assert refused.get_dbus_name().startswith("org.scepter1.Error."), refused
        assert lab.serves() and lab.daemon_pid() == pid
    finally:
        shaker.kill()
        shaker.wait()
        os.close(fd)


def in_namespace(lab, *command):
    """As root of a user namespace that the user has made."""
    return lab.run("unshare", "--user", "--map-root-user", *command, user=USER, env=labs.foreign_environment())


@pytest.fixture
def namespace(lab):
    done = in_namespace(lab, "id", "-u")
    if done.returncode != 0:
        pytest.skip("users make no user namespaces here: " + done.stderr.strip())
    assert done.stdout == "0\n"


def test_root_of_a_user_namespace_is_the_user(lab, namespace):
    """At the key socket his own keys and those alone; on the bus nobody, since what he says of himself is not true."""
    for name, there in (("own", True), ("device", False)):
        done = in_namespace(lab, "openssl", "storeutl", "-provider", "ksp", "-provider", "default", "-noout", f"ksp:{name}")
        assert ("Total found: 2" in done.stdout) is there, done.stdout + done.stderr
    done = in_namespace(lab, labs.BUILD / "bin/scepter", "list", "--json")
    assert done.returncode != 0 and "device" not in done.stdout, done.stdout
    for words in (("remove", "device"), ("key", "test", "device")):
        assert in_namespace(lab, labs.BUILD / "bin/scepter", *words).returncode != 0
    assert {row["name"] for row in lab.serves()["certificates"]} >= {"device", "own"}


ALICE, BOB = 1701, 1702
MACHINE = f"""
useradd -m -b /srv -u {ALICE} alice
useradd -m -b /srv -u {BOB} carol
"""


@pytest.fixture(scope="module")
def machine():
    made = Installed(prepare=MACHINE)
    try:
        made.profile("mine", type="user", subject="CN={{UserName}},O=Contoso")
        made.good("scepter profile add /srv/mine.profile")
        for user in ("alice", "carol"):
            made.good(f"scepter enroll mine --for {user} --wait --challenge-file {made.challenge()}")
        yield made
    finally:
        made.close()


def sees(machine, user):
    done = machine.run(f"setpriv --reuid={user} --regid={user} --clear-groups scepter list --json | grep -c '\"name\": *\"mine\"'")
    return int(done.stdout)


def told(machine, text):
    machine.good(f"timeout 30 grep -m1 '{text}' < <(journalctl -f -n all -u scepterd.service)")


def test_uid_of_somebody_who_is_gone(machine):
    """The new one gets nothing of the old one's, and a certificate of his own; the old one's is root's."""
    lost = json.loads(machine.good("setpriv --reuid=alice --regid=alice --clear-groups scepter show mine --json"))["id"]
    assert sees(machine, "alice") == 1
    machine.good("userdel alice")
    machine.good(f"useradd -m -b /srv -u {ALICE} mallory")
    told(machine, "was made for the account .alice., whose uid 1701 is that of .mallory. now")
    assert sees(machine, "mallory") == 0 and sees(machine, "carol") == 1
    refused = machine.run(f"scepter renew {lost}")
    assert "Owner: alice, whose uid is another account's now" in machine.good(f"scepter show {lost}")
    assert refused.returncode == 4 and "made for the account 'alice'" in refused.stderr and "scepter remove" in refused.stderr
    assert machine.run(f"setpriv --reuid={ALICE} --regid={ALICE} --clear-groups scepter key test {lost}").returncode == 3
    machine.good(f"scepter enroll mine --for mallory --wait --challenge-file {machine.challenge()}")
    assert sees(machine, "mallory") == 1
    machine.good("systemctl restart scepterd.service")
    assert sees(machine, "mallory") == 1
    machine.good(f"scepter remove {lost}")
    assert sees(machine, "mallory") == 1


def test_renamed_and_back(machine):
    machine.good("usermod -l caroline carol")
    told(machine, "made for the account .carol., whose uid 1702 is that of .caroline. now")
    assert sees(machine, "caroline") == 0
    machine.good("usermod -l carol caroline")
    told(machine, "belongs to .carol. again")
    assert sees(machine, "carol") == 1


def test_renamed_while_the_service_is_down(machine):
    machine.good("systemctl stop scepterd.service scepterd.socket; usermod -l dave carol; systemctl start scepterd.service")
    told(machine, "is that of .dave. now")
    assert sees(machine, "dave") == 0
    machine.good("usermod -l carol dave")
    told(machine, "belongs to .carol. again")
