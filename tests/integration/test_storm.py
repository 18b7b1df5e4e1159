"""Requests of three clients at once, about the same objects: whatever the order, the service answers each, keeps nothing of
what has ended, and every certificate comes to rest."""
import contextlib
import os
import pathlib
import subprocess
import sys

import pytest

import labs

CLIENT = pathlib.Path(__file__).with_name("storm_client.py")
TURNS, CHALLENGES = 120, 40


@contextlib.contextmanager
def client(lab, seed):
    challenges = [lab.challenge().read_text().strip() for _ in range(CHALLENGES)]
    process = subprocess.Popen([sys.executable, "-B", CLIENT, str(seed), str(TURNS), lab.root, lab.url, *challenges],
                               env=lab.env, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("pending", ["off", "1"])
def test_storm(pending):
    with labs.lab("--", "--clock-scale", "600") as lab:
        lab.ndes("set", "pending", pending)
        pid = lab.daemon_pid()
        before = len(os.listdir(f"/proc/{pid}/fd"))
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(client(lab, seed)) for seed in (1, 2, 3)]
            for running in clients:
                _, said = running.communicate(timeout=240)
                assert running.returncode == 0, said
        for _ in range(2000):
            moving = [row for row in lab.serves()["certificates"] if row["activity"] not in ("idle", "failed", "needs-challenge")]
            if not moving:
                break
            os.sched_yield()
        assert not moving
        assert len(os.listdir(f"/proc/{pid}/fd")) < before + 16
        assert "(IoError)" not in lab.log() and "Sanitizer" not in lab.log()
