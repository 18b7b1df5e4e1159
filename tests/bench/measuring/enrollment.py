"""Enrollment with a software key that exists: 'scepter enroll --wait' beside strongSwan's pki.

Whole programs, from their start to their end, at the lab's server. Ours finds its key from an attempt that failed
before (GetCACert answered 500: the key is made by then, nothing is asked of the CA). The server is set so that both
can talk to it: RFC-like replies, AES, SHA-384 listed (strongSwan 5.9.8 does not see AES otherwise), the root in
GetCACert (pki --scepca fails without it), challenges in any string type (pki writes UTF8String).
"""
import json
import os
import statistics
import subprocess
import sys

from .room import BenchError
from .table import row

NAME = "bench-soft"
SERVER_REFUSED = 6


class ServerLog:
    """What the responder says it took for the requests since the last question."""

    def __init__(self, room):
        self._path = os.path.join(room.layout.ndes, "events.jsonl")
        self._offset = 0
        self.spent()

    def spent(self):
        """(milliseconds, number of requests)"""
        with open(self._path, encoding="utf-8") as file:
            file.seek(self._offset)
            events = [json.loads(line) for line in file]
            self._offset = file.tell()
        times = [event["milliseconds"] for event in events if "milliseconds" in event]
        return sum(times), len(times)


class Ours:
    def __init__(self, room):
        self._room = room

    def prepare(self):
        """A failed attempt: it leaves the key of the next generation."""
        self._room.switch(fault_on="cacert", http_status=500)
        self._room.enroll(NAME, allowed=(SERVER_REFUSED,))
        self._room.switch(http_status="off")
        self._challenge = self._room.challenge()

    def run(self):
        """Milliseconds, and milliseconds of CPU time (the clock ticks of the kernel: true in the mean)."""
        before = self._room.daemon_cpu_ms()
        elapsed = self._room.timed("scepter", "enroll", NAME, "--challenge-file", self._challenge, "--wait")
        return elapsed, self._room.cpu_ms + self._room.daemon_cpu_ms() - before


class StrongSwan:
    def __init__(self, room):
        self._room, self._folder = room, os.path.join(room.dir, "pki")
        os.makedirs(self._folder, exist_ok=True)
        self._key = self._path("key.pem")
        room.find("pki")
        room.timed("pki", "--gen", "--type", "rsa", "--size", "2048", "--outform", "pem", stdout=self._key)
        self._fetch()
        # Two RA certificates of one name, in files by their order: told apart by key usage.
        ra = {self._usage(name): self._path(name) for name in os.listdir(self._folder) if name.startswith("ra")}
        if set(ra) != {"Digital Signature", "Key Encipherment"}:
            raise BenchError(f"pki --scepca wrote other RA certificates than expected: {ra}")
        self._encryption, self._signature = ra["Key Encipherment"], ra["Digital Signature"]

    def _path(self, name):
        return os.path.join(self._folder, name)

    def _usage(self, name):
        text = subprocess.run(["openssl", "x509", "-in", self._path(name), "-noout", "-ext", "keyUsage"],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        return text.splitlines()[-1].strip()

    def _fetch(self):
        return self._room.timed("pki", "--scepca", "--url", self._room.env["LAB_URL"], "--caout", self._path("ca.pem"),
                                "--raout", self._path("ra.pem"), "--outform", "pem", "--force")

    def prepare(self):
        with open(self._room.challenge(), encoding="ascii") as file:
            self._challenge = file.read()

    def run(self):
        certificate = self._path("cert.pem")
        elapsed = self._fetch()
        cpu = self._room.cpu_ms
        elapsed += self._room.timed(
            "pki", "--scep", "--url", self._room.env["LAB_URL"], "--in", self._key, "--dn", "CN=" + NAME,
            "--password", self._challenge, "--cacert-enc", self._encryption, "--cacert-sig", self._signature,
            "--cacert", self._path("ca.pem"), "--cacert", self._path("ca-1.pem"), "--outform", "pem",
            stdout=certificate)
        if not os.path.getsize(certificate):
            raise BenchError("pki --scep wrote no certificate")
        return elapsed, cpu + self._room.cpu_ms


def _rounds(room, clients, rounds):
    log = ServerLog(room)
    samples = {name: [] for name in clients}
    for number in range(rounds + 1):
        for name, client in clients.items():
            client.prepare()
            log.spent()
            elapsed, cpu = client.run()
            server, requests = log.spent()
            if number:  # the first one warms caches of all three
                samples[name].append({"ms": elapsed, "cpu": cpu, "server": server, "requests": requests})
    return samples


def measure(room, given):
    room.switch(caps="modern-sha384", reply_shape="rfc", root_included="on", challenge_encoding="any")
    room.ensure_profile(NAME, "software", "rsa-2048")
    clients = {"ours": Ours(room)}
    try:
        clients["strongSwan"] = StrongSwan(room)
    except BenchError as error:
        print(f"  strongSwan takes no part: {error}", file=sys.stderr)
    samples = _rounds(room, clients, given.rounds)

    def each(name, of):
        return [of(one) for one in samples.get(name, ())]

    def cpu(name):
        """Kernel ticks are true in the mean alone."""
        values = each(name, lambda one: one["cpu"])
        return [statistics.mean(values)] if values else None

    ratios = [a["ms"] / b["ms"] for a, b in zip(samples["ours"], samples.get("strongSwan", ()))]
    requests = {name: samples[name][0]["requests"] for name in samples}
    return [{"title": "Enrollment, existing software RSA-2048 key", "unit": "ms", "ratio": "/ strongSwan",
             "rows": [row("scepter enroll --wait", each("ours", lambda one: one["ms"]), ratios, ("at most", 0.7),
                          "ratio"),
                      row("  of it the server's own time", each("ours", lambda one: one["server"])),
                      row("  beyond the server's own time", each("ours", lambda one: one["ms"] - one["server"]),
                          target=("at most", 25)),
                      row("  CPU time of the command, the daemon and its workers", cpu("ours")),
                      row("strongSwan pki --scepca, then --scep", each("strongSwan", lambda one: one["ms"])),
                      row("  of it the server's own time", each("strongSwan", lambda one: one["server"])),
                      row("  CPU time of both commands", cpu("strongSwan"))],
             "notes": [f"{given.rounds} rounds in turn, whole programs; requests: "
                       + ", ".join(f"{name} {number}" for name, number in requests.items()),
                       "server: RFC-like replies, AES, SHA-384 listed, root in GetCACert, any string type: what both "
                       "can talk to"],
             "samples": samples}]
