"""Who sits at the machine and who does not: logind's sessions, as polkit sees them and the shipped actions judge them."""
import os
import re

import pytest

from installed import Installed
from terminal import Program

PASSWORD = "of alice"

PREPARE = """
useradd -m -b /srv alice
useradd -m -b /srv bob
echo 'alice:of alice' | chpasswd
mkdir -p /run/sshd /srv/ssh /srv/alice/.ssh
ssh-keygen -q -t ed25519 -N '' -f /srv/ssh/host
ssh-keygen -q -t ed25519 -N '' -f /srv/ssh/alice
cp /srv/ssh/alice.pub /srv/alice/.ssh/authorized_keys
chown -R alice: /srv/alice/.ssh
chmod 700 /srv/alice/.ssh
printf 'Port 2222\\nListenAddress 127.0.0.1\\nHostKey /srv/ssh/host\\nUsePAM yes\\nPidFile none\\n' > /srv/ssh/config
systemd-run -q --unit=test-sshd /usr/sbin/sshd -D -f /srv/ssh/config
"""
AT_SEAT = "systemd-run -q --pipe --wait --uid={user} -p PAMName=login -p Environment=XDG_SEAT=seat0 " \
          "-p Environment=XDG_SESSION_TYPE=wayland bash -c '{command}'"
ELSEWHERE = "systemd-run -q --pipe --wait --uid={user} bash -c '{command}'"
BY_SSH = "ssh -q -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectionAttempts=20 -p 2222 " \
         "-i /srv/ssh/alice {user}@127.0.0.1 '{command}'"


@pytest.fixture(scope="module")
def room():
    made = Installed(prepare=PREPARE)
    made.env = os.environ  # of a terminal on this machine
    try:
        made.enroll("device")
        made.profile("mine", type="user", subject="CN={{UserName}},O=Contoso")
        made.good("scepter profile add /srv/mine.profile")
        yield made
    finally:
        made.close()


def run(room, way, user, command):
    return room.run(way.format(user=user, command=command))


def refused(done, action):
    assert done.returncode == 4, done.stdout + done.stderr
    assert "needs a password" in done.stderr and f"org.scepter1.{action}" in done.stderr, done.stderr


def test_the_sessions_are_what_they_should_be(room):
    show = "loginctl show-session $XDG_SESSION_ID -p Remote -p Active -p Seat --value | tr \"\\n\" \" \""
    assert run(room, AT_SEAT, "alice", show).stdout.split() == ["seat0", "no", "yes"]
    assert run(room, BY_SSH, "alice", show).stdout.split() == ["yes", "yes"]


def test_at_the_machine(room):
    """One's own certificate without a password; the device's, and profiles of one's own, with an administrator's."""
    done = run(room, AT_SEAT, "alice", f"scepter enroll mine --wait --challenge-file {room.challenge()}")
    assert done.returncode == 0, done.stderr
    assert run(room, AT_SEAT, "alice", "scepter key test mine").returncode == 0
    refused(run(room, AT_SEAT, "alice", "scepter key test device"), "enroll-device")
    refused(run(room, AT_SEAT, "alice", "scepter profile add --user /srv/mine.profile"), "manage-own-profiles")
    refused(run(room, AT_SEAT, "alice", "scepter profile remove device"), "manage-profiles")


@pytest.mark.parametrize("way", [ELSEWHERE, BY_SSH], ids=["without a session", "by ssh"])
def test_not_at_the_machine(room, way):
    """What is one's own wants one's own password; nothing is hidden."""
    refused(run(room, way, "alice", "scepter key test mine"), "enroll-self")
    refused(run(room, way, "alice", "scepter renew device"), "enroll-device")
    assert run(room, way, "alice", "scepter list").returncode == 0


def typed(room, command, *lines):
    """Alice at a terminal by ssh; @lines are typed, one at each question for a password: pkttyagent asks first, and turns
    the echo off then, with a flush of what was typed."""
    ssh = BY_SSH.format(user="alice", command=f"tty >tty; {command}").replace("ssh -q", "ssh -q -tt")
    return Program(room, "nsenter", "-t", room.leader(), "-a", "--", "bash", "-c", ssh, lines=lines,
                   prompt=re.compile(rb"Password: $"),
                   ready=lambda: room.good("timeout 60 bash -c 'until stty -aF $(cat /srv/alice/tty) | grep -q -- \" -echo \"; do :; done'"))


def test_the_password_is_asked_for_at_the_terminal(room):
    """Her own, for what is hers; and an administrator's for what is the device's, which she does not know."""
    done = typed(room, "scepter key test mine", PASSWORD)
    assert done.status == 0 and "Authentication is required to manage your certificates" in done.text, done.text
    done = typed(room, "scepter key test mine", "wrong")
    assert done.status == 4, done.text
    done = typed(room, "scepter list")
    assert done.status == 0 and "Authentication" not in done.text, done.text


def test_somebody_else_sits_there_now(room):
    """A session in the background is as good as none."""
    room.write("/srv/of-alice", "#!/bin/bash\necho > /srv/there\nread go < /srv/go\nscepter key test mine\n")
    room.write("/srv/of-bob", "#!/bin/bash\necho > /srv/go\nread done < /srv/done\n")
    room.good("chmod 755 /srv/of-alice /srv/of-bob; mkfifo -m 666 /srv/there /srv/go /srv/done")
    alice, bob = (AT_SEAT.format(user=name, command=f"/srv/of-{name}") for name in ("alice", "bob"))
    done = room.run(f"{alice} & alice=$!; read there < /srv/there; {bob} & bob=$!; "
                    "wait $alice && status=0 || status=$?; echo > /srv/done; wait $bob; exit $status")
    refused(done, "enroll-self")
