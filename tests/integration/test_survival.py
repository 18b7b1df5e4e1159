"""PENDING with polls, restarts and kill -9 on the way: the same key, one transaction, one certificate at the CA."""
import json
import os
import signal
import subprocess

import pytest

import labs


@pytest.fixture(scope="module")
def fast():
    """A lab whose clock lets waits of a minute pass in half a second."""
    with labs.lab("--", "--clock-scale", "120") as made:
        yield made


def issued(lab):
    return int(lab.ndes("issued").strip().split()[-1])


def transactions(lab, name):
    return {event["transaction"] for event in lab.json("events", name)["events"] if "transaction" in event}


def test_pending_then_issued(fast):
    fast.ndes("set", "pending", "2")
    fast.add("polled", delay=1, count=5)
    before = issued(fast)
    done = fast.enroll("polled")
    assert done.returncode == 8 or done.returncode == 0, (done.returncode, done.stderr)
    if done.returncode == 8:
        assert "pending" in done.stdout + done.stderr
    shown = fast.wait_for("polled", "idle")
    assert shown["health"] == "valid" and issued(fast) == before + 1
    told = [event["event"] for event in fast.json("events", "polled")["events"]]
    assert told == ["PROFILE_ACCEPTED", "CA_CAPS", "CA_CERTS", "REQUEST_GENERATED", "PENDING", "RETRY", "CERT_ISSUED",
                    "CERT_INSTALLED"]
    assert len(transactions(fast, "polled")) == 1
    fast.ndes("reset")


def test_pending_survives_restarts(lab):
    """Without the fast clock: it waits, through a restart and a kill -9, until somebody approves."""
    lab.ndes("set", "pending", "approve")
    lab.add("waits", protection="tpm", delay=1)
    done = lab.enroll("waits")
    assert done.returncode == 8, (done.returncode, done.stderr)
    key = (lab.certificate("waits") / "generations/1/key.pem").read_text()
    for what in ("restart", "kill"):
        lab.daemon(what)
        if what == "kill":
            lab.daemon("restart")
        shown = lab.json("show", "waits")
        assert shown["activity"] == "pending" and shown["status"] == 2
    assert (lab.certificate("waits") / "generations/1/key.pem").read_text() == key
    assert lab.scepter("cancel", "waits").returncode == 0
    shown = lab.wait_for("waits", "idle")
    assert shown["health"] == "none"
    lab.ndes("reset")
    assert lab.enroll("waits").returncode == 0
    assert (lab.certificate("waits") / "current/key.pem").read_text() == key


def daemon_pid(lab):
    name = (labs.BUILD / "bin/scepterd").resolve()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = open(f"/proc/{entry}/cmdline", "rb").read().decode().split("\0")
        except OSError:
            continue
        if command[0].endswith("scepterd") and any(str(lab.dir) in word for word in command):
            return int(entry)
    raise AssertionError(f"{name} does not run")


# What must be on the disk before the daemon is killed; the server's answers are slow, so each state lasts.
KILL_AT = {
    "requesting": "record.json",
    "key-made": "generations/1/key.pem",
    "request-made": "generations/1/request.der",
}


@pytest.mark.parametrize("protection", ["software", "tpm"])
@pytest.mark.parametrize("state", KILL_AT)
def test_kill_and_go_on(lab, ndes, protection, state):
    name = f"{state}-{protection}"
    lab.add(name, protection=protection)
    before = issued(lab)
    ndes("set", "delay", "0.4s")
    challenge = lab.challenge()
    process = subprocess.Popen([labs.BUILD / "bin/scepter", "enroll", name, "--wait", "--challenge-file", challenge],
                               env=lab.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    home = None
    while home is None:
        try:
            home = lab.certificate(name)
        except (AssertionError, json.JSONDecodeError, FileNotFoundError):
            assert process.poll() is None, "it ended before it began"
    while not (home / KILL_AT[state]).exists():
        assert not (home / "current").exists(), "too late to kill it"
        assert process.poll() is None, "it ended before it could be killed"
    pid = daemon_pid(lab)
    os.kill(pid, signal.SIGKILL)
    process.wait(timeout=60)
    key = home / "generations/1/key.pem"
    made = key.read_text() if key.exists() else None
    lab.daemon("restart")
    shown = lab.wait_for(name, "idle", "failed")
    assert shown["activity"] == "idle" and shown["health"] == "valid", shown["lastError"]
    if made:
        assert (home / "current/key.pem").read_text() == made
    assert sorted(path.name for path in (home / "generations").iterdir()) == ["1"]
    assert len(transactions(lab, name)) == 1
    # The first request may have reached the CA before the kill; the second was the same transaction.
    assert issued(lab) == before + 1
    public = lab.openssl("x509", "-in", home / "current/cert.pem", "-noout", "-pubkey").stdout
    with_key = lab.openssl("pkey", "-provider", "default", "-provider", "ksp", "-in", f"ksp:{name}", "-pubout").stdout
    assert public == with_key


def test_killed_worker_is_a_failed_step(lab, ndes):
    ndes("set", "delay", "5s")
    lab.add("worker")
    process = subprocess.Popen([labs.BUILD / "bin/scepter", "enroll", "worker", "--wait", "--json", "--challenge-file",
                                lab.challenge()], env=lab.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    parent = daemon_pid(lab)
    # One works, another may have been started ahead: none of them lives.
    while process.poll() is None:
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                stat = open(f"/proc/{entry}/stat").read()
                if "(scepter-worker)" in stat and int(stat.rsplit(")", 1)[1].split()[1]) == parent:
                    os.kill(int(entry), signal.SIGKILL)
            except OSError:
                continue
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert json.loads(output.strip().splitlines()[-1])["error"]["name"] == "WorkerFailed"
    ndes("reset")
    assert lab.enroll("worker").returncode == 0


def test_full_disk():
    """The state directory on a file system of 256 KiB: a named error, nothing half-written, and service goes on."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    with labs.lab() as lab:
        lab.add("fits")
        owner = lab.state.stat()
        lab.daemon("kill")
        moved = lab.dir / "moved"
        lab.state.rename(moved)
        lab.state.mkdir(mode=0o711)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k,mode=0711", "tmpfs", lab.state], check=False).returncode:
            pytest.skip("this machine mounts no tmpfs")
        try:
            subprocess.run(["cp", "-a", f"{moved}/.", lab.state], check=True)
            os.chown(lab.state, owner.st_uid, owner.st_gid)
            lab.daemon("restart")
            assert lab.enroll("fits").returncode == 0
            filler = lab.state / "filler"
            with open(filler, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 4096)
                except OSError:
                    pass
            done = lab.scepter("profile", "add", lab.write("more.profile", lab.profile_text("more")), "--json")
            assert done.returncode == 1 and json.loads(done.stdout)["error"]["name"] == "DiskFull", done.stdout
            done = lab.enroll("fits", "--json")
            assert done.returncode == 1 and json.loads(done.stdout)["error"]["name"] == "DiskFull", done.stdout
            assert lab.json("show", "fits")["health"] == "valid"
            assert not list(lab.state.rglob("*.new"))
            filler.unlink()
            assert lab.enroll("fits").returncode == 0
            assert lab.scepter("profile", "show", "more").returncode == 3
            lab.serves()
        finally:
            lab.daemon("kill")
            subprocess.run(["umount", "-l", lab.state], check=False)
