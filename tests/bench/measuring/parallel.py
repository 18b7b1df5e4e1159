"""64 enrollments at once, each with a new RSA-2048 key in software: how much of the processors the service makes use of.

The server works on the same processors, in Python: what it uses is taken out. Beside it as many keys by 'openssl genrsa', as
many at a time as there are processors: no enrollment can be cheaper than its key.
"""
import concurrent.futures
import os
import subprocess
import time

from .room import BenchError
from .table import row

AT_ONCE = 64


def _cpu_s(pid):
    """With its children that have ended."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _enroll(room, names):
    """Wall seconds, of processor: the service with its workers and the commands, the server."""
    challenges = []
    for number in range(len(names)):
        path = os.path.join(room.dir, f"challenge-{number}")
        with open(room.challenge(), encoding="ascii") as one, open(path, "w", encoding="ascii") as file:
            file.write(one.read())
        os.chmod(path, 0o600)
        challenges.append(path)
    service, server = room.daemon_pid(), room.records.pid("ndes")
    before = _cpu_s(service), _cpu_s(server), os.times()
    start = time.monotonic()
    running = [subprocess.Popen([room.find("scepter"), "enroll", name, "--challenge-file", challenge, "--wait"], env=room.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
               for name, challenge in zip(names, challenges)]
    for process in running:
        said = process.communicate()[1]
        if process.returncode:
            raise BenchError(f"one of {AT_ONCE} enrollments failed: {said}")
    wall = time.monotonic() - start
    after = os.times()
    commands = after.children_user + after.children_system - before[2].children_user - before[2].children_system
    return wall, _cpu_s(service) - before[0] + commands, _cpu_s(server) - before[1]


def _genrsa(room):
    """Seconds for as many keys."""
    command = [room.find("openssl"), "genrsa", "-out", "/dev/null", "2048"]
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in pool.map(lambda _: subprocess.run(command, stderr=subprocess.DEVNULL, check=False), range(AT_ONCE)):
            if done.returncode:
                raise BenchError("openssl genrsa failed")
    return time.monotonic() - start


def measure(room, given):
    names = [f"bench-{number}" for number in range(AT_ONCE)]
    for name in names:
        room.ensure_profile(name, "software", "rsa-2048")
    used, rates, keys = [], [], []
    for _ in range(2 if given.quick else 5):
        wall, service, server = _enroll(room, names)
        used.append(service / (wall * os.cpu_count() - server))
        rates.append(AT_ONCE / wall)
        keys.append(AT_ONCE / _genrsa(room))
    for name in names:
        room.timed("scepter", "remove", name)
    return [{"title": f"{AT_ONCE} enrollments at once, new software keys", "unit": "", "ratio": "/ openssl", "rows": [
        row("of the processors used by the service, the server's part taken out", used, target=("at least", 0.85)),
        row("certificates a second", rates, [a / b for a, b in zip(rates, keys)]),
        row("keys a second by openssl genrsa", keys)]}]
