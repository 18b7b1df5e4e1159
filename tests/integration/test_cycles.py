"""Enroll, renew and remove, again and again at accelerated time: descriptors, TPM handles, memory, processes and files are in
the end where they were. CYCLES says how often; tests/run does 50, tests/run --all 1,000."""
import json
import os
import re
import socket
import subprocess

import labs

CYCLES = min(int(os.environ.get("CYCLES", 50)), 200 if labs.sanitized() else 10**6)
WARM = 10
# What comes in turn. TPM keys every fifth time: the TPM is slower than all the rest.
KINDS = ("soft-ec", "soft-ec", "tpm-ec", "soft-ec", "soft-rsa")
VALUES = {"soft-ec": {"algorithm": "ec-p256"}, "tpm-ec": {"algorithm": "ec-p256", "protection": "tpm"}, "soft-rsa": {}}


class Responder:
    """Its control channel, without a process for each question."""

    def __init__(self, lab):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(lab.dir / "lab/ndes/control"))
        self._file = self._socket.makefile("rw")

    def ask(self, **message):
        self._file.write(json.dumps(message) + "\n")
        self._file.flush()
        return json.loads(self._file.readline())["ok"]

    def close(self):
        self._file.close()
        self._socket.close()


def advance(lab, seconds):
    path = lab.dir / "lab/clock"
    ahead = int.from_bytes(path.read_bytes(), "little", signed=True) + seconds
    with open(path, "r+b", buffering=0) as file:  # in place: it is mapped
        file.write(ahead.to_bytes(8, "little", signed=True))


def handles(lab):
    """What the TPM holds: objects and sessions."""
    done = subprocess.run(["tpm2_getcap", "handles-transient"], env={**lab.env, "TPM2TOOLS_TCTI": lab.env["LAB_TCTI"]},
                          capture_output=True, text=True, check=False)
    sessions = subprocess.run(["tpm2_getcap", "handles-loaded-session"], capture_output=True, text=True, check=False,
                              env={**lab.env, "TPM2TOOLS_TCTI": lab.env["LAB_TCTI"]})
    assert done.returncode == 0 and sessions.returncode == 0, done.stderr + sessions.stderr
    return len(done.stdout.split("\n")), len(sessions.stdout.split("\n"))


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return len(file.read().split())


def memory(pid):
    """Private_Dirty in KiB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"Private_Dirty:\s+(\d+)", file.read())[1])


def seen(lab):
    pid = lab.daemon_pid()
    return {"descriptors": len(os.listdir(f"/proc/{pid}/fd")), "workers": children(pid),
            "files": sorted(str(path.relative_to(lab.state)) for path in lab.state.rglob("*"))}


def one(lab, responder, number):
    kind = KINDS[number % len(KINDS)]
    lab.add("cycle", **VALUES[kind])
    challenge = lab.write("cycle-challenge", responder.ask(op="challenge"))
    done = lab.scepter("enroll", "cycle", "--wait", "--challenge-file", challenge)
    assert done.returncode == 0, (number, kind, done.stderr)
    advance(lab, 60)
    done = lab.scepter("renew", "cycle", "--wait")
    if done.returncode != 0 and "ChallengeNeeded" in lab.scepter("show", "cycle", "--json").stdout:
        challenge = lab.write("cycle-challenge", responder.ask(op="challenge"))
        done = lab.scepter("enroll", "cycle", "--wait", "--challenge-file", challenge)
    assert done.returncode == 0, (number, kind, done.stderr)
    done = lab.scepter("profile", "remove", "cycle", "--with-certificates")
    assert done.returncode == 0, (number, kind, done.stderr)


def test_nothing_is_left_behind():
    with labs.lab() as lab:
        responder = Responder(lab)
        try:
            # One that stays, so that a key is in use and dates are looked at.
            lab.add("stays", protection="tpm")
            assert lab.enroll("stays").returncode == 0
            for number in range(WARM):
                one(lab, responder, number)
            lab.scepter("key", "test", "stays")
            before, warm, loaded = seen(lab), memory(lab.daemon_pid()), handles(lab)
            pid = lab.daemon_pid()
            for number in range(CYCLES):
                one(lab, responder, number)
            lab.scepter("key", "test", "stays")
            assert lab.daemon_pid() == pid and os.path.exists(f"/proc/{pid}")
            lab.until(lambda: seen(lab)["workers"] <= before["workers"] and seen(lab)["descriptors"] <= before["descriptors"])
            now = seen(lab)
            assert now == {**before, "workers": now["workers"], "descriptors": now["descriptors"]}
            assert handles(lab) == loaded
            grown = memory(pid) - warm
            print(f"{CYCLES} cycles: Private_Dirty {warm} KiB, then {warm + grown} KiB")
            if not labs.sanitized():  # whose allocator keeps what was freed
                assert grown <= 512, f"{warm} KiB before, {warm + grown} KiB after {CYCLES} cycles"
        finally:
            responder.close()
