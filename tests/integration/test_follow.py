"""scepter events --follow: what happens, in order, to those who may see it; slow and leaving readers; the end."""
import fcntl
import json
import os
import pwd
import signal
import subprocess
import time

import dbus
import dbus.bus
import pytest

import labs
import vocabulary

ALICE, BOB = "daemon", "bin"
SUCCESS = ["PROFILE_ACCEPTED", "CA_CAPS", "CA_CERTS", "REQUEST_GENERATED", "CERT_ISSUED", "CERT_INSTALLED"]
F_SETPIPE_SZ = 1031


class Follower:
    """scepter events --follow --json, read line by line."""

    def __init__(self, lab, *arguments, user=None, json_lines=True):
        command = [labs.BUILD / "bin/scepter", "events", "--follow", *arguments, *(["--json"] if json_lines else [])]
        if user:
            uid = pwd.getpwnam(user).pw_uid
            command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *command]
        self.process = subprocess.Popen([str(word) for word in command], env=lab.env, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def next(self):
        event = json.loads(self.process.stdout.readline())
        if "missing" not in event and "error" not in event:
            vocabulary.check(event)
        return event

    def until(self, name, kind):
        """All events up to one of this kind about this certificate."""
        events = []
        while not events or (events[-1]["name"], events[-1]["event"]) != (name, kind):
            events.append(self.next())
        return events

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        rest, errors = self.process.communicate(timeout=30)
        return self.process.returncode, rest, errors


@pytest.fixture
def follow(lab):
    started = []

    def begin(*arguments, **options):
        started.append(Follower(lab, *arguments, **options))
        return started[-1]
    yield begin
    for one in started:
        one.process.kill()
        one.process.communicate()


def enroll(lab, name, **values):
    lab.add(name, **values)
    assert lab.enroll(name).returncode == 0


def test_past_and_coming(lab, follow):
    enroll(lab, "first")
    follower = follow()
    assert [event["event"] for event in follower.until("first", "CERT_INSTALLED")] == SUCCESS
    enroll(lab, "second")
    second = follower.until("second", "CERT_INSTALLED")
    assert [event["event"] for event in second] == SUCCESS and {event["name"] for event in second} == {"second"}
    assert second == lab.json("events", "second")["events"]
    assert lab.scepter("remove", "second").returncode == 0
    removed = follower.next()
    assert removed["event"] == "CERT_REMOVED" and removed["thumbprint"] == second[-1]["thumbprint"]
    assert follower.stop() == (0, "", "")


def test_one_certificate(lab, follow):
    enroll(lab, "alone")
    follower = follow("alone")
    follower.until("alone", "CERT_INSTALLED")
    enroll(lab, "beside")
    assert lab.scepter("remove", "alone").returncode == 0
    assert follower.next()["event"] == "CERT_REMOVED"
    # Nothing can come any more.
    rest, errors = follower.process.communicate(timeout=30)
    assert (follower.process.returncode, rest, errors) == (0, "", "")
    assert Follower(lab, "nothing").process.wait(timeout=30) == 3


def test_since(lab, follow):
    enroll(lab, "recent")
    assert "recent" in lab.scepter("events", "--since", "1h").stdout
    assert "recent" in lab.scepter("events", "--since", f"@{int(time.time()) - 600}").stdout
    assert "recent" not in lab.scepter("events", "--since", f"@{int(time.time()) + 600}").stdout
    assert lab.scepter("events", "--since", "soon").returncode == 2
    follow("--since", "1h").until("recent", "CERT_INSTALLED")


def test_text(lab, follow):
    enroll(lab, "words")
    follower = follow("words", json_lines=False)
    lines = [follower.process.stdout.readline() for _ in range(7)]
    assert lines[0].split() == ["TIME", "EVENT", "CERTIFICATE", "MESSAGE"]
    assert [line[18:].split()[:2] for line in lines[1:]] == [[kind, "words"] for kind in SUCCESS]
    assert follower.stop(signal.SIGTERM) == (0, "", "")


def test_nobody_reads(lab, follow):
    """The other end of the pipe of `scepter events --follow | head` goes: no event has to come for it to end."""
    enroll(lab, "noticed")
    follower = follow()
    follower.until("noticed", "CERT_INSTALLED")
    follower.process.stdout.close()
    assert follower.process.wait(timeout=30) == 0


def test_pending_and_failure_are_seen(lab, ndes, follow):
    enroll(lab, "calm")
    follower = follow()
    follower.until("calm", "CERT_INSTALLED")
    ndes("set", "pending", "approve")
    lab.add("seen")
    assert lab.enroll("seen").returncode == 8
    assert [event["event"] for event in follower.until("seen", "PENDING")] == SUCCESS[:4] + ["PENDING"]
    assert lab.scepter("cancel", "seen").returncode == 0
    assert follower.next()["event"] == "ENROL_CANCELLED"
    ndes("reset")
    ndes("set", "fail-info", "2")
    lab.wait_for("seen", "idle")
    assert lab.enroll("seen").returncode == 6
    failed = follower.until("seen", "ENROL_FAILED")[-1]
    assert failed["failInfo"] == "badRequest" and failed["remedy"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as two other users")
def test_users(lab, follow):
    enroll(lab, "common")
    alice, bob, root = follow(user=ALICE), follow(user=BOB), follow()
    for follower in (alice, bob, root):
        follower.until("common", "CERT_INSTALLED")
    lab.add("own", type="user", subject="CN={{UserName}}", san="")
    challenge = lab.challenge()
    challenge.chmod(0o644)
    done = lab.scepter("enroll", "own", "--wait", "--challenge-file", challenge, user=pwd.getpwnam(ALICE).pw_uid)
    assert done.returncode == 0, done.stderr
    enroll(lab, "end")
    own = [event["event"] for event in alice.until("end", "CERT_INSTALLED") if event["name"] == "own"]
    assert own == SUCCESS
    assert {event["name"] for event in root.until("end", "CERT_INSTALLED")} == {"own", "end"}
    assert {event["name"] for event in bob.until("end", "CERT_INSTALLED")} == {"end"}
    # Nor in what was, nor by its path; a hidden one answers as a missing one.
    path = [entry["path"] for entry in lab.json("list")["certificates"] if entry["name"] == "own"][0]
    others = [lab.scepter("events", "--follow", word, user=pwd.getpwnam(BOB).pw_uid)
              for word in (path, path[:-32] + "0" * 32)]
    assert [done.returncode for done in others] == [3, 3]
    assert others[0].stderr.replace(path, "X") == others[1].stderr.replace(path[:-32] + "0" * 32, "X")
    assert "own" not in {event["name"] for event in lab.json("events", user=pwd.getpwnam(BOB).pw_uid)["events"]}
    # Three more for Bob, and then no more; root is not concerned.
    more = [follow(user=BOB) for _ in range(3)]
    for follower in more:
        follower.until("end", "CERT_INSTALLED")
    done = lab.scepter("events", "--follow", "--json", user=pwd.getpwnam(BOB).pw_uid)
    assert done.returncode == 1 and json.loads(done.stdout.splitlines()[-1])["error"]["name"] == "LimitExceeded"
    follow().until("end", "CERT_INSTALLED")
    assert more[0].stop()[0] == 0
    follow(user=BOB).until("end", "CERT_INSTALLED")


def test_reader_that_sleeps(lab):
    """The service waits for nobody, and tells how much he has missed."""
    bus = dbus.bus.BusConnection(lab.env["DBUS_SYSTEM_BUS_ADDRESS"])
    manager = dbus.Interface(bus.get_object("org.scepter1", "/org/scepter1", introspect=False), "org.scepter1.Manager")
    past, coming = manager.FollowEvents({"limit": dbus.UInt32(0)}, signature="a{sv}")
    past, coming = past.take(), coming.take()
    assert os.fstat(past).st_size == 0
    fcntl.fcntl(coming, F_SETPIPE_SZ, 4096)
    for name in ("slow-1", "slow-2", "slow-3"):
        enroll(lab, name)
    # He wakes: what was in the pipe, how many are missing, and then all that comes.
    os.set_blocking(coming, False)
    text = os.read(coming, 65536).decode()
    os.set_blocking(coming, True)
    while '{"missing":' not in text or not text.endswith("\n"):
        text += os.read(coming, 65536).decode()
    lines = [json.loads(line) for line in text.splitlines()]
    missing = lines[-1]["missing"]
    assert 0 < missing == 3 * len(SUCCESS) - (len(lines) - 1)
    enroll(lab, "slow-4")
    text = ""
    while "CERT_INSTALLED" not in text:
        text += os.read(coming, 65536).decode()
    assert [json.loads(line)["event"] for line in text.splitlines()] == SUCCESS
    os.close(coming)
    os.close(past)
    lab.serves()


def test_the_service_ends(lab, follow):
    enroll(lab, "before")
    one, two = follow(), follow(json_lines=False)
    one.until("before", "CERT_INSTALLED")
    while "CERT_INSTALLED" not in two.process.stdout.readline():
        pass
    lab.daemon("restart")
    rest, _ = one.process.communicate(timeout=30)
    assert one.process.returncode == 1 and json.loads(rest.splitlines()[-1])["error"]["name"] == "NoService"
    _, errors = two.process.communicate(timeout=30)
    assert two.process.returncode == 1 and errors.startswith("scepter: The service has left"), errors
    # It stays usable, and a new one sees what was.
    follow("before").until("before", "CERT_INSTALLED")
