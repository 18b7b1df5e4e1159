"""The key socket as systemd holds it (packaging/systemd/scepterd.socket): programs may come before the service, and do not
notice when it is started anew. And the groups of a real machine, which come and go."""
import pytest

import installed

SOCKET = "/run/scepter/keys.sock"
# As root, and as a member of the group.
SIGN = "openssl dgst -provider default -provider ksp -sha256 -sign ksp:web -out /dev/null /etc/passwd"
MEMBER = "setpriv --reuid=64951 --regid=64951 --groups=64950 env "
CONNECT = f"/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{SOCKET}\")'"


@pytest.fixture(scope="module")
def machine():
    made = installed.Installed(start=False, prepare="groupadd -g 64950 crew; systemctl start scepterd.socket")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def key(machine):
    """A certificate whose key a group may use. Nobody started the service: who connects to the socket does."""
    assert machine.run("systemctl is-active scepterd.service").stdout.strip() == "inactive"
    machine.good(CONNECT)
    machine.good("timeout 120 sh -c 'until systemctl -q is-active scepterd.service; do :; done'")
    machine.enroll("web", key="Groups=crew")
    return machine


def test_socket(machine):
    """There before the service, everybody's to connect to."""
    assert machine.good(f"stat -c '%F %a' {SOCKET}") == "socket 666\n"


def test_it_starts_the_service(key):
    before = key.good(f"stat -c %i {SOCKET}")
    for who in ("env ", MEMBER):
        key.good("systemctl stop scepterd.service")
        assert key.good(f"stat -c %i {SOCKET}") == before  # it is systemd's: neither unlinked nor made anew
        key.good(who + SIGN)
        assert key.run("systemctl is-active scepterd.service").stdout.strip() == "active"
    assert key.good(f"stat -c %i {SOCKET}") == before


def test_nobody_notices_a_restart(key):
    """Whoever comes meanwhile is kept in line; whose request was under way asks once more."""
    for _ in range(3):
        key.good("systemctl restart scepterd.service & restarts=$!; "
                 f"while kill -0 $restarts 2> /dev/null; do {SIGN}; {MEMBER} {SIGN}; done; wait $restarts; {SIGN}")


def test_group_that_goes(key):
    """At once: another group may have its number in a moment."""
    key.good(MEMBER + SIGN)
    key.good("groupdel crew")
    key.good(f"timeout 120 sh -c 'while {MEMBER} {SIGN} 2> /dev/null; do :; done'")
    key.good("groupadd -g 64950 others")
    assert key.run(MEMBER + SIGN).returncode != 0
    key.good("groupmod -n crew others")
    key.good(f"timeout 120 sh -c 'until {MEMBER} {SIGN} 2> /dev/null; do :; done'")
    assert "group 'crew', which a profile names in Groups=, does not exist" in key.good("journalctl -b -u scepterd --no-pager")


@pytest.fixture
def drop_in(key):
    """scepterd.socket otherwise than it is shipped."""
    folder = "/etc/systemd/system/scepterd.socket.d"

    def place(text):
        key.good(f"systemctl stop scepterd.socket scepterd.service; mkdir -p {folder}")
        key.write(f"{folder}/test.conf", f"[Socket]\n{text}\n")
        key.good("systemctl daemon-reload; systemctl start scepterd.socket")
    yield place
    key.good(f"rm -r {folder}; systemctl daemon-reload; systemctl stop scepterd.socket scepterd.service; "
             f"systemctl reset-failed; systemctl start scepterd.socket; {SIGN}")


def test_another_name(key, drop_in):
    """It is not ours, and the sandbox lets the service make none of its own: said, rather than served nowhere."""
    drop_in("FileDescriptorName=other")
    assert key.run("systemctl start scepterd.service").returncode != 0
    assert "a socket called 'other' where one called 'keys' is taken" in key.good("journalctl --sync; journalctl -b --no-pager")


def test_another_kind(key, drop_in):
    """What nobody can connect to is said, rather than waited at."""
    drop_in(f"ListenStream=\nListenDatagram={SOCKET}")
    assert key.run("systemctl start scepterd.service").returncode != 0
    # Not by unit: the journal may look at a process that has said its last after that has ended.
    assert "is no listening unix stream socket" in key.good("journalctl --sync; journalctl -b --no-pager")
