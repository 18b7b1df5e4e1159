"""Enrollment with a software key that exists: 'scepter enroll --wait' beside strongSwan's pki, certmonger and scepclient.

Whole programs, from their start to their end, at the lab's server. Ours finds its key from an attempt that failed
before (GetCACert answered 500: the key is made by then, nothing is asked of the CA). The server is set so that both
can talk to it: RFC-like replies, AES, SHA-384 listed (strongSwan 5.9.8 does not see AES otherwise), the root in
GetCACert (pki --scepca fails without it), challenges in any string type (pki writes UTF8String).
"""
import json
import os
import statistics
import sys

from . import peers
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


PEERS = {
    # name: class, what it is in the table, target of ours / its
    "strongSwan": (peers.StrongSwan, "strongSwan pki --scepca, then --scep", 0.7),
    "certmonger": (peers.Certmonger, "certmonger: getcert request --wait", 0.2),
    "scepclient": (peers.ScepClient, "micromdm's scepclient", None),
}


def _clients(room):
    clients = {"ours": Ours(room)}
    for name, (kind, _, _) in PEERS.items():
        try:
            clients[name] = kind(room)
        except BenchError as error:
            print(f"  {name} takes no part: {error}", file=sys.stderr)
    return clients


def measure(room, given):
    room.switch(caps="modern-sha384", reply_shape="rfc", root_included="on", challenge_encoding="any")
    room.ensure_profile(NAME, "software", "rsa-2048")
    clients = _clients(room)
    try:
        samples = _rounds(room, clients, given.rounds)
    finally:
        for client in clients.values():
            getattr(client, "close", lambda: None)()

    def each(name, of):
        return [of(one) for one in samples.get(name, ())]

    def cpu(name):
        """Kernel ticks are true in the mean alone."""
        values = each(name, lambda one: one["cpu"])
        return [statistics.mean(values)] if values else None

    rows = [row("scepter enroll --wait", each("ours", lambda one: one["ms"])),
            row("  of it the server's own time", each("ours", lambda one: one["server"])),
            row("  beyond the server's own time", each("ours", lambda one: one["ms"] - one["server"]), target=("at most", 25)),
            row("  CPU time of the command, the daemon and its workers", cpu("ours"))]
    for name, (_, title, target) in PEERS.items():
        ratios = [a["ms"] / b["ms"] for a, b in zip(samples["ours"], samples.get(name, ()))]
        rows += [row(f"{title}; ours / it", each(name, lambda one: one["ms"]), ratios, target and ("at most", target), "ratio"),
                 row("  of it the server's own time", each(name, lambda one: one["server"])),
                 row("  CPU time", cpu(name))]
    requests = {name: samples[name][0]["requests"] for name in samples}
    return [{"title": "Enrollment, existing software RSA-2048 key", "unit": "ms", "ratio": "ours / it", "rows": rows,
             "notes": [f"{given.rounds} rounds in turn, whole programs; requests: "
                       + ", ".join(f"{name} {number}" for name, number in requests.items()),
                       "server: RFC-like replies, AES, SHA-384 listed, root in GetCACert, any string type: what all "
                       "can talk to; scepclient alone gets single DES"],
             "samples": samples}]
