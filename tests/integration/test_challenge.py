"""T20: the challenge is never in arguments, environments, logs, core dumps, a worker that talks with the server, or the state
directory once it is over."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

import labs
import messages
from front import front


def handed(lab, name, way, url):
    """A process that hands a fresh challenge over, and that challenge."""
    secret = lab.challenge().read_text().strip()
    command, given = [labs.BUILD / "bin/scepter", "enroll", name, "--wait"], None
    if way == "syncml":
        message = messages.Message()
        messages.install(message, messages.csp_values(lab, Challenge=secret, ServerURL=url), f"{messages.CSP}/{name}")
        command, given = [labs.BUILD / "bin/scepter", "syncml", "apply", "-"], message.text()
    elif way == "file":
        command += ["--challenge-file", lab.write("handed", secret + "\n")]
    else:
        command += ["--challenge-file", "-"]
        given = secret + "\n"
    process = subprocess.Popen([str(word) for word in command], env=lab.env, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if given:
        process.stdin.write(given)
    process.stdin.close()
    process.stdin = None
    return process, secret


def processes():
    return [int(entry.name) for entry in pathlib.Path("/proc").glob("[0-9]*")]


def children(pid):
    found = []
    for other in processes():
        try:
            stat = (pathlib.Path("/proc") / str(other) / "stat").read_text()
        except OSError:
            continue
        if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(other)
    return found


def in_sight(secret):
    """Names of files below /proc that tell the secret to others."""
    found, seen = [], 0
    for pid in processes():
        for name in ("cmdline", "environ", "comm"):
            try:
                content = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
            except OSError:
                continue
            seen += 1
            if secret.encode() in content:
                found.append(f"{pid}/{name}")
    assert seen
    return found


def in_memory(pid, secret):
    """Whether the process has it anywhere."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            first, last, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if "r" not in mode or "[v" in line:
                continue
            memory.seek(int(first, 16))
            with contextlib.suppress(OSError):
                if secret.encode() in memory.read(int(last, 16) - int(first, 16)):
                    return True
    return False


def kept(lab, secret):
    return [path for path in lab.state.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


@pytest.fixture(scope="module")
def quiet():
    with labs.lab("--no-tpm") as made:
        yield made


@pytest.mark.parametrize("end", ["issued", "refused", "killed"])
@pytest.mark.parametrize("way", ["stdin", "file", "syncml"])
def test_T20(quiet, way, end):
    lab, name = quiet, f"{way}-{end}"
    if end == "refused":
        lab.ndes("set", "wrong-challenge", "always")
    with front(lab) as server:
        if way == "syncml":
            digest = hashlib.sha1(messages.root_der(lab)).hexdigest()
            message = messages.Message()
            message.add(f"{messages.ROOTS}/{digest}/EncodedCertificate", messages.root_base64(lab), "b64")
            assert lab.scepter("syncml", "apply", lab.write("root.xml", message.text())).returncode == 0
        else:
            lab.add(name, url=server.url)
        server.hold("PKIOperation", after=True)
        process, secret = handed(lab, name, way, server.url)
        assert server.arrived.wait(60)
        assert not in_sight(secret)
        daemon = lab.daemon_pid()
        workers = children(daemon)
        assert workers
        if os.geteuid() == 0 and not labs.sanitized():
            assert in_memory(daemon, secret), "this looks at nothing"
            for worker in workers:
                assert not in_memory(worker, secret), "a worker that talks with the server has the challenge"
        # The kernel writes no core, and gives what is in memory to nobody but root.
        limits = pathlib.Path(f"/proc/{daemon}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        assert pathlib.Path(f"/proc/{daemon}/stat").stat().st_uid == 0 or os.geteuid() != 0
        if end == "killed":
            os.kill(daemon, signal.SIGKILL)
        server.go.set()
        out, err = process.communicate(timeout=90)
    if end == "killed":
        lab.daemon("restart")
    if way == "syncml" or end == "killed":
        lab.until(lambda: json.loads((lab.certificate(name) / "record.json").read_text())["activity"] in ("idle", "failed"))
    # What goes on after a kill looks for the server that is gone by then: it keeps the challenge for the next attempt.
    if end == "killed":
        assert {path.name for path in kept(lab, secret)} <= {"challenge"}
        lab.scepter("cancel", name)  # its next attempt may have begun
        lab.until(lambda: lab.scepter("remove", name).returncode == 0)
    assert not kept(lab, secret)
    assert secret not in out + err + lab.log()
    assert secret not in (lab.dir / "lab/log/dbus-daemon.log").read_text(errors="replace")
    if end != "killed":
        shown = lab.json("show", name)
        assert shown["activity"] == ("idle" if end == "issued" else "failed"), shown["lastError"]
    lab.ndes("reset")
